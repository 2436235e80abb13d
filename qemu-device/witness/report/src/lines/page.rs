// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The page with the lines of the driver.

use maud::{html, Markup};

use super::merge::Counts;
use super::text::{FileReport, Report};
use crate::page::document;

/// Renders the page: a table of files, and the unreached lines of each.
pub(crate) fn render(report: &Report) -> String {
    let body = html! {
        h1 { "Lines of the driver that runs reach" }
        p { "Runs: " (report.runs.join(", ")) "." }
        table {
            tr { th { "file" } th { "lines" } th { "reached" } th { "%" } th { "jumps" } th { "both ways" } }
            @for file in &report.files {
                tr { td { a href=(format!("#{}", file.file)) { (file.file) } } (cells(file.counts)) }
            }
            tr { th { "all" } (cells(report.total)) }
        }
        @for file in report.files.iter().filter(|file| !file.unreached.is_empty()) {
            (unreached(file))
        }
    };
    document("ringbar coverage", &body)
}

/// Renders the counts of a row.
fn cells(counts: Counts) -> Markup {
    html! {
        td { (counts.lines) }
        td { (counts.reached) }
        td { (format!("{:.1}", counts.percent())) }
        td { (counts.jumps) }
        td { (counts.both_ways) }
    }
}

/// Renders the unreached lines of a file.
fn unreached(file: &FileReport) -> Markup {
    html! {
        h2 id=(file.file) { (file.file) }
        table {
            tr { th { "line" } th { "function" } th { "not reached" } th { "reason" } }
            @for line in &file.unreached {
                tr {
                    td { (line.line) }
                    td { (line.function) }
                    td { code { (line.text) } }
                    td { (line.reason.as_deref().unwrap_or_default()) }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lines::text::tests::report;

    #[test]
    fn unreached_line_is_shown_as_text() {
        let page = render(&report());

        assert!(page.contains("&lt;gone&gt;();"), "{page}");
        assert!(page.contains("66.6"), "{page}");
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The whole table in Markdown.

use crate::report::Report;
use ringbar_bench::table;

/// Returns the rows, the missing rows, and the conditions of the measurement.
pub(crate) fn markdown(report: &Report) -> String {
    let rows = report.ratios.iter().map(table::line);
    let mut text = table::HEADER.to_owned();
    text.extend(rows);
    text += &format!("\n{}\n", table::LEGEND);
    for row in &report.left_out {
        text += &format!("\nLeft out: {}: {}.\n", row.name, row.reason);
    }
    if !report.environment.is_empty() {
        text += "\n";
    }
    for (name, value) in &report.environment {
        text += &format!("- {name}: {value}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringbar_bench::LeftOut;
    use std::collections::BTreeMap;

    #[test]
    fn row_that_is_left_out_is_named_with_its_reason() {
        let report = Report {
            ratios: Vec::new(),
            left_out: vec![LeftOut {
                name: "moderation".to_owned(),
                reason: "the device has none".to_owned(),
            }],
            environment: BTreeMap::from([("accelerator".to_owned(), "TCG".to_owned())]),
        };
        let text = markdown(&report);

        assert!(text.contains("Left out: moderation: the device has none."));
        assert!(text.ends_with("- accelerator: TCG\n"));
    }
}

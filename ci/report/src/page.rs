// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The page: one file of HTML without scripts.

use std::collections::BTreeMap;

use maud::{html, Markup, PreEscaped, DOCTYPE};
use ringbar_spec::layout::{
    ADMIN_PAGE, DEVICE_MEMORY_BAR, DOORBELL_PAGES, KICK_PAGES, MSIX_BAR, PUBLIC_PAGE, REGISTER_BAR,
    REGISTER_BAR_SIZE, STATUS_PAGES,
};
use ringbar_trace::record::{Access, What};

use crate::coverage::Coverage;
use crate::picture;
use crate::results::{Results, Test, TestRun};
use crate::run::{Case, Happening, Moment, Run};

const STYLE: &str = include_str!("page.css");
/// Most lines of a case; the timeline's file has all of them.
const LINES: usize = 60;
/// Most cases that are shown with their accesses.
const CASES: usize = 120;
/// Most functions in a list of who did something.
const WHO: usize = 12;

/// What the page shows.
pub(crate) struct Content<'a> {
    pub(crate) results: &'a Results,
    pub(crate) run: &'a Run,
    pub(crate) coverage: &'a Coverage,
    pub(crate) complaints: &'a [String],
    pub(crate) command: &'a str,
}

/// Draws the page.
pub(crate) fn render(content: &Content<'_>) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                title { "ringbar report" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "ringbar: what happened" }
                nav {
                    a href="#results" { "results" }
                    a href="#who" { "who did what" }
                    a href="#timeline" { "timeline" }
                    a href="#coverage" { "coverage" }
                    a href="#device" { "device" }
                    a href="#environment" { "environment" }
                }
                (results(content))
                @if content.run.recorded {
                    (who(content.run))
                    (timeline(content.run))
                    (coverage(content.coverage))
                } @else {
                    p { "Accesses were not recorded in this run: " code { "make trace" } " does." }
                }
                (device())
                (environment(content))
            }
        }
    };
    page.into_string()
}

fn results(content: &Content<'_>) -> Markup {
    html! {
        h2 id="results" { "Results" }
        @for run in &content.results.runs {
            p {
                b { (run.name) } ": "
                @if run.good { span.good { "passed" } } @else { span.bad { "FAILED" } }
                ", " (run.passed) " passed, " (run.failed) " failed, " (run.skipped) " skipped, "
                (format!("{:.1}", run.seconds)) " s"
            }
            @for failure in &run.failures {
                details open {
                    summary.bad { (failure.message) }
                    pre { (failure.details.join("\n")) }
                }
            }
            (programs(run))
        }
        @if content.run.recorded {
            p {
                b { "witness" } ": "
                @if content.complaints.is_empty() {
                    span.good { "all claims hold" }
                } @else {
                    span.bad { (content.complaints.len()) " do not hold" }
                }
            }
            ul { @for complaint in content.complaints { li.bad { (complaint) } } }
        }
    }
}

fn programs(run: &TestRun) -> Markup {
    html! {
        table {
            tr { th { "program" } th { "outcome" } th.n { "cases" } th.n { "s" } }
            @for test in &run.programs {
                tr {
                    td {
                        details {
                            summary { (test.name) }
                            @for part in &test.parts { div { (outcome(part)) " " (part.name) " " span.soft { (part.reason) } } }
                        }
                    }
                    td { (outcome(test)) }
                    td.n { (test.parts.len()) }
                    td.n { (format!("{:.1}", test.seconds.unwrap_or_default())) }
                }
            }
        }
    }
}

fn outcome(test: &Test) -> Markup {
    let class = match test.outcome.as_str() {
        "passed" => "good",
        "failed" | "unfinished" => "bad",
        _ => "soft",
    };
    html! { span class=(class) { (test.outcome) } }
}

/// Who rang doorbells, how long the device took, when interrupts came.
fn who(run: &Run) -> Markup {
    let mut deeds = BTreeMap::<(&str, String, String, String), u64>::new();
    for (moment, access) in run.accesses().filter(|(_, access)| access.write) {
        let Some(deed) = deed(access) else { continue };
        let site = &moment.site;
        let who = (
            deed,
            site.owner.clone(),
            site.function.clone(),
            site.place.clone(),
        );
        *deeds.entry(who).or_default() += access.count;
    }
    let mut seen = BTreeMap::<&str, usize>::new();
    let rows: Vec<_> = deeds
        .iter()
        .filter(|((deed, ..), _)| {
            let count = seen.entry(deed).or_default();
            *count += 1;
            *count <= WHO
        })
        .collect();
    html! {
        h2 id="who" { "Who did what" }
        table {
            tr { th { "deed" } th { "by" } th { "function" } th { "where" } th.n { "times" } }
            @for ((deed, owner, function, place), count) in rows {
                tr {
                    td { (deed) }
                    td class=(who_class(owner)) { (owner) }
                    td.c { (function) }
                    td.c { (place) }
                    td.n { (count) }
                }
            }
        }
        (copies(run))
    }
}

fn deed(access: &Access) -> Option<&'static str> {
    let name = access.place.name.split(['[', '+']).next()?;
    match name {
        "KICK" => Some("kicked the device (trapped)"),
        "SUBMISSION_TAIL" => Some("rang the doorbell: announced descriptors"),
        "COMPLETION_HEAD" => Some("took completions"),
        "QUEUE_START" => Some("started a queue"),
        "WINDOW_OPEN" => Some("opened a window"),
        "RESET" => Some("reset the device"),
        _ => None,
    }
}

/// Each descriptor with its completion and the interrupt after it.
fn copies(run: &Run) -> Markup {
    let mut open = BTreeMap::new();
    let mut rows = Vec::new();
    for moment in &run.moments {
        let Happening::Event(event) = &moment.what else {
            continue;
        };
        match &event.what {
            What::Descriptor { queue, tag, .. } => {
                open.insert((*queue, *tag), (event.time, moment));
            }
            What::Completion { queue, tag, .. } => {
                if let Some((fetched, descriptor)) = open.remove(&(*queue, *tag)) {
                    rows.push((
                        moment.case,
                        descriptor.words(),
                        event.time.saturating_sub(fetched),
                        event.time,
                        None,
                    ));
                }
            }
            What::Interrupt { .. } => {
                if let Some((.., completed, interrupt)) = rows.last_mut() {
                    interrupt.get_or_insert(event.time.saturating_sub(*completed));
                }
            }
            What::Register { .. } | What::Error { .. } => {}
        }
    }
    if rows.is_empty() {
        return html! { p.soft { "The device wrote no events in this run: how long copies took is not known." } };
    }
    html! {
        h3 { "How long the device took" }
        table {
            tr { th { "case" } th { "descriptor" } th.n { "fetched to completed, µs" } th.n { "then interrupt after, µs" } }
            @for (case, words, took, _, interrupt) in rows.iter().take(LINES) {
                tr {
                    td { (run.cases.get(*case).map_or("", |case| case.name.as_str())) }
                    td.c { (words) }
                    td.n { (micro(*took)) }
                    td.n { @if let Some(after) = interrupt { (micro(*after)) } @else { "none" } }
                }
            }
        }
        @if rows.len() > LINES { p.soft { (rows.len() - LINES) " more are in timeline.jsonl." } }
    }
}

fn timeline(run: &Run) -> Markup {
    let busy: Vec<(&Case, Vec<&Moment>)> = (0..)
        .zip(&run.cases)
        .map(|(number, case)| (case, run.moments_of(number).collect::<Vec<_>>()))
        .filter(|(_, moments)| !moments.is_empty())
        .collect();
    html! {
        h2 id="timeline" { "Timeline" }
        p {
            "Time counts from the beginning of a case. "
            span.who-program { "test program" } ", " span.who-driver { "driver" } ", "
            span.who-kernel { "kernel" } ", " span.who-device { "device" }
            ". " code { "timeline.json" } " opens in Perfetto (ui.perfetto.dev), " code { "timeline.jsonl" } " has everything."
        }
        @for (case, moments) in busy.iter().take(CASES) { (case_lines(case, moments)) }
        @if busy.len() > CASES { p.soft { (busy.len() - CASES) " more are in timeline.jsonl." } }
    }
}

fn case_lines(case: &Case, moments: &[&Moment]) -> Markup {
    let shown = moments.get(..moments.len().min(LINES)).unwrap_or_default();
    html! {
        details {
            summary {
                b { (case.program) } " "
                @if case.name.is_empty() { "around the cases" } @else { (case.name) }
                " "
                @match case.passed {
                    Some(true) => span.good { "passed" },
                    Some(false) => span.bad { "failed" },
                    None => {}
                }
                span.soft { " " (moments.len()) " records, " (micro(case.end.saturating_sub(case.begin))) " µs" }
            }
            (PreEscaped(picture::draw(case, shown)))
            table {
                tr { th.n { "µs" } th { "on" } th { "by" } th { "what" } th { "function" } th { "where" } }
                @for moment in shown {
                    tr {
                        td.n { (micro(moment.time().saturating_sub(case.begin))) }
                        td.w { (moment.lane()) }
                        td class=(who_class(&moment.site.owner)) { (moment.site.owner) }
                        td.c { (moment.words()) @if is_shared(moment) { span.soft { " (memory)" } } }
                        td.c { (moment.site.function) }
                        td.c { (moment.site.place) }
                    }
                }
            }
            @if moments.len() > LINES { p.soft { (moments.len() - LINES) " more are in timeline.jsonl." } }
        }
    }
}

fn is_shared(moment: &Moment) -> bool {
    matches!(&moment.what, Happening::Access(access) if !access.trapped)
}

fn who_class(owner: &str) -> &'static str {
    match owner {
        "driver" => "who-driver",
        "kernel" => "who-kernel",
        "device" => "who-device",
        _ => "who-program",
    }
}

/// Nanoseconds as microseconds.
fn micro(nanoseconds: u64) -> String {
    format!("{:.1}", nanoseconds as f64 / 1000.0)
}

fn coverage(coverage: &Coverage) -> Markup {
    let touched = coverage
        .registers
        .iter()
        .filter(|used| used.reads + used.writes > 0);
    html! {
        h2 id="coverage" { "Coverage" }
        p { (touched.count()) " of " (coverage.registers.len()) " registers were touched." }
        table {
            tr { th { "register" } th { "access" } th.n { "reads" } th.n { "writes" } th { "widths" } th { "fields seen set" } th { "fields never set" } }
            @for used in &coverage.registers {
                tr {
                    td.c { (used.register.info().name) }
                    td { (used.register.access().name()) }
                    td.n { (number(used.reads)) }
                    td.n { (number(used.writes)) }
                    td { (used.widths.iter().map(u32::to_string).collect::<Vec<_>>().join(" ")) }
                    td { (fields(&used.fields, true)) }
                    td.soft { (fields(&used.fields, false)) }
                }
            }
        }
        @if coverage.has_events {
            (codes("opcode", &coverage.opcodes))
            (codes("status of a completion", &coverage.statuses))
        } @else {
            p.soft { "Opcodes and statuses are known from the device's events, of which there are none." }
        }
        (codes("error", &coverage.errors))
        (codes("interrupt cause, seen set", &coverage.causes))
        h3 { "What the device does not model" }
        @if coverage.unknown.is_empty() { p { "Nobody touched that." } } @else {
            table {
                tr { th { "offset" } th { "by" } th { "function" } th { "where" } th.n { "times" } }
                @for ((_, offset, site), count) in &coverage.unknown {
                    tr { td.c { (format!("{offset:#x}")) } td { (site.owner) } td.c { (site.function) } td.c { (site.place) } td.n { (count) } }
                }
            }
        }
        h3 { "Waiting by reading" }
        @if coverage.spins.is_empty() { p { "No register was read over and over." } } @else {
            table {
                tr { th { "register" } th { "by" } th { "function" } th { "where" } th.n { "reads" } }
                @for ((name, site), count) in &coverage.spins {
                    tr { td.c { (name) } td { (site.owner) } td.c { (site.function) } td.c { (site.place) } td.n { (count) } }
                }
            }
        }
    }
}

fn codes(title: &str, codes: &[(&'static str, u64)]) -> Markup {
    html! {
        h3 { (title) }
        p {
            @for (name, count) in codes {
                @if *count > 0 { span.good { (name) " " (count) } } @else { span.soft { (name) " –" } }
                " · "
            }
        }
    }
}

fn number(count: u64) -> String {
    if count == 0 {
        "–".to_owned()
    } else {
        count.to_string()
    }
}

fn fields(fields: &[(&'static str, bool)], set: bool) -> String {
    let names = fields.iter().filter(|(_, was)| *was == set);
    names.map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// Who maps what: the parts of the BARs, from the layout that all programs share.
fn device() -> Markup {
    let page = |at: usize| format!("{at:#x}");
    let parts = [
        (
            page(PUBLIC_PAGE),
            "public registers",
            "trapped",
            "driver; a process with CAP_SYS_RAWIO, uncached",
        ),
        (
            page(ADMIN_PAGE),
            "admin registers",
            "trapped",
            "driver only",
        ),
        (
            page(KICK_PAGES),
            "kick pages, one a queue",
            "trapped",
            "driver, process that owns the queue; uncached",
        ),
        (
            page(DOORBELL_PAGES),
            "doorbell pages, one a queue",
            "shared memory",
            "process that owns the queue, uncached; the device reads",
        ),
        (
            page(STATUS_PAGES),
            "status pages, one a queue",
            "shared memory",
            "process that owns the queue, read-only, uncached; the device writes",
        ),
    ];
    html! {
        h2 id="device" { "Device and mappings" }
        table {
            tr { th { "BAR" } th { "from" } th { "what" } th { "backed by" } th { "mapped by" } }
            @for (at, what, backed, by) in parts {
                tr { td { (REGISTER_BAR) } td.c { (at) } td { (what) } td { (backed) } td { (by) } }
            }
            tr { td { (REGISTER_BAR) } td.c { (page(REGISTER_BAR_SIZE)) } td { "end" } td {} td {} }
            tr { td { (DEVICE_MEMORY_BAR) } td.c { "0x0" } td { "device memory: half write-combining, a quarter uncached, a quarter lazy" } td { "shared memory" } td { "processes, each its own ranges" } }
            tr { td { (MSIX_BAR) } td.c { "0x0" } td { "MSI-X table and pending bits" } td { "QEMU" } td { "kernel" } }
        }
    }
}

fn environment(content: &Content<'_>) -> Markup {
    html! {
        h2 id="environment" { "Environment" }
        @for run in &content.results.runs {
            table {
                @for fact in &run.guest { tr { td { (run.name) ": " (fact.key) } td { (fact.value) } } }
                tr { td { (run.name) ": repeat" } td.c { (run.again) } }
            }
        }
        h3 { "QEMU" }
        pre { (content.command) }
    }
}

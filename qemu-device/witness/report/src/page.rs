// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The page: one file of HTML without scripts.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use maud::{html, Markup, PreEscaped, DOCTYPE};
use ringbar_records::place::Place;
use ringbar_spec::layout::{DOORBELL_PAGES, STATUS_PAGES};
use ringbar_spec::regs::Register;
use ringbar_spec::RegisterInfo;
use serde_json::Value;

use crate::bench::{Benchmark, Side};
use crate::coverage::Coverage;
use crate::operations::Operation;
use crate::paint::{painted, STYLE};
use crate::results::{Results, Test, TestRun};
use crate::run::{Case, Happening, Moment, Run};
use crate::witness::Testimony;
use crate::{bench_picture, device_picture, life_picture, other_registers, picture};

/// File with the style of the page, beside it.
pub(crate) const STYLE_FILE: &str = "report.css";
/// Tested versions. A mirror may have had others.
const PINNED: &str = include_str!("../../../../ci/versions.env");
/// Largest page in bytes.
const LARGEST: usize = 2_000_000;
/// Most lines of all cases together. The file of the timeline has all of them.
const ALL_LINES: usize = 6000;
/// Most rows of a table or list without a limit of its own.
const ALL_ROWS: usize = 1000;
/// Fewest and most lines per case.
const CASE_LINES: (usize, usize) = (8, 150);
/// Length from which an operation counts as long.
const MUCH: u32 = 32 << 10;
/// Most operations per case in a table.
const OF_A_CASE: usize = 4;
/// Most operations in a table.
const OPERATIONS: usize = 60;
/// Most seeds of a program.
const SEEDS: usize = 8;
/// Most functions per action in the list of actors.
const WHO: usize = 12;

/// Content of the page.
pub(crate) struct Content<'a> {
    pub(crate) results: &'a Results,
    pub(crate) run: &'a Run,
    pub(crate) coverage: &'a Coverage,
    pub(crate) testimony: &'a Testimony,
    pub(crate) operations: &'a [Operation<'a>],
    /// Figures of a benchmark, if one ran.
    pub(crate) bench: Option<&'a Benchmark>,
    /// Versions in the sysroot, as lines of `ci/versions.env`. If they are unknown, that file's own
    /// are shown.
    pub(crate) versions: Option<&'a str>,
    /// Programs and the command lines that started them.
    pub(crate) commands: &'a [(&'static str, String)],
}

/// Renders the page. Shows as much of the timeline and of long tables as fits.
pub(crate) fn render(content: &Content<'_>) -> String {
    let (mut lines, mut rows) = (ALL_LINES, ALL_ROWS);
    // The size of a page is known only after drawing, so the limits are halved until it fits.
    loop {
        let page = draw(content, lines, rows);
        if page.len() <= LARGEST || (lines, rows) == (0, 0) {
            return page;
        }
        lines /= 2;
        rows /= 2;
    }
}

/// Renders the page with these limits.
fn draw(content: &Content<'_>, lines: usize, rows: usize) -> String {
    let body = html! {
        h1 { "ringbar: what happened" }
        nav {
            @for (name, id) in sections(content) { a href=(format!("#{id}")) { (name) } " " }
        }
        (results(content, rows))
        @if content.run.recorded {
            (operations(content))
            @if content.run.other_device {
                (other_registers::render(content.run, rows))
            } @else {
                (who(content.run))
            }
            (timeline(content.run, lines))
            @if !content.run.other_device { (coverage(content.coverage, rows)) }
        } @else {
            p { "Accesses were not recorded in this run: " code { "make trace" } " does." }
        }
        @if !content.run.other_device { (device(content.run)) }
        @if let Some(measured) = content.bench { (bench(measured)) }
        (environment(content, rows))
    };
    document("ringbar report", &body)
}

/// Renders a page with the style of all pages.
pub(crate) fn document(title: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                title { (title) }
                link rel="stylesheet" href=(STYLE_FILE);
                style { (PreEscaped(STYLE)) }
            }
            body { (body) }
        }
    };
    page.into_string()
}

/// Returns the sections of the page, with their anchors. A blank stands between the links for
/// readers that show no style.
fn sections(content: &Content<'_>) -> Vec<(&'static str, &'static str)> {
    let Run {
        recorded,
        other_device,
        ..
    } = *content.run;
    [
        ("results", "results", true),
        ("operations", "operations", !content.operations.is_empty()),
        ("accesses", "who", recorded),
        ("timeline", "timeline", recorded),
        ("coverage", "coverage", recorded && !other_device),
        ("device", "device", !other_device),
        ("benchmark", "bench", content.bench.is_some()),
        ("environment", "environment", true),
    ]
    .into_iter()
    .filter(|(.., there)| *there)
    .map(|(name, id, _)| (name, id))
    .collect()
}

/// Renders the number of rows that were left out.
pub(crate) fn left_out(all: usize, rows: usize) -> Markup {
    html! { @if all > rows { p.soft { (all - rows) " more are left out: a page has at most " (LARGEST / 1_000_000) " MB." } } }
}

/// Renders the results of all runs.
fn results(content: &Content<'_>, rows: usize) -> Markup {
    html! {
        h2 id="results" { "Results" }
        @for run in &content.results.runs {
            p {
                b { (run.name) } ": "
                @if run.good { span.good { "✓ passed" } } @else { span.bad { "✗ FAILED" } }
                ", " (run.passed) " passed, " (run.failed) " failed, " (run.skipped) " skipped, "
                (format!("{:.1}", run.seconds)) " s"
            }
            @for failure in run.failures.iter().take(rows) {
                details open {
                    summary.bad { (failure.message) }
                    pre { @for line in failure.details.iter().take(rows) { (line) "\n" } }
                    (left_out(failure.details.len(), rows))
                }
            }
            (left_out(run.failures.len(), rows))
            (story(run, rows))
            (programs(run, rows))
        }
        @if content.run.recorded {
            (testimony(content.testimony, rows))
        }
    }
}

/// Renders the lines that cases print for people, and how to get more of them.
fn story(run: &TestRun, rows: usize) -> Markup {
    let cases = run.programs.iter().flat_map(|program| &program.parts);
    let lines: Vec<_> = cases.flat_map(Test::story).collect();
    let all = run
        .configuration
        .get("tests")
        .is_none_or(|tests| tests == "all");
    html! {
        @if !lines.is_empty() { pre { @for line in lines.iter().take(rows) { (line) "\n" } } }
        (left_out(lines.len(), rows))
        @if !all { p.soft { "Only some of the programs ran; all of them run with " code { "make run TESTS=all" } "." } }
    }
}

/// Renders the findings of the witness.
fn testimony(testimony: &Testimony, rows: usize) -> Markup {
    let Testimony { complaints, seen } = testimony;
    html! {
        p {
            b { "witness" } ": "
            @if complaints.is_empty() {
                span.good { "✓ all claims hold" }
            } @else {
                span.bad { "✗ " (complaints.len()) " do not hold" }
            }
        }
        ul { @for complaint in complaints.iter().take(rows) { li.bad { (complaint) } } }
        (left_out(complaints.len(), rows))
        @if !seen.is_empty() {
            details {
                summary { "what was claimed and seen" }
                table {
                    tr { th { "where" } th { "what" } }
                    @for (place, what) in seen.iter().take(rows) { tr { td { (place) } td { (what) } } }
                }
                (left_out(seen.len(), rows))
            }
        }
    }
}

/// Renders the programs of a run.
fn programs(run: &TestRun, rows: usize) -> Markup {
    html! {
        table.programs {
            tr { th { "program" } th { "outcome" } th.n { "cases" } th.n { "s" } }
            @for test in run.programs.iter().take(rows) {
                tr {
                    td {
                        details {
                            summary { (test.name) }
                            @for part in test.parts.iter().take(rows) { div { (outcome(part)) " " (part.name) " " span.soft { (part.reason) } } }
                            (left_out(test.parts.len(), rows))
                        }
                    }
                    td { (outcome(test)) }
                    td.n { (test.parts.len()) }
                    td.n { (format!("{:.1}", test.seconds.unwrap_or_default())) }
                }
            }
        }
        (left_out(run.programs.len(), rows))
    }
}

/// Renders the outcome of a test.
fn outcome(test: &Test) -> Markup {
    let (class, mark) = match test.outcome.as_str() {
        "passed" => ("good", "✓"),
        "failed" | "crashed" | "unfinished" => ("bad", "✗"),
        _ => ("soft", "–"),
    };
    html! { span class=(class) { (mark) " " (test.outcome) } }
}

/// Renders the actors: the code that rang doorbells, kicked, opened windows and so on.
fn who(run: &Run) -> Markup {
    let mut deeds = BTreeMap::<(&str, String, String, String), u64>::new();
    for (moment, place, count) in run.writes() {
        let Some(deed) = deed(place) else { continue };
        let site = &moment.site;
        let who = (
            deed,
            site.owner.clone(),
            site.function.clone(),
            site.place.clone(),
        );
        *deeds.entry(who).or_default() += count;
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
        h2 id="who" { "Accesses, by actor" }
        table {
            tr { th { "action" } th { "by" } th { "function" } th { "where" } th.n { "times" } }
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
    }
}

/// Returns the action that a write to this place is.
fn deed(place: &Place) -> Option<&'static str> {
    match place.register() {
        "KICK" => Some("kicked the device (trapped)"),
        "submission_tail" => Some("rang the doorbell: announced descriptors"),
        "completion_head" => Some("took completions"),
        "QUEUE_START" => Some("started a queue"),
        "WINDOW_OPEN" => Some("opened a window"),
        "RESET" => Some("reset the device"),
        _ => None,
    }
}

/// Renders the durations of operations, and one operation step by step.
fn operations(content: &Content<'_>) -> Markup {
    let Content {
        run, operations, ..
    } = content;
    if operations.is_empty() {
        return html! { p.soft { "The device wrote no events in this run, so the times of operations are unknown." } };
    }
    // The best example has an interrupt, is long, and did not wait for another operation.
    let told = operations.iter().max_by_key(|operation| {
        let known = [operation.rung, operation.answered, operation.seen];
        let known = known.iter().flatten().count();
        let much = operation.length.min(MUCH);
        (known, much, Reverse(operation.lasted()))
    });
    let mut of_case = BTreeMap::<usize, usize>::new();
    let some = operations.iter().filter(|operation| {
        let count = of_case.entry(operation.fetched.case).or_default();
        *count += 1;
        *count <= OF_A_CASE
    });
    let some: Vec<_> = some.take(OPERATIONS).collect();
    let case = |moment: &Moment| run.cases.get(moment.case);
    let after = |from: Option<&Moment>, to: Option<&Moment>| {
        let span = from
            .zip(to)
            .map(|(from, to)| to.time().saturating_sub(from.time()));
        span.map_or("–".to_owned(), micro)
    };
    html! {
        h2 id="operations" { "Operations" }
        @if let Some(operation) = told {
            h3 {
                "One, step by step: " code { (operation.words()) }
                @if let Some(case) = case(operation.fetched) { " (" (case.program) ", " (case.name) ")" }
            }
            (PreEscaped(painted(&life_picture::draw(operation))))
            (steps(operation))
            p.soft { "The time of an access is that of its end, so a kick comes after the work that it started." }
        }
        h3 { "Times of operations, in µs" }
        table {
            tr {
                th { "operation" } th.n { "device took" } th { "doorbell rung by" } th.n { "fetched after" }
                th.n { "interrupt after" } th.n { "driver looked after" } th.n { "in all, until seen" }
            }
            @for operation in &some {
                tr {
                    td {
                        span.c { (operation.words()) } br;
                        span.soft { @if let Some(case) = case(operation.fetched) { (case.program) ": " (case.name) } }
                    }
                    td.n { b { (micro(operation.took())) } }
                    td { @if let Some(rung) = operation.rung { span.c { (rung.site.function) } br; span.soft { (rung.site.place) } } }
                    td.n { (after(operation.rung, Some(operation.fetched))) }
                    td.n { (after(Some(operation.completed), operation.interrupt)) }
                    td.n { (after(operation.interrupt, operation.answered)) }
                    td.n { (after(operation.rung, operation.seen)) }
                }
            }
        }
        @if operations.len() > some.len() { p.soft { (operations.len() - some.len()) " more are in timeline.jsonl." } }
    }
}

/// Renders the steps of an operation.
fn steps(operation: &Operation<'_>) -> Markup {
    let steps = operation.steps();
    let begin = steps.first().map_or(0, |(_, moment)| moment.time());
    html! {
        table {
            tr { th.n { "step" } th.n { "µs" } th { "who" } th { "does" } th { "function" } th { "where" } }
            @for (number, (what, moment)) in (1..).zip(&steps) {
                tr {
                    td.n { (number) }
                    td.n { (micro(moment.time().saturating_sub(begin))) }
                    td class=(who_class(&moment.site.owner)) { (moment.site.owner) }
                    td {
                        (what)
                        @if std::ptr::eq(*moment, operation.completed) { ": " b { (micro(operation.took())) " µs for " (operation.length) " bytes" } }
                        " " span.soft { (moment.words()) }
                    }
                    td.c { (moment.site.function) }
                    td.c { (moment.site.place) }
                }
            }
        }
    }
}

/// Renders the timeline, case by case.
fn timeline(run: &Run, lines: usize) -> Markup {
    let busy: Vec<(&Case, Vec<&Moment>)> = (0..)
        .zip(&run.cases)
        .map(|(number, case)| (case, run.moments_of(number).collect::<Vec<_>>()))
        .filter(|(_, moments)| !moments.is_empty())
        .collect();
    let (fewest, most) = CASE_LINES;
    let each = lines.checked_div(busy.len()).unwrap_or(most);
    // A few lines of some cases are more useful than no lines at all.
    let each = each.clamp(fewest, most);
    let shown = lines / each;
    html! {
        h2 id="timeline" { "Timeline" }
        p {
            "Time counts from the beginning of a case. "
            span.who-program { "test program" } ", " span.who-driver { "driver" } ", "
            span.who-kernel { "kernel" } ", " span.who-device { "device" }
            ". " code { "timeline.json" } " opens in Perfetto (ui.perfetto.dev), " code { "timeline.jsonl" } " has everything."
        }
        @for (case, moments) in busy.iter().take(shown) { (case_lines(case, moments, each)) }
        @if busy.len() > shown { p.soft { (busy.len() - shown) " more are in timeline.jsonl." } }
    }
}

/// Renders the lines of a case.
fn case_lines(case: &Case, moments: &[&Moment], lines: usize) -> Markup {
    let shown = moments.get(..moments.len().min(lines)).unwrap_or_default();
    html! {
        details {
            summary {
                b { (case.program) } " "
                @if case.name.is_empty() { "around the cases" } @else { (case.name) }
                " "
                @match case.passed {
                    Some(true) => span.good { "✓ passed" },
                    Some(false) => span.bad { "✗ failed" },
                    None => {}
                }
                span.soft { " " (moments.len()) " records, " (micro(case.end.saturating_sub(case.begin))) " µs" }
            }
            (PreEscaped(painted(&picture::draw(case, shown))))
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
            @if moments.len() > lines { p.soft { (moments.len() - lines) " more are in timeline.jsonl." } }
        }
    }
}

/// Returns whether a moment is an access to memory, without a trap.
fn is_shared(moment: &Moment) -> bool {
    matches!(&moment.what, Happening::Access(access) if !access.trapped)
}

/// Returns the style of an actor.
pub(crate) fn who_class(owner: &str) -> &'static str {
    match owner {
        "driver" => "who-driver",
        "kernel" => "who-kernel",
        "device" => "who-device",
        _ => "who-program",
    }
}

/// Returns nanoseconds as microseconds.
fn micro(nanoseconds: u64) -> String {
    format!("{:.1}", nanoseconds as f64 / 1000.0)
}

/// Renders the coverage.
fn coverage(coverage: &Coverage, rows: usize) -> Markup {
    let touched = coverage
        .registers
        .iter()
        .filter(|used| used.reads + used.writes > 0);
    html! {
        h2 id="coverage" { "Coverage" }
        p { (touched.count()) " of " (coverage.registers.len()) " registers and fields of shared pages were touched." }
        table {
            tr { th { "register or field" } th { "access" } th.n { "reads" } th.n { "writes" } th { "widths" } th { "fields seen set" } th { "fields never set" } }
            @for used in &coverage.registers {
                tr {
                    td.c { (used.info.name) }
                    td { (access(used.info)) }
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
            p.soft { "The device's events name opcodes and statuses, and this run has no events." }
        }
        (codes("error", &coverage.errors))
        (codes("interrupt cause, seen set or raised", &coverage.causes))
        h3 { "Registers that the device does not model" }
        @if coverage.unknown.is_empty() { p { "No access reached such a register." } } @else {
            table {
                tr { th { "offset" } th { "by" } th { "function" } th { "where" } th.n { "times" } }
                @for ((_, offset, site), count) in coverage.unknown.iter().take(rows) {
                    tr { td.c { (format!("{offset:#x}")) } td { (site.owner) } td.c { (site.function) } td.c { (site.place) } td.n { (count) } }
                }
            }
            (left_out(coverage.unknown.len(), rows))
        }
        h3 { "Polled registers" }
        @if coverage.spins.is_empty() { p { "No register was read again and again." } } @else {
            table {
                tr { th { "register" } th { "by" } th { "function" } th { "where" } th.n { "reads" } }
                @for ((name, site), count) in coverage.spins.iter().take(rows) {
                    tr { td.c { (name) } td { (site.owner) } td.c { (site.function) } td.c { (site.place) } td.n { (count) } }
                }
            }
            (left_out(coverage.spins.len(), rows))
        }
    }
}

/// Returns the effect of reads and writes on a register, or the page of a field.
fn access(info: &RegisterInfo) -> &'static str {
    let register = Register::ALL.iter().find(|it| it.info() == info);
    match register {
        Some(register) => register.access().name(),
        None if info.offset < DOORBELL_PAGES => "report page",
        None if info.offset < STATUS_PAGES => "doorbell page",
        None => "status page",
    }
}

/// Renders codes and how often each occurred.
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

/// Returns a count, or a dash for none.
fn number(count: u64) -> String {
    if count == 0 {
        "–".to_owned()
    } else {
        count.to_string()
    }
}

/// Returns the fields that were set, or those that were not.
fn fields(fields: &[(&'static str, bool)], set: bool) -> String {
    let names = fields.iter().filter(|(_, was)| *was == set);
    names.map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// Renders the picture of the device.
fn device(run: &Run) -> Markup {
    html! {
        h2 id="device" { "Device and mappings" }
        p {
            "Owners of the device's parts, and their cache policies. Orange traps: each access leaves the guest's code and costs thousands of "
            "times what a load costs. Blue and green are plain memory. Only its owner can map a queue's pages and rings."
        }
        (PreEscaped(painted(&device_picture::draw(run))))
        @if !run.bars.is_empty() {
            p { "In the guest's memory: " @for (number, begin, size) in &run.bars { "BAR " (number) " at " code { (format!("{begin:#x}")) } ", " (size >> 10) " KiB. " } }
        }
    }
}

/// Renders the figures of a benchmark.
fn bench(bench: &Benchmark) -> Markup {
    html! {
        h2 id="bench" { "Benchmark" }
        p { "Ratios over interleaved pairs: a dot is the median, a line the spread. A dot on green ground meets its goal." }
        (PreEscaped(painted(&bench_picture::draw(&bench.ratios))))
        table {
            tr { th { "what" } th.n { "ratio" } th.n { "from" } th.n { "to" } th.n { "pairs" } th { "goal" } th { "this" } th { "by this" } }
            @for ratio in &bench.ratios {
                tr {
                    td { b { (ratio.name) } br; span.soft { (ratio.what) } }
                    td.n { (figure(ratio.median)) " " (ratio.unit) }
                    td.n { (figure(ratio.low)) }
                    td.n { (figure(ratio.high)) }
                    td.n { (ratio.pairs) }
                    td {
                        @match (ratio.goal, ratio.is_met()) {
                            (Some(goal), Some(true)) => span.good { (goal.op.words()) " " (figure(goal.value)) ", ✓ met" },
                            (Some(goal), _) => span.bad { (goal.op.words()) " " (figure(goal.value)) ", ✗ missed" },
                            (None, _) => span.soft { "none" },
                        }
                    }
                    td { (side(&ratio.numerator)) }
                    td { (side(&ratio.denominator)) }
                }
            }
        }
        @for left in &bench.left_out { p.soft { (left.name) ": not measured, " (left.reason) } }
        @if !bench.environment.is_empty() {
            table { @for (key, value) in &bench.environment { tr { td { (key) } td.c { (plain(value)) } } } }
        }
    }
}

/// Renders one half of a ratio.
fn side(side: &Side) -> Markup {
    html! { (figure(side.median)) " " (side.unit) br; span.soft { (side.what) } }
}

/// Returns a JSON value, without the quotes of a text.
fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// Returns a figure with about three significant digits.
pub(crate) fn figure(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 => format!("{value:.2}"),
        _ => format!("{value:.2e}"),
    }
}

/// Renders seeds, versions and command lines.
fn environment(content: &Content<'_>, rows: usize) -> Markup {
    html! {
        h2 id="environment" { "Environment" }
        @for run in &content.results.runs {
            table {
                tr { th { (run.name) } th { "seeds, versions, command lines" } }
                @for fact in run.guest.iter().take(rows) { tr { td { (fact.key) } td { (fact.value) } } }
                @for (key, value) in &run.configuration { tr { td { (key) } td.c { (plain(value)) } } }
                @for (program, seeds) in seeds(run).iter().take(rows) { tr { td { "seeds of " (program) } td.c { (seeds) } } }
                tr { td { "repeat" } td.c { (run.again) } }
            }
        }
        @match content.versions {
            Some(_) => p { "Versions of the tools of this run:" },
            None => p { "Versions that " code { "ci/versions.env" } " pins:" },
        }
        table { @for (name, value) in versions(content.versions.unwrap_or(PINNED)) { tr { td { (name) } td.c { (value) } } } }
        @for (program, line) in content.commands {
            @if !line.is_empty() { h3 { (program) } pre { (line.trim()) } }
        }
    }
}

/// Returns the seeds that programs printed, each once, in one line per program.
fn seeds(run: &TestRun) -> Vec<(&str, String)> {
    let mut all = Vec::new();
    for program in &run.programs {
        let parts = program.parts.iter().flat_map(|part| &part.diagnostics);
        let lines = program.diagnostics.iter().chain(parts);
        let found = lines.filter_map(|line| line.trim().strip_prefix("seed "));
        let seeds: BTreeSet<_> = found.collect();
        let more = seeds.len().saturating_sub(SEEDS);
        let shown: Vec<_> = seeds.into_iter().take(SEEDS).collect();
        let mut line = shown.join(", ");
        if more > 0 {
            line.push_str(&format!(" and {more} more in results.ktap"));
        }
        if !shown.is_empty() {
            all.push((program.name.as_str(), line));
        }
    }
    all
}

/// Returns the versions of Debian's packages and of Rust.
fn versions(lines: &str) -> impl Iterator<Item = (&str, &str)> {
    let assigned = lines.lines().filter_map(|line| line.split_once('='));
    assigned.filter(|(name, _)| name.ends_with("_VERSION"))
}

#[cfg(test)]
mod tests;

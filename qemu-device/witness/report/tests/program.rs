// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Tests of the program's output and exit status.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::json;
use tempfile::tempdir;

/// A run's folder, with its logs in `logs/run`.
struct Folder(tempfile::TempDir);

/// End of the program.
struct Ended {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Folder {
    /// Makes the folder of a run with these records. The runner found no failure.
    fn with(records: &str) -> Self {
        let folder = Self(tempdir().expect("a folder"));
        fs::create_dir_all(folder.path("logs/run")).expect("made");
        fs::write(folder.path("programs"), "").expect("written");
        fs::write(folder.path("logs/run/accesses.jsonl"), records).expect("written");
        let run = |name, again| {
            json!({
                "name": name, "seconds": 1.0, "good": true, "passed": 1, "failed": 0, "skipped": 0,
                "configuration": {}, "guest": [], "programs": [], "failures": [], "again": again,
            })
        };
        let runs = [run("other", "make other"), run("run", "make run TRACE='1'")];
        let results = json!({ "runs": runs }).to_string();
        fs::write(folder.path("results.json"), results).expect("written");
        folder
    }

    /// Returns a path in the folder.
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs a command of the program.
    fn run(&self, command: &mut Command) -> Ended {
        let output = command
            .arg("--logs")
            .arg(self.path("logs/run"))
            .arg("--module")
            .arg(std::env::current_exe().expect("a program"))
            .arg("--programs")
            .arg(self.path("programs"))
            .output()
            .expect("started");
        Ended {
            status: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("text"),
            stderr: String::from_utf8(output.stderr).expect("text"),
        }
    }

    /// Judges the records.
    fn judge(&self) -> Ended {
        self.run(program().arg("judge"))
    }

    /// Draws the page.
    fn draw(&self) -> Ended {
        let mut command = program();
        command
            .arg("draw")
            .arg("--results")
            .arg(self.path("results.json"));
        self.run(command.arg("--out").arg(self.0.path()))
    }
}

/// Returns the program.
fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_ringbar-report"))
}

/// Returns a record of a mark.
fn mark(text: &str) -> String {
    let mark = json!({ "kind": "mark", "time": 1, "cpu": 0, "text": text });
    format!("{mark}\n")
}

/// Returns records with 21 unknown claims, which are complaints, of two cases.
fn broken_claims() -> String {
    let mut records = mark("begin first");
    (0..20).for_each(|number| records += &mark(&format!("claim nonsense {number}")));
    records += &mark("begin second");
    records + &mark("claim of something else")
}

#[test]
fn whole_records_without_a_broken_claim_hold() {
    let start = json!({ "kind": "start", "time": 0, "format": 1, "writer": "test" });
    let (armed, end) = (
        json!({ "kind": "armed", "time": 1 }),
        json!({ "kind": "end", "time": 2 }),
    );

    let event = json!({ "kind": "event", "time": 1, "event": "interrupt", "vector": 1 });

    let ended = Folder::with(&format!("{start}\n{armed}\n{event}\n{end}\n")).judge();

    assert_eq!(ended.stdout, "", "{}", ended.stderr);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
}

#[test]
fn records_without_an_end_do_not_hold() {
    let ended = Folder::with("{\"kind\":\"armed\",\"time\":1}\n").judge();

    assert_eq!(ended.status, Some(1), "{}", ended.stderr);
    let first = ended.stdout.lines().next();
    assert_eq!(first, Some("the records have no end: some are missing"));
}

#[test]
fn run_without_records_does_not_hold() {
    let ended = Folder::with("").judge();

    assert_eq!(ended.status, Some(1), "{}", ended.stderr);
    assert!(
        ended.stdout.contains("nothing was recorded"),
        "{}",
        ended.stdout
    );
}

#[test]
fn complaints_are_a_line_each_and_the_first_ones_are_of_different_cases() {
    let ended = Folder::with(&broken_claims()).judge();

    let lines: Vec<_> = ended.stdout.lines().collect();
    assert_eq!(ended.status, Some(1), "{}", ended.stderr);
    assert!(lines.len() >= 21, "{}", ended.stdout);
    let of = |case: &str| lines.iter().position(|line| line.contains(case));
    let nonsense = lines.iter().position(|line| line.contains("nonsense 1"));
    assert!(of("second: ") < nonsense, "{}", ended.stdout);
}

#[test]
fn line_feed_in_a_claim_makes_no_line() {
    let records = mark("begin first") + &mark("claim two\nlines");

    let ended = Folder::with(&records).judge();

    assert!(ended.stdout.contains("two lines"), "{}", ended.stdout);
}

#[test]
fn records_that_cannot_be_read_are_a_complaint_with_file_and_line() {
    let ended = Folder::with("{\"kind\":\"armed\",\"time\":1}\n{}\n").judge();

    assert_eq!(ended.status, Some(1));
    assert!(
        ended.stderr.contains("accesses.jsonl, line 2: "),
        "{}",
        ended.stderr
    );
}

#[test]
fn page_has_all_complaints_and_drawing_it_is_no_judgement() {
    let folder = Folder::with(&broken_claims());

    let ended = folder.draw();

    let page = folder.path("report.html");
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert_eq!(ended.stdout, format!("report: {}\n", page.display()));
    let page = fs::read_to_string(page).expect("a page");
    assert!(page.contains("nonsense 19"), "the page lacks a complaint");
}

#[test]
fn run_that_cannot_be_drawn_ends_with_its_logs_and_the_command_that_repeats_it() {
    let folder = Folder::with("{}\n");

    let ended = folder.draw();

    let logs = folder.path("logs/run");
    let end = format!("logs:  {}\nagain: make run TRACE='1'\n", logs.display());
    assert_eq!(ended.status, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("FAILED: "), "{}", ended.stderr);
    assert!(ended.stderr.ends_with(&end), "{}", ended.stderr);
}

/// Returns the records of a run with another device than ringbar's: an access at an
/// offset that is reserved in ringbar.
fn other_device() -> String {
    let access = |pc: &str, write: bool| {
        json!({
            "kind": "access", "time": 2, "cpu": 0, "pc": pc, "space": "register", "name": "START",
            "offset": 0x808, "width": 4, "write": write, "value": "0x1", "trapped": true,
        })
    };
    [
        json!({ "kind": "start", "time": 0, "format": 1, "writer": "test", "other_device": true }),
        json!({ "kind": "armed", "time": 1 }),
        access("0xffffffff80000000", true),
        json!({ "kind": "end", "time": 3 }),
    ]
    .map(|record| format!("{record}\n"))
    .concat()
}

#[test]
fn other_device_needs_neither_events_nor_a_data_sheet() {
    let ended = Folder::with(&other_device()).judge();

    assert_eq!(ended.stdout, "", "{}", ended.stderr);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
}

#[test]
fn page_of_another_device_has_its_registers_and_none_of_ringbars() {
    let folder = Folder::with(&other_device());

    let ended = folder.draw();

    let page = fs::read_to_string(folder.path("report.html")).expect("a page");
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let row = "<td class=\"c\">START</td><td>write</td><td class=\"who-kernel\">kernel</td>";
    assert!(page.contains(row), "{page}");
    assert!(!page.contains("IRQ_MASK"), "a register of ringbar's");
}

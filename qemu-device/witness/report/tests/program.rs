// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Tests of the program's output and exit status.

use std::fs;
use std::process::Command;

use serde_json::json;
use tempfile::tempdir;

/// Runs the program on these records. Returns exit status, standard error, and the folders.
fn told(records: &str) -> (Option<i32>, String, std::path::PathBuf, tempfile::TempDir) {
    let folder = tempdir().expect("a folder");
    let (logs, results) = (
        folder.path().join("logs/run"),
        folder.path().join("results.json"),
    );
    let programs = folder.path().join("programs");
    fs::create_dir_all(&logs).expect("made");
    fs::write(&programs, "").expect("written");
    fs::write(logs.join("accesses.jsonl"), records).expect("written");
    let run = |name, again| {
        json!({
            "name": name, "seconds": 1.0, "good": true, "passed": 1, "failed": 0, "skipped": 0,
            "configuration": {}, "guest": [], "programs": [], "failures": [], "again": again,
        })
    };
    let runs = [run("other", "make other"), run("run", "make run TRACE='1'")];
    fs::write(&results, json!({ "runs": runs }).to_string()).expect("written");

    let output = Command::new(env!("CARGO_BIN_EXE_ringbar-report"))
        .arg("--logs")
        .arg(&logs)
        .arg("--results")
        .arg(&results)
        .arg("--module")
        .arg(std::env::current_exe().expect("a program"))
        .arg("--programs")
        .arg(&programs)
        .arg("--out")
        .arg(folder.path())
        .output()
        .expect("started");

    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), text, logs, folder)
}

#[test]
fn run_that_does_not_hold_ends_with_its_logs_and_the_command_that_repeats_it() {
    // Records without their last line.
    let (status, told, logs, _folder) = told("{\"kind\":\"armed\",\"time\":1}\n");

    let end = format!("logs:  {}\nagain: make run TRACE='1'\n", logs.display());
    assert_eq!(status, Some(1), "{told}");
    assert!(told.contains("FAILED: witness: "), "{told}");
    assert!(told.ends_with(&end), "{told}");
}

#[test]
fn complaints_of_the_witness_are_five_lines_and_the_rest_is_on_the_page() {
    // Each unknown claim is a complaint.
    let mark = |text: &str| {
        format!(
            "{}\n",
            json!({ "kind": "mark", "time": 1, "cpu": 0, "text": text })
        )
    };
    let mut records = mark("begin first");
    (0..20).for_each(|number| records += &mark(&format!("claim nonsense {number}")));
    records += &mark("begin second");
    records += &mark("claim of something else");

    let (status, told, logs, folder) = told(&records);

    let lines = told.lines().filter(|line| line.contains("witness: "));
    let lines: Vec<&str> = lines.collect();
    assert_eq!(status, Some(1), "{told}");
    assert_eq!(lines.len(), 6, "{told}");
    assert!(lines.iter().any(|line| line.contains("second: ")), "{told}");
    assert!(lines[5].contains(" more, on the page: "), "{told}");
    let page = fs::read_to_string(folder.path().join("report.html")).expect("a page");
    assert!(page.contains("nonsense 19"), "the page lacks a complaint");
    let all = fs::read_to_string(logs.join("witness.txt")).expect("there");
    assert!(all.lines().count() >= 21, "{all}");
}

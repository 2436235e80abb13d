// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What the program says and ends with.

use std::fs;
use std::process::Command;

use serde_json::json;
use tempfile::tempdir;

#[test]
fn run_that_does_not_hold_ends_with_its_logs_and_the_command_that_repeats_it() {
    let folder = tempdir().expect("a folder");
    let (logs, results) = (
        folder.path().join("logs/run"),
        folder.path().join("results.json"),
    );
    let programs = folder.path().join("programs");
    fs::create_dir_all(&logs).expect("made");
    fs::write(&programs, "").expect("written");
    // Records without their end.
    fs::write(
        logs.join("accesses.jsonl"),
        "{\"kind\":\"armed\",\"time\":1}\n",
    )
    .expect("written");
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

    let told = String::from_utf8_lossy(&output.stderr);
    let end = format!("logs:  {}\nagain: make run TRACE='1'\n", logs.display());
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("FAILED: witness: "), "{told}");
    assert!(told.ends_with(&end), "{told}");
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Runs that end in every possible way. None may leave a process behind.

mod broken_off;
mod children;
mod figures;
mod fixture;
mod hangs;
mod hotplug;
mod judge;
mod kernel_log;
mod own;
mod shown;
mod terminal;

use fixture::{Finished, Fixture, GOOD_GUEST, GOOD_SERVER};

/// Runs the runner, and asserts that no process is left.
fn run(fixture: &Fixture, options: &[&str]) -> Finished {
    let finished = fixture.run(options);
    assert_eq!(fixture.processes(), [""; 0], "processes left behind");
    finished
}

#[track_caller]
fn assert_failed(finished: &Finished, reason: &str) {
    let (summary, all) = (finished.summary(), &finished.stderr);
    assert_eq!(finished.status.code(), Some(1), "{all}");
    assert!(summary.starts_with("ringbar: FAILED: "), "{all}");
    assert!(summary.contains(reason), "{all}");
    assert!(all.contains("logs:  "), "{all}");
    assert!(all.contains("again: "), "{all}");
}

#[test]
fn broken_kvm_falls_back_to_tcg() {
    let guest = format!("case \"$*\" in *'accel kvm'*) echo no kvm; exit 1 ;; esac\n{GOOD_GUEST}");
    let fixture = Fixture::new(GOOD_SERVER, &guest);

    let finished = run(&fixture, &["--accel", "auto"]);

    assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
    assert!(finished.stderr.contains("fell back to TCG"));
    assert!(finished.stderr.contains("booting (TCG)"));
}

#[test]
fn required_but_broken_kvm_is_a_failure() {
    let fixture = Fixture::new(GOOD_SERVER, "exit 1");

    let finished = run(&fixture, &["--accel", "kvm"]);

    assert_failed(&finished, "KVM was asked for, but ");
}

#[test]
fn wrong_command_line_has_its_own_status() {
    let fixture = Fixture::new(GOOD_SERVER, GOOD_GUEST);

    let finished = run(&fixture, &["--smp", "1"]);

    assert_eq!(finished.status.code(), Some(2));
    assert!(finished.stderr.contains("fences"), "{}", finished.stderr);
}

#[test]
fn temporary_folder_with_a_long_name_is_refused_with_advice() {
    let fixture = Fixture::new(GOOD_SERVER, GOOD_GUEST);
    let long = fixture.path(&"x".repeat(100));
    std::fs::create_dir(&long).expect("a folder");

    let output = fixture
        .command(&[])
        .env("TMPDIR", &long)
        .output()
        .expect("the runner starts");

    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr.contains("set TMPDIR"), "{stderr}");
}

#[test]
fn nothing_stays_in_the_temporary_folder() {
    let fixture = Fixture::new(GOOD_SERVER, GOOD_GUEST);
    let temporary = fixture.path("tmp");
    std::fs::create_dir(&temporary).expect("a folder");

    let output = fixture
        .command(&[])
        .env("TMPDIR", &temporary)
        .output()
        .expect("the runner starts");

    assert_eq!(output.status.code(), Some(0));
    assert_eq!(std::fs::read_dir(&temporary).expect("there").count(), 0);
}

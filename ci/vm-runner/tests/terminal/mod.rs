// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Tests of the runner's part in a shell; `ci/shell-check` drives a real one.

use std::process::{Command, Output};

use crate::fixture::{Fixture, GOOD_SERVER};

/// Lines of init before a shell, and its wait for the size.
const OPEN: &str = r#"
say '[    0.000000] Linux version 7.3.4'
tell '# kernel: Linux 7.3.4' '# driver: ringbar loaded' '# shell: /dev/ttyS3'
answered
"#;

fn shell(guest: &str, options: &[&str]) -> (Fixture, Output) {
    let fixture = Fixture::new(GOOD_SERVER, guest);
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringbar-vm-runner"));
    command
        .arg("shell")
        .args(&fixture.arguments()[1..])
        .args(options);
    fixture.surround(&mut command);
    let output = command.output().expect("the runner starts");
    assert_eq!(fixture.processes(), [""; 0], "processes left behind");
    (fixture, output)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn ended_shell_is_a_success() {
    let (fixture, output) = shell(&format!("{OPEN}\necho '/ # exit'; leave"), &[]);

    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(output.stdout, b"/ # exit\n");
    assert!(fixture.log("qemu-command.txt").contains("ringbar.shell"));
}

#[test]
fn facts_and_hints_are_shown_without_the_boot() {
    let (fixture, output) = shell(&format!("{OPEN}\nleave"), &["--example", "/tests/dma word"]);

    let said = said(&output);
    for text in [
        "driver  ringbar loaded",
        "ringbarctl watch",
        "/tests/dma word",
        "Ctrl-A X",
    ] {
        assert!(said.contains(text), "{text}: {said}");
    }
    assert!(!said.contains("Linux version"), "{said}");
    assert!(fixture.log("console.log").contains("Linux version"));
}

#[test]
fn shell_gets_the_size_before_it_starts() {
    let (fixture, output) = shell(&format!("{OPEN}\nleave"), &[]);

    // The test has no window.
    assert_eq!(fixture.log("qemu.log"), "answer: size 0 0\n");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}

#[test]
fn guest_that_powers_off_without_a_shell_is_a_failure_with_the_boot() {
    let (_bench, output) = shell("say 'VFS: no root'; leave", &[]);

    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("powered off before it had a shell"), "{said}");
    assert!(said.contains("VFS: no root"), "{said}");
}

#[test]
fn user_who_ends_qemu_while_it_boots_has_not_failed() {
    let guest = r#"for word in "$@"; do case "$word" in
        stdio,*logfile=*) echo 'QEMU: Terminated' > "${word#*logfile=}" ;;
    esac; done; leave"#;

    let (_bench, output) = shell(guest, &[]);

    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}

#[test]
fn missing_driver_is_shown_with_the_boot_and_the_shell_starts() {
    let guest = "say 'ringbar: probe failed'; sleep 0.2
        tell 'Bail out! cannot load ringbar.ko: ENODEV' '# shell: /dev/ttyS3'; answered; leave";

    let (fixture, output) = shell(guest, &[]);

    let said = said(&output);
    assert!(said.contains("cannot load ringbar.ko: ENODEV"), "{said}");
    assert!(said.contains("ringbar: probe failed"), "{said}");
    assert!(fixture.log("qemu.log").contains("answer: size"), "{said}");
}

#[test]
fn oops_under_a_shell_is_shown_with_its_trace_and_fails() {
    let guest = format!(
        "{OPEN}
        say '[    9.0] Oops: 0002 [#1] SMP' '[    9.1] RIP: 0010:ringbar_probe'
        leave"
    );

    let (_bench, output) = shell(&guest, &[]);

    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("RIP: 0010:ringbar_probe"), "{said}");
    assert!(said.contains("FAILED: kernel oops: Oops: 0002"), "{said}");
}

#[test]
fn failed_qemu_under_a_shell_is_shown_with_its_output() {
    let guest = format!("{OPEN}\necho no such device >&2; exit 3");

    let (_bench, output) = shell(&guest, &[]);

    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains("no such device"),
        "{}",
        said(&output)
    );
    assert!(
        said(&output).contains("QEMU ended with exit status 3"),
        "{}",
        said(&output)
    );
}

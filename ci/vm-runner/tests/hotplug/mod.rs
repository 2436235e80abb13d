// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Runs in which the guest unplugs the device and plugs it in again.
//!
//! One script plays the guest, which sends requests, and QEMU's monitor, which receives commands.

pub(crate) mod servers;

use crate::fixture::{Fixture, GOOD_GUEST, GOOD_SERVER};
use crate::{assert_failed, run};

/// A server for one device after the other. The guest's script decides when a device leaves.
pub(crate) const SERVER: &str = r#"listening; until gone; do
    if [ -e "$RINGBAR_FIXTURE/deleted" ]; then rm "$RINGBAR_FIXTURE/deleted"; exit 0; fi
    sleep 0.02
done"#;

/// QEMU unplugs the device on command.
pub(crate) const DELETE: &str = r#"
told # qmp_capabilities
ask device_del
told
monitor '{"return": {}, "id": 1}'
monitor '{"event": "DEVICE_DELETED", "data": {"device": "ringbar0", "path": "/x"}}'
"#;

#[test]
fn device_leaves_and_comes_back_with_another_server() {
    let guest = format!(
        r#"{DELETE} touch "$RINGBAR_FIXTURE/deleted"; answered
        ask device_add; told; monitor '{{"return": {{}}, "id": 2}}'; answered
        {GOOD_GUEST}"#
    );
    let fixture = Fixture::new(SERVER, &guest);

    let finished = run(&fixture, &["--interrupts", "msi"]);

    assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
    let log = fixture.log("qemu.log");
    let answers = log.lines().filter(|line| *line == "answer: ok").count();
    assert_eq!(answers, 2, "{log}");
    assert!(log.contains(r#""execute":"device_add","id":2"#), "{log}");
    let servers = fixture.log("server.log").matches("listening on").count();
    assert_eq!(servers, 2);
}

#[test]
fn server_may_end_long_before_qemus_event() {
    let guest = format!(
        r#"told; ask device_del; told; touch "$RINGBAR_FIXTURE/deleted"; sleep 1.5
        monitor '{{"event": "DEVICE_DELETED", "data": {{"device": "ringbar0"}}}}'; answered
        {GOOD_GUEST}"#
    );
    let fixture = Fixture::new(SERVER, &guest);

    let finished = run(&fixture, &["--interrupts", "msi"]);

    assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
    assert!(fixture.log("qemu.log").contains("answer: ok"));
}

#[test]
fn guest_may_power_off_without_its_device() {
    let guest = format!(r#"{DELETE} touch "$RINGBAR_FIXTURE/deleted"; answered; {GOOD_GUEST}"#);
    let fixture = Fixture::new(SERVER, &guest);

    let finished = run(&fixture, &["--interrupts", "msi"]);

    assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
}

/// QEMU lists a device's table of MSI-X.
const TABLE: &str = r#"
told # qmp_capabilities
ask device_del
told; monitor '{"return": [{"name": "msix-table[0]", "type": "child<memory-region>"}], "id": 1}'
"#;

#[test]
fn msix_device_leaves_held_by_a_vcpu_and_comes_back_with_another_server() {
    let guest = format!(
        r#"{TABLE}
        told; monitor '{{"return": [{{"type": "t", "props": {{"core-id": 2}}}}], "id": 2}}'
        told; monitor '{{"return": {{}}, "id": 3}}'; told; monitor '{{"return": {{}}, "id": 4}}'
        told; monitor '{{"return": [{{"name": "ringbar0"}}], "id": 5}}'
        told; monitor '{{"return": [{{"name": "port0"}}], "id": 6}}'; answered
        ask device_add; told; monitor '{{"return": {{}}, "id": 7}}'; answered
        ask 'machine_reset 0'; answered
        {GOOD_GUEST}"#
    );
    let fixture = Fixture::new(GOOD_SERVER, &guest);

    let finished = run(&fixture, &["--interrupts", "msix"]);

    assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
    let log = fixture.log("qemu.log");
    assert_eq!(log.matches("answer: ok").count(), 2, "{log}");
    let holder = r#""memory":"/machine/peripheral/ringbar0/msix-table[0]""#;
    assert!(log.contains(holder), "{log}");
    assert!(
        log.contains("answer: error: the firmware would wait"),
        "{log}"
    );
    let servers = fixture.log("server.log").matches("listening on").count();
    assert_eq!(servers, 2);
    let command = fixture.log("qemu-command.txt");
    assert!(command.contains("-smp 2,maxcpus=128 "), "{command}");
    let said = format!("{}{}", finished.stdout, finished.stderr);
    assert!(said.contains("keeps until its end: 1,"), "{said}");
}

#[test]
fn msix_device_stays_without_a_spare_vcpu_and_the_guest_gets_the_reason() {
    let guest =
        format!(r#"{TABLE} told; monitor '{{"return": [], "id": 2}}'; answered; {GOOD_GUEST}"#);
    let fixture = Fixture::new(GOOD_SERVER, &guest);

    let finished = run(&fixture, &["--interrupts", "msix"]);

    assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
    let log = fixture.log("qemu.log");
    assert!(log.contains("answer: error: all 126 spare vCPUs"), "{log}");
    assert!(!log.contains(r#""execute":"device_del""#), "{log}");
}

#[test]
fn server_that_fails_while_its_device_leaves_fails_the_run() {
    let server = format!("{SERVER}; kill -9 $$").replace("exit 0", "kill -9 $$");
    let guest = format!(r#"{DELETE} touch "$RINGBAR_FIXTURE/deleted"; answered; sleep 1000"#);
    let fixture = Fixture::new(&server, &guest);

    let finished = run(&fixture, &["--interrupts", "msi"]);

    assert_failed(
        &finished,
        "the server of device 0 ended with signal 9 (SIGKILL)",
    );
}

#[test]
fn server_that_leaves_after_the_device_was_put_back_fails_the_run() {
    let guest = format!(
        r#"{DELETE} touch "$RINGBAR_FIXTURE/deleted"; answered
        ask device_add; told; monitor '{{"return": {{}}, "id": 2}}'; answered
        touch "$RINGBAR_FIXTURE/deleted"; sleep 1000"#
    );
    let fixture = Fixture::new(SERVER, &guest);

    let finished = run(&fixture, &["--interrupts", "msi", "--haste", "30"]);

    assert_failed(&finished, "the server of device 0 ended with exit status 0");
}

#[test]
fn refusal_of_the_monitor_reaches_the_guest() {
    let guest = format!(
        r#"told; ask device_del; told
        monitor '{{"error": {{"class": "GenericError", "desc": "no such bus"}}, "id": 1}}'
        answered; {GOOD_GUEST}"#
    );
    let fixture = Fixture::new(GOOD_SERVER, &guest);

    let finished = run(&fixture, &["--interrupts", "msi"]);

    assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
    let log = fixture.log("qemu.log");
    let answer = "answer: error: QEMU refused device_del: no such bus";
    assert!(log.contains(answer), "{log}");
}

#[test]
fn machine_that_asked_to_be_woken_is_woken_when_it_sleeps() {
    let guest = format!(
        r#"told; ask wake; answered; monitor '{{"event": "SUSPEND"}}'; told; {GOOD_GUEST}"#
    );
    let fixture = Fixture::new(GOOD_SERVER, &guest);

    let finished = run(&fixture, &[]);

    assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
    let log = fixture.log("qemu.log");
    assert!(log.contains("answer: ok"), "{log}");
    assert!(log.contains(r#""execute":"system_wakeup""#), "{log}");
}

#[test]
fn link_error_is_answered_when_qemu_has_it() {
    let guest = format!(
        r#"told; ask link_fatal; told
        monitor "{{\"return\": \"OK id: port0\", \"id\": ${{command##*:}}"; answered
        {GOOD_GUEST}"#
    );
    let fixture = Fixture::new(GOOD_SERVER, &guest);

    let finished = run(&fixture, &[]);

    assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
    let log = fixture.log("qemu.log");
    assert!(log.contains("pcie_aer_inject_error port0 DLP"), "{log}");
    assert!(log.contains("answer: ok"), "{log}");
}

#[test]
fn nonsense_from_the_monitor_ends_the_run() {
    let fixture = Fixture::new(GOOD_SERVER, "monitor hello; sleep 1000");

    let finished = run(&fixture, &[]);

    assert_failed(&finished, "QEMU's monitor sent \"hello");
}

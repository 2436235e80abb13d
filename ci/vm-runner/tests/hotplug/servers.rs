// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Runs in which the guest kills, stops and continues servers, and runs with two devices.

use rustix::process::Signal;

use super::{DELETE, SERVER};
use crate::fixture::{Fixture, GOOD_GUEST, GOOD_SERVER};
use crate::{assert_failed, run};

/// Reports its number and its device, and is a good server.
const NAMED_SERVER: &str = r#"
case "$*" in *device1*) number=1 ;; *) number=0 ;; esac
echo "server of device $number"; echo $$ > "$RINGBAR_FIXTURE/pid$number"
"#;

/// Function of the guest's script that shows the state of a server.
const STATE: &str = r#"
state() { sed 's/.*) \(.\).*/state: \1/' "/proc/$(cat "$RINGBAR_FIXTURE/pid$1")/stat" >&2; }
"#;

/// Returns a good server that reports its number.
pub(crate) fn named_server() -> String {
    format!("{NAMED_SERVER}{GOOD_SERVER}")
}

#[test]
fn devices_have_servers_and_logs_of_their_own() {
    let fixture = Fixture::new(&named_server(), GOOD_GUEST);

    let finished = run(&fixture, &["--devices", "2"]);

    assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
    assert!(fixture.log("server.log").contains("server of device 0"));
    assert!(fixture.log("server1.log").contains("server of device 1"));
    let command = fixture.log("qemu-command.txt");
    assert_eq!(command.matches("vfio-user-pci").count(), 2, "{command}");
}

/// Returns a guest that has the server of its device killed, then takes the device out and puts it
/// back.
pub(crate) fn revival() -> String {
    format!(
        r#"ask server_kill; answered {DELETE} answered
        ask device_add; told; monitor '{{"return": {{}}, "id": 2}}'; answered
        {GOOD_GUEST}"#
    )
}

/// Runs a [`revival`]. Fails unless another server follows the first one.
#[track_caller]
pub(crate) fn assert_comes_back_after_its_server_was_killed(fixture: &Fixture) {
    let finished = run(fixture, &["--interrupts", "msi"]);

    assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
    let answers = fixture.log("qemu.log").matches("answer: ok").count();
    assert_eq!(answers, 3);
    let servers = fixture.log("server.log").matches("listening on").count();
    assert_eq!(servers, 2);
}

/// Returns a guest that has the server of its device stopped and continued.
pub(crate) fn pause() -> String {
    format!(
        "{STATE} told; ask server_stop; answered; state 0
        ask server_cont; answered; until state 0 2>&1 | grep -q '[RS]'; do sleep 0.01; done
        {GOOD_GUEST}"
    )
}

/// Runs a [`pause`] of a [`named_server`]. Fails unless the server stood still, and then went on.
#[track_caller]
pub(crate) fn assert_is_stopped_and_continued(fixture: &Fixture) {
    let finished = run(fixture, &[]);

    assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
    let log = fixture.log("qemu.log");
    assert!(log.contains("answer: ok\nstate: T\nanswer: ok\n"), "{log}");
}

/// Returns a guest whose run ends while the server of its device is stopped.
pub(crate) fn stopped_to_the_end() -> String {
    format!("told; ask server_stop; answered; {GOOD_GUEST}")
}

/// Returns a named server that crashes when it goes on.
pub(crate) fn fragile_server() -> String {
    format!("trap 'kill -SEGV $$' CONT\n{}", named_server())
}

/// Guest that has the server of its device stopped and continued, and then waits.
pub(crate) const PAUSE_WITHOUT_END: &str =
    "told; ask server_stop; answered; ask server_cont; answered; sleep 1000";

#[test]
fn server_that_the_guest_has_killed_does_not_fail_the_run() {
    let guest = format!("told; ask 'server_kill 1'; answered; {GOOD_GUEST}");
    let fixture = Fixture::new(&named_server(), &guest);

    let finished = run(&fixture, &["--devices", "2"]);

    assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
    assert!(fixture.log("qemu.log").contains("answer: ok"));
}

#[test]
fn death_of_another_server_fails_the_run() {
    let guest = r#"told; ask 'server_kill 1'; answered
        kill -9 "$(cat "$RINGBAR_FIXTURE/pid0")"; sleep 1000"#;
    let fixture = Fixture::new(&named_server(), guest);

    let finished = run(&fixture, &["--devices", "2"]);

    assert_failed(&finished, "the server of device 0 ended with signal 9");
}

#[test]
fn device_comes_back_after_its_server_was_killed() {
    assert_comes_back_after_its_server_was_killed(&Fixture::new(SERVER, &revival()));
}

#[test]
fn server_is_stopped_and_continued() {
    assert_is_stopped_and_continued(&Fixture::new(&named_server(), &pause()));
}

#[test]
fn stopped_server_ends_with_the_run() {
    let fixture = Fixture::new(&named_server(), &stopped_to_the_end());

    let finished = run(&fixture, &[]);

    assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
}

#[test]
fn stopped_server_ends_with_an_interrupted_run() {
    let guest = "told; ask server_stop; answered; ready; sleep 1000";
    let fixture = Fixture::new(&named_server(), guest);
    assert_eq!(fixture.interrupt(Signal::INT), Some(130));
}

#[test]
fn continued_server_may_end_with_an_error() {
    let server = format!("trap 'exit 1' CONT\n{}", named_server());
    let guest = format!("told; ask server_stop; answered; ask server_cont; answered; {GOOD_GUEST}");
    let fixture = Fixture::new(&server, &guest);

    let finished = run(&fixture, &[]);

    assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
}

#[test]
fn continued_server_that_crashes_fails_the_run() {
    let fixture = Fixture::new(&fragile_server(), PAUSE_WITHOUT_END);

    let finished = run(&fixture, &[]);

    assert_failed(&finished, "the server of device 0 ended with signal 11");
}

#[test]
fn request_for_a_missing_device_is_refused() {
    let guest = format!("told; ask 'server_kill 1'; answered; {GOOD_GUEST}");
    let fixture = Fixture::new(&named_server(), &guest);

    let finished = run(&fixture, &[]);

    assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
    let log = fixture.log("qemu.log");
    assert!(
        log.contains("answer: error: \"1\" is not a device"),
        "{log}"
    );
}

#[test]
fn request_during_another_one_is_refused_and_the_first_goes_on() {
    let guest = format!(
        r#"{DELETE} ask 'server_kill 1'; answered; touch "$RINGBAR_FIXTURE/deleted"; answered
        {GOOD_GUEST}"#
    );
    let fixture = Fixture::new(SERVER, &guest);

    let finished = run(&fixture, &["--interrupts", "msi"]);

    assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
    let log = fixture.log("qemu.log");
    let refused =
        "answer: error: the runner still works on the request before this one\nanswer: ok";
    assert!(log.contains(refused), "{log}");
}

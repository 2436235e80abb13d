// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Runs in which a server of one's own is killed or stopped, as ringbar's may be.

use super::DRIVER;
use crate::fixture::{Fixture, GOOD_SERVER};
use crate::hotplug::servers::{
    assert_comes_back_after_its_server_was_killed, assert_is_stopped_and_continued, fragile_server,
    named_server, pause, revival, stopped_to_the_end, PAUSE_WITHOUT_END,
};
use crate::hotplug::SERVER;
use crate::{assert_failed, run};

#[test]
fn own_server_that_is_killed_in_the_middle_is_named_with_its_status_and_its_output() {
    let guest = r#"tell 'KTAP version 1' '1..1' '# Subtest: edu' '    1..2' '    ok 1 reads'
        kill -9 "$(cat "$RINGBAR_FIXTURE/pid0")"; sleep 1000"#;
    let fixture = Fixture::of_driver(DRIVER, &named_server(), guest);

    let finished = run(&fixture, &[]);

    assert_failed(
        &finished,
        "the server of device 0 ended with signal 9 (SIGKILL)",
    );
    let text = &finished.stderr;
    assert!(text.contains("edu"), "the program that ran: {text}");
    assert!(text.contains("server of device 0\n"), "its output: {text}");
    let results = fixture.report("results.json");
    assert!(results.contains("ended with signal 9"), "{results}");
}

#[test]
fn own_server_that_the_guest_kills_is_followed_by_another_one() {
    // As a server that binds its socket: it fails where one is left.
    let server = format!(r#"[ ! -e "$2" ] || exit 1; touch "$2"; {SERVER}"#);
    let fixture = Fixture::of_driver(DRIVER, &server, &revival());
    assert_comes_back_after_its_server_was_killed(&fixture);
}

#[test]
fn own_server_is_stopped_and_continued() {
    let fixture = Fixture::of_driver(DRIVER, &named_server(), &pause());
    assert_is_stopped_and_continued(&fixture);
}

#[test]
fn own_server_that_is_stopped_ends_with_the_run() {
    let fixture = Fixture::of_driver(DRIVER, GOOD_SERVER, &stopped_to_the_end());

    let finished = run(&fixture, &[]);

    assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
}

#[test]
fn own_server_that_crashes_when_it_goes_on_is_named_with_its_status() {
    let fixture = Fixture::of_driver(DRIVER, &fragile_server(), PAUSE_WITHOUT_END);

    let finished = run(&fixture, &[]);

    assert_failed(&finished, "the server of device 0 ended with signal 11");
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Runs of a driver in place of ringbar's, with a server of its own or without any.

mod servers;

use crate::fixture::{Fixture, GOOD_GUEST, GOOD_SERVER};
use crate::{assert_failed, run};

const DRIVER: &str = "edu:/dev/edu0";

/// A server that reports its arguments.
fn server() -> String {
    format!("echo \"called with: $*\" >&2\n{GOOD_SERVER}")
}

#[test]
fn own_server_is_called_as_its_readme_says() {
    let fixture = Fixture::of_driver(DRIVER, &server(), GOOD_GUEST);

    let finished = run(&fixture, &["--server-arg=--fast"]);

    assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
    let log = fixture.log("server.log");
    assert!(log.starts_with("called with: --socket /"), "{log}");
    assert!(log.contains("device0.sock --once --fast\n"), "{log}");
}

#[test]
fn own_server_of_a_recorded_run_is_called_alike() {
    let fixture = Fixture::of_driver(DRIVER, &server(), GOOD_GUEST);

    let finished = run(&fixture, &["--plugin", "plugin.so"]);

    assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
    let log = fixture.log("server.log");
    assert!(log.contains("device0.sock --once\n"), "{log}");
}

#[test]
fn driver_is_named_to_the_guest_and_its_device_is_in_the_machine() {
    let fixture = Fixture::of_driver(DRIVER, GOOD_SERVER, GOOD_GUEST);

    run(&fixture, &[]);

    let command = fixture.log("qemu-command.txt");
    assert!(
        command.contains("ringbar.tests=all ringbar.driver=edu:/dev/edu0"),
        "{command}"
    );
    assert!(command.contains("vfio-user-pci"), "{command}");
}

#[test]
fn driver_without_a_server_has_no_device_of_the_runner() {
    let fixture = Fixture::without_server(DRIVER, GOOD_GUEST);

    let finished = run(&fixture, &["--qemu-arg=-device", "--qemu-arg=edu"]);

    assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
    let command = fixture.log("qemu-command.txt");
    assert!(!command.contains("vfio-user-pci"), "{command}");
    assert!(command.ends_with("-device edu\n"), "{command}");
}

#[test]
fn own_server_that_ends_at_once_is_named_with_its_status_and_its_output() {
    let fixture = Fixture::of_driver(DRIVER, "echo no such device >&2; exit 3", GOOD_GUEST);

    let finished = run(&fixture, &[]);

    assert_failed(
        &finished,
        "/server ended with exit status 3 before it was ready",
    );
    assert!(
        finished.stderr.contains("no such device"),
        "{}",
        finished.stderr
    );
}

#[test]
fn second_own_server_that_ends_at_once_is_named_with_its_command() {
    let fixture = Fixture::of_driver(DRIVER, GOOD_SERVER, GOOD_GUEST);
    fixture.script("another", "exit 3");
    let another = fixture.path("another").display().to_string();

    let finished = run(&fixture, &["--own-server", &another, "--server-arg=--fast"]);

    let command = format!("{another} --socket ");
    assert_failed(&finished, &command);
    assert!(
        finished.summary().contains("device1.sock --once --fast"),
        "{}",
        finished.summary()
    );
}

#[test]
fn own_server_that_is_missing_is_named_with_its_option() {
    let fixture = Fixture::of_driver(DRIVER, GOOD_SERVER, GOOD_GUEST);
    std::fs::remove_file(fixture.path("server")).expect("removed");

    let finished = run(&fixture, &[]);

    assert_failed(&finished, "cannot be started");
    assert!(
        finished.summary().contains("--own-server"),
        "{}",
        finished.summary()
    );
}

#[test]
fn driver_whose_device_is_missing_fails_the_run_with_the_guests_reason() {
    let guest =
        "tell 'KTAP version 1' 'Bail out! driver edu is loaded, but there is no /dev/edu0'; off";
    let fixture = Fixture::without_server(DRIVER, guest);

    let finished = run(&fixture, &[]);

    assert_failed(&finished, "driver edu is loaded, but there is no /dev/edu0");
}

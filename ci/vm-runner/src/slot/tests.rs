// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Devices that leave a slot and come back.

mod msix;
mod servers;

use super::*;

const DEVICE_DEL: &str = r#"{"arguments":{"id":"ringbar0"},"execute":"device_del","id":1}"#;

const GOOD: End = End::Status(0);
const KILLED: End = End::Signal(9);

fn slot(interrupts: Interrupts) -> (Slot, Instant) {
    let leave = Leave::of(interrupts, Acceleration::Tcg, true);
    let slot = Slot::new(leave, false, 0, json!({ "driver": "d" }));
    (slot, Instant::now())
}

fn deleted() -> Message {
    Message::Deleted(name(0))
}

fn answered(text: &str) -> Vec<Action> {
    vec![Action::Answer(text.to_owned())]
}

/// Returns a slot whose device has left.
fn empty_slot() -> (Slot, Instant) {
    let (mut slot, now) = slot(Interrupts::Msi);
    slot.request(Request::DeviceDel, now);
    slot.message(&deleted(), now);
    slot.server_ended();
    (slot, now)
}

#[track_caller]
fn assert_refused(actions: &[Action], reason: &str) {
    let refused = |action: &Action| {
        matches!(action, Action::Answer(text)
            if text.starts_with("error: ") && text.contains(reason))
    };
    assert!(actions.iter().any(refused), "{actions:?}");
}

#[test]
fn device_leaves_after_qemus_event_and_its_servers_end() {
    let (mut slot, now) = slot(Interrupts::Msi);

    let asked = slot.request(Request::DeviceDel, now);
    let accepted = slot.message(&Message::Answer(1, Ok(())), now);
    let deleted = slot.message(&deleted(), now);
    let ended = slot.server_ended();

    assert_eq!(asked, [Action::Command(DEVICE_DEL.to_owned())]);
    assert_eq!((accepted, deleted), (Vec::new(), Vec::new()));
    assert_eq!(ended, [Action::EndServer, Action::Answer("ok".to_owned())]);
}

#[test]
fn server_end_before_the_event_does_not_replace_it() {
    let (mut slot, now) = slot(Interrupts::Msi);

    slot.request(Request::DeviceDel, now);
    let before = slot.server_ended();
    slot.message(&deleted(), now);
    let after = slot.server_ended();

    assert!(before.is_empty());
    assert!(after.contains(&Action::Answer("ok".to_owned())));
}

#[test]
fn another_leaving_device_is_ignored() {
    let (mut slot, now) = slot(Interrupts::Msi);

    slot.request(Request::DeviceDel, now);
    slot.message(&Message::Deleted("net0".to_owned()), now);

    assert!(slot.server_ended().is_empty());
}

#[test]
fn device_comes_after_its_server() {
    let (mut slot, now) = empty_slot();

    let asked = slot.request(Request::DeviceAdd(None), now);
    let started = slot.server_started(Ok(()));
    let added = slot.message(&Message::Answer(2, Ok(())), now);

    let command = r#"{"arguments":{"driver":"d"},"execute":"device_add","id":2}"#;
    assert_eq!(asked, [Action::StartServer(None)]);
    assert_eq!(started, [Action::Command(command.to_owned())]);
    assert_eq!(added, answered("ok"));
}

#[test]
fn server_is_started_with_the_lie_of_the_request() {
    let (mut slot, now) = empty_slot();
    let lie = Some(Lie::RegistersShort);

    let asked = slot.request(Request::DeviceAdd(lie), now);

    assert_eq!(asked, [Action::StartServer(lie)]);
}

#[test]
fn refused_request_does_not_block_the_next_one() {
    let (mut slot, now) = slot(Interrupts::Msi);

    assert_refused(&slot.request(Request::DeviceAdd(None), now), "not empty");

    let command = Action::Command(DEVICE_DEL.to_owned());
    assert_eq!(slot.request(Request::DeviceDel, now), [command]);
}

#[test]
fn absent_device_is_not_taken_out() {
    let (mut slot, now) = empty_slot();

    assert_refused(&slot.request(Request::DeviceDel, now), "not in its slot");
}

#[test]
fn refusal_of_device_del_leaves_the_device_in_its_slot() {
    let (mut slot, now) = slot(Interrupts::Msi);

    slot.request(Request::DeviceDel, now);
    let actions = slot.message(&Message::Answer(1, Err("busy".to_owned())), now);

    assert_refused(&actions, "QEMU refused device_del: busy");
    assert!(!slot.server_may_end(GOOD));
}

#[test]
fn refusal_of_device_add_ends_the_server() {
    let (mut slot, now) = empty_slot();

    slot.request(Request::DeviceAdd(None), now);
    slot.server_started(Ok(()));
    let actions = slot.message(&Message::Answer(2, Err("no\nbus".to_owned())), now);

    assert_eq!(actions.first(), Some(&Action::EndServer));
    assert_refused(&actions, "QEMU refused device_add: no bus");
    assert_eq!(
        slot.request(Request::DeviceAdd(None), now),
        [Action::StartServer(None)]
    );
}

#[test]
fn server_that_does_not_start_refuses_the_request() {
    let (mut slot, now) = empty_slot();

    slot.request(Request::DeviceAdd(None), now);
    let actions = slot.server_started(Err("no memory".to_owned()));

    assert_refused(&actions, "no memory");
    assert_eq!(
        slot.request(Request::DeviceAdd(None), now),
        [Action::StartServer(None)]
    );
}

#[test]
fn answer_to_an_older_command_is_not_taken_for_this_one() {
    let (mut slot, now) = empty_slot();

    slot.request(Request::DeviceAdd(None), now);
    slot.server_started(Ok(()));

    assert!(slot.message(&Message::Answer(1, Ok(())), now).is_empty());
}

#[test]
fn request_that_takes_too_long_is_refused_once() {
    let (mut slot, now) = slot(Interrupts::Msi);
    let late = now + LIMIT;

    slot.request(Request::DeviceDel, now);

    assert!(slot.tick(now).is_empty());
    assert_refused(&slot.tick(late), "within 120 s");
    assert!(slot.tick(late).is_empty());
}

#[test]
fn late_leave_is_recorded_without_a_second_reply() {
    let (mut slot, now) = slot(Interrupts::Msi);

    slot.request(Request::DeviceDel, now);
    slot.tick(now + LIMIT);
    slot.message(&deleted(), now);

    assert_eq!(slot.server_ended(), [Action::EndServer]);
    assert_eq!(
        slot.request(Request::DeviceAdd(None), now),
        [Action::StartServer(None)]
    );
}

#[test]
fn slots_do_not_mix() {
    let (mut first, now) = slot(Interrupts::Msi);
    let mut second = Slot::new(Leave::Freed, false, 1, json!({ "driver": "d" }));
    first.request(Request::DeviceDel, now);
    second.request(Request::DeviceDel, now);

    let answer = Message::Answer(1, Err("busy".to_owned()));

    assert!(second.message(&answer, now).is_empty());
    assert!(second.message(&deleted(), now).is_empty());
    assert_refused(&first.message(&answer, now), "busy");
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Servers that are killed, stopped and replaced.

use super::*;

#[test]
fn untouched_server_may_end_only_with_its_device_and_well() {
    let (mut slot, now) = slot(Interrupts::Msi);

    let before = slot.server_may_end(GOOD);
    slot.request(Request::DeviceDel, now);

    assert!(!before);
    assert!(slot.server_may_end(GOOD));
    assert!(!slot.server_may_end(KILLED));
}

#[test]
fn kill_is_answered_when_the_server_has_ended() {
    let (mut slot, now) = slot(Interrupts::Msix);

    let asked = slot.request(Request::ServerKill, now);
    slot.server_killed(Ok(()));
    let may_end = slot.server_may_end(KILLED);
    let ended = slot.server_ended();

    assert_eq!(asked, [Action::KillServer]);
    assert!(may_end);
    assert_eq!(ended, answered("ok"));
    assert!(slot.server_ended().is_empty());
}

#[test]
fn failed_kill_leaves_the_server_as_before() {
    let (mut slot, now) = slot(Interrupts::Msix);
    slot.request(Request::ServerKill, now);

    assert_refused(&slot.server_killed(Err("no right".into())), "no right");

    assert!(!slot.server_may_end(KILLED));
    assert_eq!(slot.request(Request::ServerKill, now), [Action::KillServer]);
}

#[test]
fn device_whose_server_was_killed_leaves_and_comes_back_with_an_untouched_one() {
    let (mut slot, now) = slot(Interrupts::Msi);
    slot.request(Request::ServerKill, now);
    slot.server_killed(Ok(()));
    slot.server_ended();

    let asked = slot.request(Request::DeviceDel, now);
    let too_early = slot.server_ended();
    slot.message(&deleted(), now);
    let left = slot.server_ended();
    slot.request(Request::DeviceAdd(None), now);
    slot.server_started(Ok(()));

    assert_eq!(asked, [Action::Command(DEVICE_DEL.to_owned())]);
    assert!(too_early.is_empty());
    assert_eq!(left, [Action::EndServer, Action::Answer("ok".to_owned())]);
    assert!(!slot.server_may_end(KILLED));
}

#[test]
fn stop_is_answered_when_the_server_has_stopped() {
    let (mut slot, now) = slot(Interrupts::Msix);

    let asked = slot.request(Request::ServerStop, now);
    let busy = slot.is_busy();
    let stopped = slot.server_stopped();

    assert_eq!(asked, [Action::StopServer]);
    assert!(busy);
    assert_eq!(stopped, answered("ok"));
    assert!(!slot.server_may_end(GOOD));
}

#[test]
fn continued_server_may_end_with_an_error_but_not_crash() {
    let (mut slot, now) = slot(Interrupts::Msix);
    slot.request(Request::ServerStop, now);
    slot.server_stopped();

    let asked = slot.request(Request::ServerCont, now);

    assert_eq!(
        asked,
        [Action::ContinueServer, Action::Answer("ok".to_owned())]
    );
    assert!(slot.server_may_end(GOOD));
    assert!(slot.server_may_end(End::Status(1)));
    assert!(!slot.server_may_end(End::Status(101)));
    assert!(!slot.server_may_end(End::Signal(11)));
}

#[test]
fn stopped_server_can_be_killed() {
    let (mut slot, now) = slot(Interrupts::Msix);
    slot.request(Request::ServerStop, now);
    slot.server_stopped();

    assert_eq!(slot.request(Request::ServerKill, now), [Action::KillServer]);
    slot.server_killed(Ok(()));
    assert_eq!(slot.server_ended(), answered("ok"));
}

#[test]
fn device_does_not_leave_while_its_server_is_stopped() {
    let (mut slot, now) = slot(Interrupts::Msi);
    slot.request(Request::ServerStop, now);
    slot.server_stopped();

    assert_refused(
        &slot.request(Request::DeviceDel, now),
        "continue the server first",
    );
}

#[test]
fn impossible_server_requests_are_refused() {
    let (mut slot, now) = slot(Interrupts::Msix);

    assert_refused(&slot.request(Request::ServerCont, now), "not stopped");
    slot.request(Request::ServerKill, now);
    slot.server_killed(Ok(()));
    slot.server_ended();
    assert_refused(&slot.request(Request::ServerKill, now), "killed before");
    assert_refused(&slot.request(Request::ServerStop, now), "does not run");
    assert_refused(&slot.request(Request::ServerCont, now), "not stopped");
}

#[test]
fn server_requests_for_an_absent_device_are_refused() {
    let (mut slot, now) = empty_slot();

    for request in [Request::ServerKill, Request::ServerStop] {
        assert_refused(&slot.request(request, now), ABSENT);
    }
}

#[test]
fn server_that_does_not_die_in_time_is_reported() {
    let (mut slot, now) = slot(Interrupts::Msix);

    slot.request(Request::ServerKill, now);

    assert_refused(&slot.tick(now + LIMIT), "neither stopped nor ended");
}

#[test]
fn server_cannot_be_replaced_without_a_broker() {
    let (mut slot, now) = slot(Interrupts::Msix);

    let actions = slot.request(Request::ServerSwap, now);

    assert!(
        matches!(&actions[..], [Action::Answer(line)] if line.contains("--broker")),
        "{actions:?}"
    );
    assert!(!slot.is_busy());
}

#[test]
fn server_behind_a_broker_is_replaced_whether_it_runs_or_was_killed() {
    let now = Instant::now();
    let mut slot = Slot::new(Leave::Held, true, 0, json!({}));

    let first = slot.request(Request::ServerSwap, now);
    let swapped = slot.server_swapped(Ok(()));
    slot.request(Request::ServerKill, now);
    slot.server_killed(Ok(()));
    let killed = slot.server_is_killed();
    let ended = slot.server_ended();
    let second = slot.request(Request::ServerSwap, now);
    let again = slot.server_swapped(Ok(()));

    assert_eq!((first, swapped), (vec![Action::SwapServer], answered("ok")));
    assert!(killed);
    assert_eq!(ended, answered("ok"));
    assert_eq!((second, again), (vec![Action::SwapServer], answered("ok")));
    assert!(!slot.server_is_killed());
}

#[test]
fn server_that_cannot_be_started_leaves_the_device_without_one() {
    let mut slot = Slot::new(Leave::Freed, true, 0, json!({}));
    slot.request(Request::ServerSwap, Instant::now());

    let actions = slot.server_swapped(Err("no such file".to_owned()));

    assert_eq!(actions, answered("error: no such file"));
    assert!(slot.server_is_killed());
}

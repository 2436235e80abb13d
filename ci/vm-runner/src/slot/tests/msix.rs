// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Devices with MSI-X, which a spare vCPU holds.

use super::*;

#[test]
fn msix_device_is_not_taken_out_under_kvm_and_the_reason_is_given() {
    let leave = Leave::of(Interrupts::Msix, Acceleration::Kvm, true);
    let mut slot = Slot::new(leave, false, 0, json!({}));

    let actions = slot.request(Request::DeviceDel, Instant::now());

    assert_eq!(actions.len(), 1);
    assert_refused(&actions, "under KVM");
    assert_refused(&actions, "--interrupts msi");
}

#[test]
fn msix_device_is_not_taken_out_of_a_machine_without_spare_processors() {
    let leave = Leave::of(Interrupts::Msix, Acceleration::Tcg, false);

    assert_eq!(leave, Leave::Never);
}

/// Returns the command of a line for QEMU, and its number.
fn command(actions: &[Action]) -> (String, u64) {
    let [Action::Command(line)] = actions else {
        panic!("one command: {actions:?}")
    };
    let line: Value = serde_json::from_str(line).expect("JSON");
    let name = line["execute"].as_str().expect("a name").to_owned();
    (name, line["id"].as_u64().expect("a number"))
}

/// Has QEMU hold the device and accept its `device_del`. Returns the commands.
fn unplug_held(slot: &mut Slot, now: Instant) -> Vec<String> {
    assert_eq!(
        slot.request(Request::DeviceDel, now),
        [Action::HoldConnection]
    );
    let mut actions = slot.connection_held(Ok(()));
    let mut commands = Vec::new();
    while !actions.is_empty() {
        let (name, id) = command(&actions);
        let answer = match name.as_str() {
            "qom-list" => Message::Listed(id, vec![json!({ "name": "msix-table[0]" })]),
            "query-hotpluggable-cpus" => {
                Message::Listed(id, vec![json!({ "type": "t", "props": { "core-id": 2 } })])
            }
            _ => Message::Answer(id, Ok(())),
        };
        commands.push(name);
        actions = slot.message(&answer, now);
    }
    commands
}

/// Has the slot look for its device, and QEMU list others.
fn list_without_the_device(slot: &mut Slot, now: Instant) -> Vec<Action> {
    let (name, id) = command(&slot.tick(now));
    assert_eq!(name, "qom-list");
    slot.message(&Message::Listed(id, vec![json!({ "name": "port0" })]), now)
}

#[test]
fn msix_device_is_held_leaves_and_comes_back() {
    let (mut slot, now) = slot(Interrupts::Msix);

    let commands = unplug_held(&mut slot, now);
    let left = list_without_the_device(&mut slot, now);
    let ended = slot.server_ended();
    let back = slot.request(Request::DeviceAdd(None), now);

    let expected = [
        "qom-list",
        "query-hotpluggable-cpus",
        "device_add",
        "device_del",
    ];
    assert_eq!(commands, expected);
    assert_eq!(left, [Action::ReplaceServer]);
    assert_eq!(ended, [Action::EndServer, Action::Answer("ok".to_owned())]);
    assert_eq!(back, [Action::StartServer(None)]);
}

#[test]
fn msix_device_stays_if_its_connection_cannot_be_held() {
    let (mut slot, now) = slot(Interrupts::Msix);
    slot.request(Request::DeviceDel, now);

    assert_refused(&slot.connection_held(Err("no right".into())), "no right");

    assert!(slot.tick(now).is_empty());
    assert_eq!(
        slot.request(Request::DeviceDel, now),
        [Action::HoldConnection]
    );
}

#[test]
fn msix_device_without_a_spare_vcpu_stays() {
    let (mut slot, now) = slot(Interrupts::Msix);
    slot.request(Request::DeviceDel, now);
    let (_, id) = command(&slot.connection_held(Ok(())));
    let table = vec![json!({ "name": "msix-table[0]" })];
    let (_, id) = command(&slot.message(&Message::Listed(id, table), now));

    let actions = slot.message(&Message::Listed(id, Vec::new()), now);

    assert_refused(&actions, "spare vCPUs");
    assert!(!slot.server_may_end(GOOD));
}

#[test]
fn msix_device_that_leaves_late_is_recorded_without_a_second_reply() {
    let (mut slot, now) = slot(Interrupts::Msix);
    let late = now + LIMIT;
    unplug_held(&mut slot, now);
    let (_, id) = command(&slot.tick(now));
    slot.message(&Message::Listed(id, vec![json!({ "name": name(0) })]), now);

    let told = slot.tick(late);
    let (last, looks) = told.split_last().expect("a look and a refusal");
    assert_refused(std::slice::from_ref(last), "within 120 s");
    let (_, id) = command(looks);
    let left = slot.message(&Message::Listed(id, Vec::new()), late);

    assert_eq!(left, [Action::ReplaceServer]);
    assert_eq!(slot.server_ended(), [Action::EndServer]);
}

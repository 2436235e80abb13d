// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What is in the hot-plug slot, and what the guest may ask for. Pure: from what was heard to what
//! is to be done.
//!
//! One request at a time. It is answered when it is carried out to the end, or when it is clear
//! that it will not be.

use std::time::{Duration, Instant};

use serde_json::{json, Value};

use crate::options::Interrupts;
use crate::qmp::{self, Message};

/// Name of the device in QEMU.
pub(crate) const DEVICE: &str = "ringbar0";
/// How long a request may take before the guest is told that it failed.
const LIMIT: Duration = Duration::from_secs(30);

/// Something to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Send a line to QEMU's monitor.
    Command(String),
    /// Send a line to the guest.
    Answer(String),
    /// Start a server and say by [`Slot::server_started`] whether it listens.
    StartServer,
    /// The server is needed no longer.
    EndServer,
}

/// What is in the slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    /// The device.
    Device,
    /// The device, which was told to leave.
    Leaving,
    /// Nothing, but the server of the device that left has not ended.
    ServerOnly,
    /// Nothing.
    Nothing,
    /// Nothing, and a server starts or QEMU was told to add the device.
    Coming,
}

/// The slot.
#[derive(Debug)]
pub(crate) struct Slot {
    interrupts: Interrupts,
    /// The device, as QEMU's `device_add` wants it.
    device: Value,
    content: Content,
    /// When the request that is not answered yet came.
    asked: Option<Instant>,
    /// Number of the last command.
    command: u64,
}

impl Slot {
    /// A slot with the device in it, and what is to be said to QEMU first.
    pub(crate) fn new(interrupts: Interrupts, device: Value) -> (Self, String) {
        let slot = Self {
            interrupts,
            device,
            content: Content::Device,
            asked: None,
            command: 0,
        };
        (slot, qmp::command(0, "qmp_capabilities", &json!({})))
    }

    /// Whether the server may end: its device leaves or has left.
    pub(crate) fn server_may_end(&self) -> bool {
        matches!(self.content, Content::Leaving | Content::ServerOnly)
    }

    /// The guest asks for something.
    pub(crate) fn request(&mut self, line: &str, now: Instant) -> Vec<Action> {
        if self.asked.is_some() {
            return refusal("the request before this one is not answered yet");
        }
        self.asked = Some(now);
        match line {
            "device_del" => self.delete(),
            "device_add" => self.add(),
            _ => self.refuse(&format!(
                "{line:?} is no request; there are device_del and device_add"
            )),
        }
    }

    fn delete(&mut self) -> Vec<Action> {
        if self.interrupts == Interrupts::Msix {
            return self.refuse(
                "QEMU 11.1 aborts when a vfio-user device with MSI-X is taken out; \
                 run with --interrupts msi",
            );
        }
        if self.content != Content::Device {
            return self.refuse("the device is not in its slot");
        }
        self.content = Content::Leaving;
        self.tell("device_del", &json!({ "id": DEVICE }))
    }

    fn add(&mut self) -> Vec<Action> {
        if self.content != Content::Nothing {
            return self.refuse("the slot is not empty");
        }
        self.content = Content::Coming;
        vec![Action::StartServer]
    }

    /// The server that was to be started listens, or it does not.
    pub(crate) fn server_started(&mut self, started: Result<(), String>) -> Vec<Action> {
        match started {
            Ok(()) => {
                let device = self.device.clone();
                self.tell("device_add", &device)
            }
            Err(reason) => {
                self.content = Content::Nothing;
                self.refuse(&reason)
            }
        }
    }

    /// QEMU says something.
    pub(crate) fn message(&mut self, message: &Message) -> Vec<Action> {
        match (self.content, message) {
            (Content::Leaving, Message::Deleted(name)) if name == DEVICE => {
                self.content = Content::ServerOnly;
                Vec::new()
            }
            (Content::Leaving, Message::Answer(id, Err(reason))) if *id == self.command => {
                self.content = Content::Device;
                self.refuse(&format!("QEMU refused device_del: {reason}"))
            }
            (Content::Coming, Message::Answer(id, Ok(()))) if *id == self.command => {
                self.content = Content::Device;
                self.answer("ok".to_owned())
            }
            (Content::Coming, Message::Answer(id, Err(reason))) if *id == self.command => {
                self.content = Content::Nothing;
                let mut actions = vec![Action::EndServer];
                actions.extend(self.refuse(&format!("QEMU refused device_add: {reason}")));
                actions
            }
            _ => Vec::new(),
        }
    }

    /// The server of a device that leaves or has left ended well.
    pub(crate) fn server_ended(&mut self) -> Vec<Action> {
        if self.content != Content::ServerOnly {
            return Vec::new();
        }
        self.content = Content::Nothing;
        let mut actions = vec![Action::EndServer];
        actions.extend(self.answer("ok".to_owned()));
        actions
    }

    /// Time passes.
    pub(crate) fn tick(&mut self, now: Instant) -> Vec<Action> {
        let late = |asked| now.saturating_duration_since(asked) >= LIMIT;
        if !self.asked.is_some_and(late) {
            return Vec::new();
        }
        let what = match self.content {
            Content::Leaving => "QEMU did not say that the device has left",
            Content::ServerOnly => "the server of the device that left did not end",
            Content::Device | Content::Nothing | Content::Coming => "QEMU did not answer",
        };
        self.refuse(&format!("{what} within {} s", LIMIT.as_secs()))
    }

    fn tell(&mut self, name: &str, arguments: &Value) -> Vec<Action> {
        self.command = self.command.wrapping_add(1);
        vec![Action::Command(qmp::command(self.command, name, arguments))]
    }

    fn refuse(&mut self, reason: &str) -> Vec<Action> {
        self.asked = None;
        refusal(reason)
    }

    /// Answers the request, if it has no answer yet: it may have come too late.
    fn answer(&mut self, line: String) -> Vec<Action> {
        match self.asked.take() {
            Some(_) => vec![Action::Answer(line)],
            None => Vec::new(),
        }
    }
}

fn refusal(reason: &str) -> Vec<Action> {
    // One line, whatever the reason holds.
    let reason = reason.replace(['\r', '\n'], " ");
    vec![Action::Answer(format!("error: {reason}"))]
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEVICE_DEL: &str = r#"{"arguments":{"id":"ringbar0"},"execute":"device_del","id":1}"#;

    fn slot(interrupts: Interrupts) -> (Slot, Instant) {
        let (slot, _) = Slot::new(interrupts, json!({ "driver": "d" }));
        (slot, Instant::now())
    }

    fn deleted() -> Message {
        Message::Deleted(DEVICE.to_owned())
    }

    fn answered(text: &str) -> Vec<Action> {
        vec![Action::Answer(text.to_owned())]
    }

    /// A slot whose device has left.
    fn empty_slot() -> (Slot, Instant) {
        let (mut slot, now) = slot(Interrupts::Msi);
        slot.request("device_del", now);
        slot.message(&deleted());
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
    fn device_leaves_when_qemu_says_so_and_its_server_has_ended() {
        let (mut slot, now) = slot(Interrupts::Msi);

        let asked = slot.request("device_del", now);
        let accepted = slot.message(&Message::Answer(1, Ok(())));
        let deleted = slot.message(&deleted());
        let ended = slot.server_ended();

        assert_eq!(asked, [Action::Command(DEVICE_DEL.to_owned())]);
        assert_eq!((accepted, deleted), (Vec::new(), Vec::new()));
        assert_eq!(ended, [Action::EndServer, Action::Answer("ok".to_owned())]);
    }

    #[test]
    fn server_that_ends_before_the_event_is_read_does_not_answer_for_it() {
        let (mut slot, now) = slot(Interrupts::Msi);

        slot.request("device_del", now);
        let before = slot.server_ended();
        slot.message(&deleted());
        let after = slot.server_ended();

        assert!(before.is_empty());
        assert!(after.contains(&Action::Answer("ok".to_owned())));
    }

    #[test]
    fn another_device_that_left_does_not_matter() {
        let (mut slot, now) = slot(Interrupts::Msi);

        slot.request("device_del", now);
        slot.message(&Message::Deleted("net0".to_owned()));

        assert!(slot.server_ended().is_empty());
    }

    #[test]
    fn device_comes_after_its_server() {
        let (mut slot, now) = empty_slot();

        let asked = slot.request("device_add", now);
        let started = slot.server_started(Ok(()));
        let added = slot.message(&Message::Answer(2, Ok(())));

        let command = r#"{"arguments":{"driver":"d"},"execute":"device_add","id":2}"#;
        assert_eq!(asked, [Action::StartServer]);
        assert_eq!(started, [Action::Command(command.to_owned())]);
        assert_eq!(added, answered("ok"));
    }

    #[test]
    fn msix_device_is_not_taken_out_and_the_reason_is_said() {
        let (mut slot, now) = slot(Interrupts::Msix);

        let actions = slot.request("device_del", now);

        assert_eq!(actions.len(), 1);
        assert_refused(&actions, "--interrupts msi");
    }

    #[test]
    fn refused_request_does_not_block_the_next_one() {
        let (mut slot, now) = slot(Interrupts::Msi);

        assert_refused(&slot.request("device_add", now), "not empty");

        let command = Action::Command(DEVICE_DEL.to_owned());
        assert_eq!(slot.request("device_del", now), [command]);
    }

    #[test]
    fn absent_device_is_not_taken_out() {
        let (mut slot, now) = empty_slot();

        assert_refused(&slot.request("device_del", now), "not in its slot");
    }

    #[test]
    fn unknown_request_is_refused_with_those_there_are() {
        let (mut slot, now) = slot(Interrupts::Msi);

        let actions = slot.request("device_dl", now);

        assert_refused(
            &actions,
            "\"device_dl\" is no request; there are device_del",
        );
    }

    #[test]
    fn second_request_is_refused_and_the_first_one_goes_on() {
        let (mut slot, now) = slot(Interrupts::Msi);

        slot.request("device_del", now);
        assert_refused(&slot.request("device_del", now), "not answered yet");
        slot.message(&deleted());

        assert!(slot
            .server_ended()
            .contains(&Action::Answer("ok".to_owned())));
    }

    #[test]
    fn refusal_of_device_del_leaves_the_device_in_its_slot() {
        let (mut slot, now) = slot(Interrupts::Msi);

        slot.request("device_del", now);
        let actions = slot.message(&Message::Answer(1, Err("busy".to_owned())));

        assert_refused(&actions, "QEMU refused device_del: busy");
        assert!(!slot.server_may_end());
    }

    #[test]
    fn refusal_of_device_add_ends_the_server() {
        let (mut slot, now) = empty_slot();

        slot.request("device_add", now);
        slot.server_started(Ok(()));
        let actions = slot.message(&Message::Answer(2, Err("no\nbus".to_owned())));

        assert_eq!(actions.first(), Some(&Action::EndServer));
        assert_refused(&actions, "QEMU refused device_add: no bus");
        assert_eq!(slot.request("device_add", now), [Action::StartServer]);
    }

    #[test]
    fn server_that_does_not_start_refuses_the_request() {
        let (mut slot, now) = empty_slot();

        slot.request("device_add", now);
        let actions = slot.server_started(Err("no memory".to_owned()));

        assert_refused(&actions, "no memory");
        assert_eq!(slot.request("device_add", now), [Action::StartServer]);
    }

    #[test]
    fn answer_to_an_older_command_is_not_taken_for_this_one() {
        let (mut slot, now) = empty_slot();

        slot.request("device_add", now);
        slot.server_started(Ok(()));

        assert!(slot.message(&Message::Answer(1, Ok(()))).is_empty());
    }

    #[test]
    fn request_that_takes_too_long_is_refused_once() {
        let (mut slot, now) = slot(Interrupts::Msi);
        let late = now + LIMIT;

        slot.request("device_del", now);

        assert!(slot.tick(now).is_empty());
        assert_refused(&slot.tick(late), "within 30 s");
        assert!(slot.tick(late).is_empty());
    }

    #[test]
    fn device_that_leaves_late_has_left_and_the_guest_is_not_told_twice() {
        let (mut slot, now) = slot(Interrupts::Msi);

        slot.request("device_del", now);
        slot.tick(now + LIMIT);
        slot.message(&deleted());

        assert_eq!(slot.server_ended(), [Action::EndServer]);
        assert_eq!(slot.request("device_add", now), [Action::StartServer]);
    }

    #[test]
    fn server_may_end_only_with_its_device() {
        let (mut slot, now) = slot(Interrupts::Msi);

        let before = slot.server_may_end();
        slot.request("device_del", now);

        assert!(!before);
        assert!(slot.server_may_end());
    }
}

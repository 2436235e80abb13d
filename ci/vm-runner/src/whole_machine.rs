// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Requests of the guest about the machine, not about one device. Pure: events in, actions out.
//!
//! A guest that sleeps can ask for nothing. So it asks to be woken before, and the runner wakes it
//! as soon as QEMU reports that it sleeps. QEMU does not notice suspend to idle, in which the
//! processors wait for an interrupt. So the runner knocks on the serial port again and again, until
//! the guest says that it is awake: a single knock could come before the guest sleeps.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::hold;
use crate::machine;
use crate::qmp::{self, Message};
use crate::request::{LinkError, MachineAction as Action, MachineRequest};
use crate::slot::{refusal, Leave, NEVER};

/// Time after which a pending request fails.
const LIMIT: Duration = Duration::from_secs(120);

/// Time between two knocks. Longer than a guest takes from the moment at which a knock can wake it
/// until it sleeps: an earlier knock ends the sleep before it begins.
const BETWEEN_KNOCKS: Duration = Duration::from_secs(2);

/// The line that wakes a guest, whatever it says.
const KNOCK: &str = "knock";

/// Number before that of the first command. No slot reaches it.
const FIRST: u64 = 1 << 63;

/// State of the machine, as far as requests are about it.
#[derive(Debug)]
pub(crate) struct WholeMachine {
    leave: Leave,
    /// Whether the machine is woken when it sleeps next.
    wake: bool,
    /// Time of the next knock.
    knock: Option<Instant>,
    /// Time of the pending request.
    asked: Option<Instant>,
    /// Number of the last command.
    command: u64,
}

impl WholeMachine {
    /// Returns the state of a machine that starts.
    pub(crate) fn new(leave: Leave) -> Self {
        Self {
            leave,
            wake: false,
            knock: None,
            asked: None,
            command: FIRST,
        }
    }

    /// Returns whether a request is pending.
    pub(crate) fn is_busy(&self) -> bool {
        self.asked.is_some()
    }

    /// Takes a request of the guest.
    pub(crate) fn request(&mut self, request: MachineRequest, now: Instant) -> Vec<Action> {
        match request {
            MachineRequest::Wake => {
                self.wake = true;
                vec![Action::Answer("ok".to_owned())]
            }
            MachineRequest::Knock => {
                self.knock = now.checked_add(BETWEEN_KNOCKS);
                Vec::new()
            }
            MachineRequest::Awake => {
                self.knock = None;
                vec![Action::Answer("ok".to_owned())]
            }
            MachineRequest::LinkError(device, error) => {
                self.asked = Some(now);
                let (port, error) = (machine::port_name(device), name(error));
                let line = format!("pcie_aer_inject_error {port} {error}");
                let arguments = json!({ "command-line": line });
                self.tell("human-monitor-command", &arguments)
            }
            MachineRequest::Unplugs => match self.leave {
                Leave::Freed => vec![Action::Answer("ok any".to_owned())],
                Leave::Never => vec![Action::Answer(refusal(NEVER))],
                Leave::Held => {
                    self.asked = Some(now);
                    self.tell("query-hotpluggable-cpus", &json!({}))
                }
            },
        }
    }

    /// Takes a message of QEMU.
    pub(crate) fn message(&mut self, message: &Message) -> Vec<Action> {
        match message {
            Message::Suspended if self.wake => {
                self.wake = false;
                self.tell("system_wakeup", &json!({}))
            }
            Message::Said(id, text) if *id == self.command => match text.starts_with("OK") {
                true => self.answer("ok".to_owned()),
                false => self.answer(refusal(&format!("QEMU refused: {}", text.trim()))),
            },
            Message::Listed(id, processors) if *id == self.command => {
                self.answer(format!("ok {}", hold::spare(processors)))
            }
            Message::Answer(id, Err(reason)) if *id == self.command => {
                self.answer(refusal(&format!("QEMU refused: {reason}")))
            }
            _ => Vec::new(),
        }
    }

    /// Knocks if it is time. Fails a request that has been pending too long.
    pub(crate) fn tick(&mut self, now: Instant) -> Vec<Action> {
        if self.knock.is_some_and(|knock| knock <= now) {
            self.knock = now.checked_add(BETWEEN_KNOCKS);
            return vec![Action::Answer(KNOCK.to_owned())];
        }
        let late = |asked| now.saturating_duration_since(asked) >= LIMIT;
        if !self.asked.is_some_and(late) {
            return Vec::new();
        }
        let limit = LIMIT.as_secs();
        self.answer(refusal(&format!("QEMU did not answer within {limit} s")))
    }

    /// Returns a command for QEMU, with a number of its own.
    fn tell(&mut self, name: &str, arguments: &serde_json::Value) -> Vec<Action> {
        self.command = self.command.wrapping_add(1);
        vec![Action::Command(qmp::command(self.command, name, arguments))]
    }

    /// Sends the answer to the pending request, if there is one.
    fn answer(&mut self, line: String) -> Vec<Action> {
        let asked = self.asked.take();
        asked.map(|_| Action::Answer(line)).into_iter().collect()
    }
}

/// Returns QEMU's name of an error that has this severity in a root port, unless the guest has
/// changed its severities (PCI Express 6.0, 7.8.4.4).
fn name(error: LinkError) -> &'static str {
    match error {
        LinkError::Correctable => "BAD_TLP",
        LinkError::NonFatal => "COMP_TIME",
        LinkError::Fatal => "DLP",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ERROR: MachineRequest = MachineRequest::LinkError(1, LinkError::Fatal);

    fn answered(text: &str) -> Vec<Action> {
        vec![Action::Answer(text.to_owned())]
    }

    fn is_command(actions: &[Action], words: &str) -> bool {
        matches!(actions, [Action::Command(line)] if line.contains(words))
    }

    #[test]
    fn machine_is_woken_when_it_sleeps_after_a_request() {
        let mut machine = WholeMachine::new(Leave::Held);

        let asked = machine.request(MachineRequest::Wake, Instant::now());
        let asleep = machine.message(&Message::Suspended);

        assert_eq!(asked, answered("ok"));
        assert!(is_command(&asleep, r#""execute":"system_wakeup""#));
    }

    #[test]
    fn request_wakes_the_machine_once() {
        let mut machine = WholeMachine::new(Leave::Held);
        machine.request(MachineRequest::Wake, Instant::now());
        machine.message(&Message::Suspended);

        assert!(machine.message(&Message::Suspended).is_empty());
    }

    #[test]
    fn machine_that_sleeps_without_a_request_is_left_asleep() {
        assert!(WholeMachine::new(Leave::Held)
            .message(&Message::Suspended)
            .is_empty());
    }

    #[test]
    fn runner_knocks_until_the_guest_is_awake() {
        let mut machine = WholeMachine::new(Leave::Held);
        let now = Instant::now();
        let (first, second) = (now + BETWEEN_KNOCKS, now + 2 * BETWEEN_KNOCKS);

        assert!(machine.request(MachineRequest::Knock, now).is_empty());
        assert!(machine.tick(now).is_empty());
        assert_eq!(machine.tick(first), answered(KNOCK));
        assert!(machine.tick(first).is_empty());
        assert_eq!(machine.tick(second), answered(KNOCK));
        assert_eq!(
            machine.request(MachineRequest::Awake, second),
            answered("ok")
        );
        assert!(machine.tick(now + 3 * BETWEEN_KNOCKS).is_empty());
    }

    #[test]
    fn link_error_is_one_of_the_port_above_the_device_and_is_answered_when_qemu_has_it() {
        let mut machine = WholeMachine::new(Leave::Held);

        let asked = machine.request(ERROR, Instant::now());
        let busy = machine.is_busy();
        let said = machine.message(&Message::Said(FIRST + 1, "OK id: port1\r\n".to_owned()));

        assert!(is_command(&asked, "pcie_aer_inject_error port1 DLP"));
        assert!(busy);
        assert_eq!(said, answered("ok"));
        assert!(!machine.is_busy());
    }

    #[test]
    fn unplugs_are_as_many_as_qemu_has_vcpus_to_spare() {
        let mut machine = WholeMachine::new(Leave::Held);
        let taken = json!({ "qom-path": "/machine/peripheral/hold-0" });
        let listed = vec![json!({}), taken, json!({})];

        let asked = machine.request(MachineRequest::Unplugs, Instant::now());
        let answer = machine.message(&Message::Listed(FIRST + 1, listed));

        assert!(is_command(&asked, "query-hotpluggable-cpus"));
        assert_eq!(answer, answered("ok 2"));
    }

    #[test]
    fn unplugs_without_a_vcpu_have_no_limit_or_are_refused() {
        let ask = |leave| WholeMachine::new(leave).request(MachineRequest::Unplugs, Instant::now());

        assert_eq!(ask(Leave::Freed), answered("ok any"));
        assert_eq!(ask(Leave::Never), answered(&refusal(NEVER)));
    }

    #[test]
    fn refusal_of_qemu_reaches_the_guest() {
        let mut machine = WholeMachine::new(Leave::Held);
        machine.request(ERROR, Instant::now());

        let said = machine.message(&Message::Said(FIRST + 1, "no\r\nport".to_owned()));

        assert_eq!(said, answered("error: QEMU refused: no  port"));
    }

    #[test]
    fn answer_to_another_command_is_not_taken() {
        let mut machine = WholeMachine::new(Leave::Held);
        machine.request(ERROR, Instant::now());

        assert!(machine
            .message(&Message::Said(1, "OK".to_owned()))
            .is_empty());
    }

    #[test]
    fn request_that_takes_too_long_is_refused_once() {
        let mut machine = WholeMachine::new(Leave::Held);
        let now = Instant::now();
        machine.request(ERROR, now);

        assert!(machine.tick(now).is_empty());
        let late = machine.tick(now + LIMIT);
        assert_eq!(late, answered("error: QEMU did not answer within 120 s"));
        assert!(machine.tick(now + LIMIT).is_empty());
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A hot-plug slot with its server, and the guest's requests for it. Pure: events in, actions out.
//!
//! A request is answered once it is carried out, or once it is clear that it cannot be. Until then
//! the slot is busy and must not receive another one.

use std::time::{Duration, Instant};

use ringbar_lies::Lie;
use serde_json::{json, Value};

use crate::hold::{Hold, Next};
use crate::machine::Acceleration;
use crate::options::Interrupts;
use crate::process::End;
use crate::qmp::{self, Message};
use crate::request::Request;

/// Time after which a pending request fails.
const LIMIT: Duration = Duration::from_secs(120);

/// Reason for refusing to unplug a device with [`Leave::Never`].
pub(crate) const NEVER: &str = "QEMU 11.1 aborts when a vfio-user device with MSI-X is taken out, \
    and under KVM no vCPU can hold the device; run with --interrupts msi, or without KVM";

/// Reason for refusing a request about a device that is not in its slot.
const ABSENT: &str = "the device is not in its slot";

/// An action for the runner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Send a line to QEMU's monitor.
    Command(String),
    /// Send a line to the guest.
    Answer(String),
    /// Start a server, with a lie if there is one, and report by [`Slot::server_started`] whether it
    /// listens.
    StartServer(Option<Lie>),
    /// End the server behind the broker and start another, and report by [`Slot::server_swapped`]
    /// whether it listens.
    SwapServer,
    /// Stop the server, which is no longer needed.
    EndServer,
    /// Hold QEMU's connection to the server, and report by [`Slot::connection_held`] whether that is
    /// possible.
    HoldConnection,
    /// End the server, and answer on the held connection in its place until QEMU ends. Report by
    /// [`Slot::server_ended`].
    ReplaceServer,
    /// Kill the server, and report by [`Slot::server_killed`] whether that is possible.
    KillServer,
    /// Stop the server by a signal, and report by [`Slot::server_stopped`] when it has stopped.
    StopServer,
    /// Continue the server.
    ContinueServer,
}

/// How a device leaves QEMU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leave {
    /// QEMU frees it.
    Freed,
    /// A spare vCPU holds it until QEMU ends ([`Hold`]).
    Held,
    /// Not at all: QEMU would abort.
    Never,
}

impl Leave {
    /// Returns how devices with these interrupts leave QEMU 11.1.
    pub(crate) fn of(interrupts: Interrupts, acceleration: Acceleration) -> Self {
        match (interrupts, acceleration) {
            (Interrupts::Msi, _) => Self::Freed,
            (Interrupts::Msix, Acceleration::Tcg) => Self::Held,
            (Interrupts::Msix, Acceleration::Kvm) => Self::Never,
        }
    }
}

/// Content of the slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    /// The device.
    Device,
    /// The device, which QEMU was told to unplug.
    Leaving,
    /// No device, but the server of the last one has not ended.
    ServerOnly,
    /// Nothing.
    Nothing,
    /// No device yet: a server starts, or QEMU was told to plug the device in.
    Coming,
}

/// State of the server, as far as the guest changed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Server {
    /// Nothing.
    Untouched,
    /// It is stopped.
    Stopped,
    /// It was stopped and continued. If QEMU has given up waiting for it, it ends.
    Continued,
    /// It is killed.
    Killed,
}

/// The slot.
#[derive(Debug)]
pub(crate) struct Slot {
    leave: Leave,
    /// The way out of a device that is held.
    hold: Hold,
    /// A broker stands between QEMU and the server.
    brokered: bool,
    /// Name of the device in QEMU.
    name: String,
    /// The device, in the form of QEMU's `device_add`.
    device: Value,
    content: Content,
    server: Server,
    /// Time of the pending request.
    asked: Option<Instant>,
    /// Number of the last command.
    command: u64,
}

impl Slot {
    /// Returns slot `number` with the device in it. Each slot needs its own number.
    pub(crate) fn new(leave: Leave, brokered: bool, number: u32, device: Value) -> Self {
        Self {
            leave,
            hold: Hold::new(name(number)),
            brokered,
            name: name(number),
            device,
            content: Content::Device,
            server: Server::Untouched,
            asked: None,
            // The upper half of a command's number is the slot. All slots see all answers of QEMU,
            // and each takes only its own.
            command: u64::from(number) << u32::BITS,
        }
    }

    /// Returns whether a request is pending.
    pub(crate) fn is_busy(&self) -> bool {
        self.asked.is_some()
    }

    /// Returns whether the device leaves its slot or has left it, so that QEMU closes its connection.
    pub(crate) fn device_leaves(&self) -> bool {
        matches!(self.content, Content::Leaving | Content::ServerOnly)
    }

    /// Returns whether the server may end like this.
    pub(crate) fn server_may_end(&self, end: End) -> bool {
        let leaves = self.device_leaves();
        match self.server {
            Server::Untouched | Server::Stopped => leaves && end.is_good(),
            // QEMU may have closed the connection while the server was stopped. The server then
            // ends with an error. It must not crash.
            Server::Continued => end.is_good() || end == End::Status(1),
            Server::Killed => true,
        }
    }

    /// Takes a request of the guest.
    pub(crate) fn request(&mut self, request: Request, now: Instant) -> Vec<Action> {
        self.asked = Some(now);
        match request {
            Request::DeviceDel => self.delete(),
            Request::DeviceAdd(lie) => self.add(lie),
            Request::ServerKill => self.kill(),
            Request::ServerStop => self.stop(),
            Request::ServerCont => self.go_on(),
            Request::ServerSwap => self.swap(),
        }
    }

    /// Unplugs the device.
    fn delete(&mut self) -> Vec<Action> {
        if self.leave == Leave::Never {
            return self.refuse(NEVER);
        }
        if self.content != Content::Device {
            return self.refuse(ABSENT);
        }
        if self.server == Server::Stopped {
            return self.refuse("the server is stopped, and QEMU would wait for it; continue the server first (server_cont)");
        }
        if self.leave == Leave::Held {
            return vec![Action::HoldConnection];
        }
        self.content = Content::Leaving;
        self.tell("device_del", &json!({ "id": self.name }))
    }

    /// Notes that QEMU's connection is held, or cannot be. Begins to unplug the device if it is.
    pub(crate) fn connection_held(&mut self, held: Result<(), String>) -> Vec<Action> {
        if let Err(reason) = held {
            return self.refuse(&format!(
                "the runner cannot answer QEMU after the device has left: {reason}"
            ));
        }
        self.content = Content::Leaving;
        let next = self.hold.begin();
        self.follow(next)
    }

    /// Takes the next step of a device that is held.
    fn follow(&mut self, next: Next) -> Vec<Action> {
        match next {
            Next::Tell(command, arguments) => self.tell(command, &arguments),
            Next::Wait => Vec::new(),
            Next::Left => {
                self.content = Content::ServerOnly;
                vec![Action::ReplaceServer]
            }
            Next::Stays(reason) => {
                self.content = Content::Device;
                self.refuse(&reason)
            }
        }
    }

    /// Starts a server. The device follows when the server listens.
    fn add(&mut self, lie: Option<Lie>) -> Vec<Action> {
        if self.content != Content::Nothing {
            return self.refuse("the slot is not empty");
        }
        self.content = Content::Coming;
        vec![Action::StartServer(lie)]
    }

    /// Kills the server, with its device in the slot.
    fn kill(&mut self) -> Vec<Action> {
        if self.content != Content::Device {
            return self.refuse(ABSENT);
        }
        if self.server == Server::Killed {
            return self.refuse("its server was killed before");
        }
        vec![Action::KillServer]
    }

    /// Has another server behind the broker.
    fn swap(&mut self) -> Vec<Action> {
        if !self.brokered {
            return self.refuse(
                "QEMU does not connect to a server again, and this machine has no broker; \
                 run with --broker",
            );
        }
        if self.content != Content::Device {
            return self.refuse(ABSENT);
        }
        vec![Action::SwapServer]
    }

    /// Notes that the server behind the broker was replaced by one that listens, or that none could be
    /// started.
    pub(crate) fn server_swapped(&mut self, swapped: Result<(), String>) -> Vec<Action> {
        self.has_another_server(swapped.is_ok());
        match swapped {
            Ok(()) => self.answer("ok".to_owned()),
            Err(reason) => self.refuse(&reason),
        }
    }

    /// Notes that the server behind the broker was ended, and whether another one took its place.
    pub(crate) fn has_another_server(&mut self, served: bool) {
        self.server = match served {
            true => Server::Untouched,
            false => Server::Killed,
        };
    }

    /// Returns whether the server behind the broker may end.
    pub(crate) fn server_is_killed(&self) -> bool {
        self.server == Server::Killed
    }

    /// Notes that the server was killed, or could not be.
    pub(crate) fn server_killed(&mut self, killed: Result<(), String>) -> Vec<Action> {
        match killed {
            Ok(()) => {
                self.server = Server::Killed;
                Vec::new()
            }
            Err(reason) => self.refuse(&format!("the server cannot be killed: {reason}")),
        }
    }

    /// Stops the server by a signal.
    fn stop(&mut self) -> Vec<Action> {
        if self.content != Content::Device {
            return self.refuse(ABSENT);
        }
        if matches!(self.server, Server::Stopped | Server::Killed) {
            return self.refuse("its server does not run");
        }
        self.server = Server::Stopped;
        vec![Action::StopServer]
    }

    /// Continues a stopped server at the guest's request.
    fn go_on(&mut self) -> Vec<Action> {
        let mut actions = self.release();
        if actions.is_empty() {
            return self.refuse("its server is not stopped");
        }
        actions.extend(self.answer("ok".to_owned()));
        actions
    }

    /// Continues a stopped server.
    pub(crate) fn release(&mut self) -> Vec<Action> {
        if self.server != Server::Stopped {
            return Vec::new();
        }
        self.server = Server::Continued;
        vec![Action::ContinueServer]
    }

    /// Notes that the started server listens, or failed to start. Plugs the device in if it
    /// listens.
    pub(crate) fn server_started(&mut self, started: Result<(), String>) -> Vec<Action> {
        match started {
            Ok(()) => {
                self.server = Server::Untouched;
                let device = self.device.clone();
                self.tell("device_add", &device)
            }
            Err(reason) => {
                self.content = Content::Nothing;
                self.refuse(&reason)
            }
        }
    }

    /// Takes a message of QEMU.
    pub(crate) fn message(&mut self, message: &Message, now: Instant) -> Vec<Action> {
        match (self.content, message) {
            (Content::Leaving, Message::Answer(id, _) | Message::Listed(id, _))
                if self.leave == Leave::Held && *id == self.command =>
            {
                let next = self.hold.answer(message, now);
                self.follow(next)
            }
            (Content::Leaving, Message::Deleted(name)) if *name == self.name => {
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

    /// Notes that the server has stopped.
    pub(crate) fn server_stopped(&mut self) -> Vec<Action> {
        match (self.content, self.server) {
            (Content::Device, Server::Stopped) => self.answer("ok".to_owned()),
            _ => Vec::new(),
        }
    }

    /// Notes that the server has ended in a permitted way.
    pub(crate) fn server_ended(&mut self) -> Vec<Action> {
        match (self.content, self.server) {
            (Content::Device, Server::Killed) => self.answer("ok".to_owned()),
            (Content::ServerOnly, _) => {
                self.content = Content::Nothing;
                let mut actions = vec![Action::EndServer];
                actions.extend(self.answer("ok".to_owned()));
                actions
            }
            _ => Vec::new(),
        }
    }

    /// Looks whether a device that is held has left. Fails a request that has been pending too long.
    pub(crate) fn tick(&mut self, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.content == Content::Leaving {
            let next = self.hold.tick(now);
            actions.extend(self.follow(next));
        }
        actions.extend(self.late(now));
        actions
    }

    /// Fails a request that has been pending too long.
    fn late(&mut self, now: Instant) -> Vec<Action> {
        let late = |asked| now.saturating_duration_since(asked) >= LIMIT;
        if !self.asked.is_some_and(late) {
            return Vec::new();
        }
        let what = match self.content {
            Content::Leaving => "QEMU did not report that the device has left",
            Content::ServerOnly => "the server of the device that left did not end",
            Content::Device => "the server neither stopped nor ended",
            Content::Nothing | Content::Coming => "QEMU did not answer",
        };
        self.refuse(&format!("{what} within {} s", LIMIT.as_secs()))
    }

    /// Returns a command for QEMU, with a number of its own.
    fn tell(&mut self, name: &str, arguments: &Value) -> Vec<Action> {
        self.command = self.command.wrapping_add(1);
        vec![Action::Command(qmp::command(self.command, name, arguments))]
    }

    /// Ends the pending request with an error.
    fn refuse(&mut self, reason: &str) -> Vec<Action> {
        self.asked = None;
        vec![Action::Answer(refusal(reason))]
    }

    /// Sends the answer to the pending request. Returns nothing if it was already refused as too
    /// late.
    fn answer(&mut self, line: String) -> Vec<Action> {
        match self.asked.take() {
            Some(_) => vec![Action::Answer(line)],
            None => Vec::new(),
        }
    }
}

/// Returns QEMU's name of the device in slot `number`.
pub(crate) fn name(number: u32) -> String {
    format!("ringbar{number}")
}

/// Returns the answer to a refused request.
pub(crate) fn refusal(reason: &str) -> String {
    // An answer is one line. A line feed in the reason would make it two.
    format!("error: {}", reason.replace(['\r', '\n'], " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEVICE_DEL: &str = r#"{"arguments":{"id":"ringbar0"},"execute":"device_del","id":1}"#;

    const GOOD: End = End::Status(0);
    const KILLED: End = End::Signal(9);

    fn slot(interrupts: Interrupts) -> (Slot, Instant) {
        let leave = Leave::of(interrupts, Acceleration::Tcg);
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
    fn msix_device_is_not_taken_out_under_kvm_and_the_reason_is_given() {
        let leave = Leave::of(Interrupts::Msix, Acceleration::Kvm);
        let mut slot = Slot::new(leave, false, 0, json!({}));

        let actions = slot.request(Request::DeviceDel, Instant::now());

        assert_eq!(actions.len(), 1);
        assert_refused(&actions, "under KVM");
        assert_refused(&actions, "--interrupts msi");
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
}

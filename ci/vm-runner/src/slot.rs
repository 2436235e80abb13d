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
    and under KVM, on arm64 or with --coverage no vCPU can hold the device; run with --interrupts \
    msi, or on x86-64 without KVM and --coverage";

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
    /// Returns how devices with these interrupts leave QEMU 11.1, on a machine that does or does not
    /// have spare vCPUs.
    pub(crate) fn of(interrupts: Interrupts, acceleration: Acceleration, has_spares: bool) -> Self {
        match (interrupts, acceleration) {
            (Interrupts::Msi, _) => Self::Freed,
            (Interrupts::Msix, Acceleration::Tcg) if has_spares => Self::Held,
            (Interrupts::Msix, _) => Self::Never,
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
mod tests;

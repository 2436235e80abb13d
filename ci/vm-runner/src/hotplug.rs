// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Servers of a run in which the guest may unplug devices, plug them in again, and kill or stop
//! servers.
//!
//! The guest sends requests on its third serial port, one per line. The runner carries them out by
//! QEMU's monitor or by a signal. [`slot`](crate::slot) decides which request is allowed when, and
//! `ci/README.md` defines the protocol. On the same port the guest asks to be woken, and for errors
//! of links ([`whole_machine`](crate::whole_machine)), for restarts of the machine
//! ([`restart`](crate::restart)), for more or less memory ([`spare_memory`](crate::spare_memory)),
//! for figures of the host ([`measure`](crate::measure)), and for what the processes of the run hold
//! ([`held`](crate::held)).

use std::path::Path;
use std::time::Instant;

use crate::error::Error;
use crate::held;
use crate::interrupt::Interrupt;
use crate::machine;
use crate::measure;
use crate::options::MachineOptions;
use crate::port::Port;
use crate::process::{End, Process};
use crate::qmp;
use crate::request::{self, Asked, MachineAction};
use crate::restart::{self, Place, Restart};
use crate::screen::Screen;
use crate::server;
use crate::service::{Service, Surroundings};
use crate::slot::{self, Action, Leave, Slot};
use crate::spare_memory::{self, SpareMemory};
use crate::whole_machine::WholeMachine;
use crate::workplace::Workplace;

/// A device's slot and the processes behind it.
struct Device<'a> {
    slot: Slot,
    service: Service<'a>,
}

/// Servers of all devices, and the lines for hot plug.
pub(crate) struct Hotplug<'a> {
    /// Program that measures the host.
    measure: Option<&'a Path>,
    monitor: Port,
    requests: Port,
    machine: WholeMachine,
    restart: Restart,
    memory: SpareMemory,
    devices: Vec<Device<'a>>,
    /// Devices that have left and that a vCPU holds in QEMU.
    held: u32,
}

impl<'a> Hotplug<'a> {
    /// Creates the lines and starts the first servers. QEMU may start after that.
    pub(crate) fn start(
        options: &'a MachineOptions,
        leave: Leave,
        measure: Option<&'a Path>,
        place: &'a Workplace,
        interrupt: &'a Interrupt,
        screen: &Screen,
    ) -> Result<Self, Error> {
        let ports = place.hotplug_ports();
        let mut monitor = Port::create(&ports.monitor)?;
        let requests = Port::create(&ports.requests)?;
        // The pipe keeps the greeting until QEMU starts and reads it.
        monitor.send(&qmp::hello())?;
        let around = Surroundings {
            options,
            place,
            interrupt,
        };
        let with_slot = |service: Service<'a>| {
            let number = service.device();
            let brokered = service.has_broker();
            let device = machine::device(number, brokered, &place.socket(number));
            let slot = Slot::new(leave, brokered, number, device);
            Device { slot, service }
        };
        let services = Service::start_each(around, screen)?;
        let devices = services.into_iter().map(with_slot).collect();
        Ok(Self {
            measure,
            monitor,
            requests,
            machine: WholeMachine::new(leave),
            restart: Restart::new(),
            memory: SpareMemory::new(options.spare_memory),
            devices,
            held: 0,
        })
    }

    /// Returns a server that ended without permission, and how. Failures come first.
    pub(crate) fn server_end(&mut self) -> Option<(u32, End)> {
        let ends = self.devices.iter_mut().filter_map(Device::wrong_end);
        ends.min_by_key(|(_, end)| end.is_good())
    }

    /// Returns a device whose server has not ended.
    pub(crate) fn running(&mut self) -> Option<u32> {
        let mut devices = self.devices.iter_mut();
        devices.find_map(|device| {
            let runs = device.service.server().is_some() && device.service.end().is_none();
            runs.then_some(device.number())
        })
    }

    /// Carries out requests of the guest, as far as that needs no waiting. `place` is where the
    /// results stand.
    pub(crate) fn step(&mut self, place: Place, screen: &Screen) -> Result<(), Error> {
        // Looked at before the monitor is read, and used after that. A server may end before or
        // after QEMU reports that its device has left, and each order must work.
        let ended: Vec<_> = self.devices.iter_mut().map(Device::right_end).collect();
        for line in self.monitor.read()? {
            let message = qmp::parse(&line).map_err(|reason| Error::Monitor { reason })?;
            let now = Instant::now();
            self.each(|device| device.slot.message(&message, now))?;
            let actions = self.machine.message(&message);
            self.act(actions)?;
            let actions = self.restart.message(&message, now);
            self.act(actions)?;
            let actions = self.memory.message(&message);
            self.act(actions)?;
        }
        let mut ended = ended.into_iter();
        self.each(|device| match ended.next() {
            Some(true) => device.slot.server_ended(),
            _ if device.is_paused() => {
                device.signal(Process::pause_group);
                device.slot.server_stopped()
            }
            _ => Vec::new(),
        })?;
        for line in self.requests.read()? {
            self.request(line.trim(), place)?;
        }
        for device in &mut self.devices {
            if let Some(served) = device.service.follow_program(screen) {
                device.slot.has_another_server(served);
            }
        }
        let now = Instant::now();
        let actions = self.machine.tick(now);
        self.act(actions)?;
        let actions = self.restart.tick(now);
        self.act(actions)?;
        let actions = self.memory.tick(now);
        self.act(actions)?;
        self.each(|device| device.slot.tick(now))
    }

    /// Continues stopped servers after the end of QEMU. No guest is left to ask for that, and the
    /// servers could never end.
    pub(crate) fn release(&mut self) -> Result<(), Error> {
        self.each(|device| device.slot.release())
    }

    /// Returns whether the machine was reset, and the next boot has not reported.
    pub(crate) fn is_restarting(&self) -> bool {
        self.restart.is_booting()
    }

    /// Returns the number of devices that have left and that QEMU keeps until it ends.
    pub(crate) fn held(&self) -> u32 {
        self.held
    }

    /// Reads the servers' logs.
    pub(crate) fn read_logs(&mut self) -> Result<(), Error> {
        let mut devices = self.devices.iter_mut();
        devices.try_for_each(|device| device.service.read_log())
    }

    /// Returns the name of a server's log and its last lines.
    pub(crate) fn last_lines(&self, number: u32) -> (String, Vec<String>) {
        let device = self.devices.iter().find(|device| device.number() == number);
        let lines = device.map_or_else(Vec::new, |device| device.service.last_lines());
        (server::log_name(number), lines)
    }

    /// Ends the servers.
    pub(crate) fn stop(&mut self) {
        let devices = self.devices.iter_mut();
        devices.for_each(|device| device.service.stop());
    }

    /// Takes a request of the guest. Sends the answer at once, unless the request takes time.
    fn request(&mut self, line: &str, place: Place) -> Result<(), Error> {
        let busy = self.devices.iter().any(|device| device.slot.is_busy());
        let busy = busy || self.machine.is_busy() || self.memory.is_busy();
        if busy || self.restart.is_busy() {
            let reason = "the runner still works on the request before this one";
            return self.requests.send(&slot::refusal(reason));
        }
        if let Some(what) = line.strip_prefix("measure ") {
            let pid = self.devices.first_mut().and_then(Device::pid);
            let answer = measure::figure(self.measure, what, pid);
            return self.requests.send(&match answer {
                Ok(figure) => format!("ok {figure}"),
                Err(reason) => slot::refusal(&reason),
            });
        }
        if line == "held" {
            return self.requests.send(&match held::line() {
                Ok(held) => format!("ok {held}"),
                Err(reason) => slot::refusal(&reason),
            });
        }
        if let Some(asked) = restart::parse(line) {
            let actions = match asked {
                Ok(asked) => self.restart.request(asked, place, self.held),
                Err(reason) => vec![MachineAction::Answer(slot::refusal(&reason))],
            };
            return self.act(actions);
        }
        let now = Instant::now();
        if let Some(asked) = spare_memory::parse(line) {
            let actions = match asked {
                Ok(asked) => self.memory.request(asked, now),
                Err(reason) => vec![MachineAction::Answer(slot::refusal(&reason))],
            };
            return self.act(actions);
        }
        let devices = u32::try_from(self.devices.len()).unwrap_or(u32::MAX);
        let (request, number) = match request::parse(line, devices) {
            Ok(Asked::Device(request, number)) => (request, number),
            Ok(Asked::Machine(request)) => {
                let actions = self.machine.request(request, now);
                return self.act(actions);
            }
            Err(reason) => return self.requests.send(&slot::refusal(&reason)),
        };
        self.each(|device| match device.number() == number {
            true => device.slot.request(request, now),
            false => Vec::new(),
        })
    }

    /// Carries out actions that are about the whole machine.
    fn act(&mut self, actions: Vec<MachineAction>) -> Result<(), Error> {
        actions.into_iter().try_for_each(|action| match action {
            MachineAction::Command(line) => self.monitor.send(&line),
            MachineAction::Answer(line) => self.requests.send(&line),
        })
    }

    /// Carries out the actions of each device. An action may lead to others.
    fn each(&mut self, mut wants: impl FnMut(&mut Device<'_>) -> Vec<Action>) -> Result<(), Error> {
        for device in &mut self.devices {
            let mut actions = wants(device);
            while !actions.is_empty() {
                for action in std::mem::take(&mut actions) {
                    match action {
                        Action::Command(line) => self.monitor.send(&line)?,
                        Action::Answer(line) => self.requests.send(&line)?,
                        Action::StartServer(lie) => {
                            let started = for_guest(device.service.start_all(lie))?;
                            actions.extend(device.slot.server_started(started));
                        }
                        Action::SwapServer => {
                            let swapped = for_guest(device.service.swap_server())?;
                            actions.extend(device.slot.server_swapped(swapped));
                        }
                        Action::EndServer => device.service.stop(),
                        Action::HoldConnection => {
                            let held = device.service.hold_connection();
                            actions.extend(device.slot.connection_held(held));
                        }
                        Action::ReplaceServer => {
                            device.service.stand_in()?;
                            self.held = self.held.saturating_add(1);
                            actions.extend(device.slot.server_ended());
                        }
                        Action::KillServer => {
                            let killed = device.service.kill_server();
                            actions.extend(device.slot.server_killed(killed));
                        }
                        Action::StopServer => device.signal(Process::pause),
                        Action::ContinueServer => device.signal(Process::go_on),
                    }
                }
            }
        }
        Ok(())
    }
}

/// Returns the error of a server that does not start for the guest: it does not fail the run.
fn for_guest(started: Result<(), Error>) -> Result<Result<(), String>, Error> {
    match started {
        Err(error @ Error::Interrupted { .. }) => Err(error),
        started => Ok(started.map_err(|error| error.to_string())),
    }
}

impl Device<'_> {
    /// Returns the number of the device.
    fn number(&self) -> u32 {
        self.service.device()
    }

    /// Returns how a process ended that was not allowed to.
    fn wrong_end(&mut self) -> Option<(u32, End)> {
        let end = match self.service.has_broker() {
            true => self.wrong_end_behind_broker(),
            false => {
                let end = self.service.end()?;
                (!self.slot.server_may_end(end)).then_some(end)
            }
        };
        end.map(|end| (self.number(), end))
    }

    /// As [`Self::wrong_end`], of a broker or the server behind it.
    fn wrong_end_behind_broker(&mut self) -> Option<End> {
        if let Some(end) = self.service.end() {
            // Whatever the server does, a broker ends with QEMU's connection alone.
            return (!end.is_good() || !self.slot.device_leaves()).then_some(end);
        }
        let end = self.service.server_end()?;
        (!self.slot.server_is_killed()).then_some(end)
    }

    /// Returns whether a process ended as it was allowed to.
    fn right_end(&mut self) -> bool {
        if self.service.has_broker() {
            let killed = self.slot.server_is_killed() && self.service.server_end().is_some();
            return killed || self.service.end().is_some_and(End::is_good);
        }
        let end = self.service.end();
        end.is_some_and(|end| self.slot.server_may_end(end))
    }

    /// Returns whether the server is stopped by a signal.
    fn is_paused(&mut self) -> bool {
        let server = self.service.server();
        server.is_some_and(|server| server.is_paused())
    }

    /// Returns the server's process number.
    fn pid(&mut self) -> Option<u32> {
        self.service.server().map(|server| server.id())
    }

    /// Sends a signal to the server, if there is one.
    fn signal(&mut self, send: impl FnOnce(&Process)) {
        if let Some(server) = self.service.server() {
            send(server);
        }
    }
}

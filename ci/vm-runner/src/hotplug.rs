// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Servers of a run in which the guest may unplug devices, plug them in again, and kill or stop
//! servers.
//!
//! The guest sends requests on its third serial port, one per line. The runner carries them out by
//! QEMU's monitor or by a signal. [`slot`](crate::slot) decides which request is allowed when, and
//! `ci/README.md` defines the protocol. On the same port the guest asks for figures of the host:
//! [`measure`](crate::measure).

use std::path::Path;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::machine;
use crate::measure;
use crate::options::MachineOptions;
use crate::port::Port;
use crate::process::{End, Process};
use crate::qmp;
use crate::request;
use crate::screen::Screen;
use crate::server::{self, Server};
use crate::slot::{self, Action, Slot};
use crate::tail::Tail;
use crate::workplace::Workplace;

/// Time in which a server must end after SIGTERM.
const GRACE: Duration = Duration::from_secs(1);

/// A device's slot and server.
struct Device<'a> {
    number: u32,
    /// The program to start whenever the device is plugged in.
    program: Server<'a>,
    slot: Slot,
    /// `None` while the slot is empty.
    server: Option<Process>,
    log: Tail,
}

/// Servers of all devices, and the lines for hot plug.
pub(crate) struct Hotplug<'a> {
    options: &'a MachineOptions,
    /// Program that measures the host.
    measure: Option<&'a Path>,
    place: &'a Workplace,
    interrupt: &'a Interrupt,
    monitor: Port,
    requests: Port,
    devices: Vec<Device<'a>>,
}

impl<'a> Hotplug<'a> {
    /// Creates the lines and starts the first servers. QEMU may start after that.
    pub(crate) fn start(
        options: &'a MachineOptions,
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
        let mut devices = Vec::new();
        for (number, program) in (0..).zip(options.servers()) {
            let mut log = Tail::create(&place.file(&server::log_name(number)))?;
            let server = server::start(program, options, place, number, &mut log, interrupt);
            let server = server.inspect_err(|_| screen.details(&log.last_lines()))?;
            let device = machine::device(number, &place.socket(number));
            devices.push(Device {
                number,
                program,
                slot: Slot::new(options.interrupts, number, device),
                server: Some(server),
                log,
            });
        }
        Ok(Self {
            options,
            measure,
            place,
            interrupt,
            monitor,
            requests,
            devices,
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
            let end = device.server.as_mut()?.end();
            end.is_none().then_some(device.number)
        })
    }

    /// Carries out requests of the guest, as far as that needs no waiting.
    pub(crate) fn step(&mut self) -> Result<(), Error> {
        // Looked at before the monitor is read, and used after that. A server may end before or
        // after QEMU reports that its device has left, and each order must work.
        let ended: Vec<_> = self.devices.iter_mut().map(Device::right_end).collect();
        for line in self.monitor.read()? {
            let message = qmp::parse(&line).map_err(|reason| Error::Monitor { reason })?;
            self.each(|device| device.slot.message(&message))?;
        }
        let mut ended = ended.into_iter();
        self.each(|device| match ended.next() {
            Some(true) => device.slot.server_ended(),
            _ if device.is_paused() => device.slot.server_stopped(),
            _ => Vec::new(),
        })?;
        for line in self.requests.read()? {
            self.request(line.trim())?;
        }
        let now = Instant::now();
        self.each(|device| device.slot.tick(now))
    }

    /// Continues stopped servers after the end of QEMU. No guest is left to ask for that, and the
    /// servers could never end.
    pub(crate) fn release(&mut self) -> Result<(), Error> {
        self.each(|device| device.slot.release())
    }

    /// Reads the servers' logs.
    pub(crate) fn read_logs(&mut self) -> Result<(), Error> {
        let mut logs = self.devices.iter_mut().map(|device| &mut device.log);
        logs.try_for_each(|log| log.read().map(|_| ()))
    }

    /// Returns the name of a server's log and its last lines.
    pub(crate) fn last_lines(&self, number: u32) -> (String, Vec<String>) {
        let device = self.devices.iter().find(|device| device.number == number);
        let lines = device.map_or_else(Vec::new, |device| device.log.last_lines());
        (server::log_name(number), lines)
    }

    /// Ends the servers.
    pub(crate) fn stop(&mut self) {
        self.devices.iter_mut().for_each(Device::stop);
    }

    /// Takes a request of the guest. Sends the answer at once, unless the request takes time.
    fn request(&mut self, line: &str) -> Result<(), Error> {
        let busy = self.devices.iter().any(|device| device.slot.is_busy());
        if busy {
            let reason = "the runner still works on the request before this one";
            return self.requests.send(&slot::refusal(reason));
        }
        if let Some(what) = line.strip_prefix("measure ") {
            let pid = self.devices.first().and_then(Device::pid);
            let answer = measure::figure(self.measure, what, pid);
            return self.requests.send(&match answer {
                Ok(figure) => format!("ok {figure}"),
                Err(reason) => slot::refusal(&reason),
            });
        }
        let devices = u32::try_from(self.devices.len()).unwrap_or(u32::MAX);
        let (request, number) = match request::parse(line, devices) {
            Ok(understood) => understood,
            Err(reason) => return self.requests.send(&slot::refusal(&reason)),
        };
        let now = Instant::now();
        self.each(|device| match device.number == number {
            true => device.slot.request(request, now),
            false => Vec::new(),
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
                        Action::StartServer => {
                            let started = device.start(self.options, self.place, self.interrupt)?;
                            actions.extend(device.slot.server_started(started));
                        }
                        Action::EndServer => device.stop(),
                        Action::KillServer => {
                            let killed = device.server.as_mut().map_or(Ok(()), Process::kill);
                            let killed = killed.map_err(|error| error.to_string());
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

impl Device<'_> {
    /// Returns how the server ended, if it has.
    fn end(&mut self) -> Option<End> {
        self.server.as_mut().and_then(Process::end)
    }

    /// Returns how the server ended, if it was not allowed to.
    fn wrong_end(&mut self) -> Option<(u32, End)> {
        let end = self.end()?;
        (!self.slot.server_may_end(end)).then_some((self.number, end))
    }

    /// Returns whether the server ended as it was allowed to.
    fn right_end(&mut self) -> bool {
        self.end().is_some_and(|end| self.slot.server_may_end(end))
    }

    /// Returns whether the server is stopped by a signal.
    fn is_paused(&self) -> bool {
        self.server.as_ref().is_some_and(Process::is_paused)
    }

    /// Starts another server. The inner error is for the guest: a server that fails to start does
    /// not fail the run.
    fn start(
        &mut self,
        options: &MachineOptions,
        place: &Workplace,
        interrupt: &Interrupt,
    ) -> Result<Result<(), String>, Error> {
        let (program, number, log) = (self.program, self.number, &mut self.log);
        match server::start(program, options, place, number, log, interrupt) {
            Ok(server) => {
                self.server = Some(server);
                Ok(Ok(()))
            }
            Err(error @ Error::Interrupted { .. }) => Err(error),
            Err(error) => Ok(Err(error.to_string())),
        }
    }

    /// Returns the server's process number.
    fn pid(&self) -> Option<u32> {
        self.server.as_ref().map(Process::id)
    }

    /// Sends a signal to the server, if there is one.
    fn signal(&self, send: impl FnOnce(&Process)) {
        if let Some(server) = &self.server {
            send(server);
        }
    }

    /// Ends the server, if there is one.
    fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.stop(GRACE);
        }
    }
}

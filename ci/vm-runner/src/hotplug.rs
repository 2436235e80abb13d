// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The devices' servers while the guest may take devices out, put them back, and kill or stop
//! servers.
//!
//! The guest asks on its third serial port, a line a request; QEMU's monitor or a signal carries it
//! out. What may be asked when is decided in [`slot`](crate::slot), the protocol is in
//! `ci/README.md`. On the same line it asks for figures of the host: [`measure`](crate::measure).

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
use crate::server;
use crate::slot::{self, Action, Slot};
use crate::tail::Tail;
use crate::workplace::Workplace;

/// How long a server may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(1);

/// A device's slot and server.
struct Device {
    number: u32,
    slot: Slot,
    /// None while the slot is empty.
    server: Option<Process>,
    log: Tail,
}

/// The servers, and the two lines by which devices can be changed.
pub(crate) struct Hotplug<'a> {
    options: &'a MachineOptions,
    /// Program that measures the host.
    measure: Option<&'a Path>,
    place: &'a Workplace,
    interrupt: &'a Interrupt,
    monitor: Port,
    requests: Port,
    devices: Vec<Device>,
}

impl<'a> Hotplug<'a> {
    /// Makes the lines and starts the first servers. QEMU may come now.
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
        monitor.send(&qmp::hello())?;
        let mut devices = Vec::new();
        for number in 0..options.devices {
            let mut log = Tail::create(&place.file(&server::log_name(number)))?;
            let server = server::start(options, place, number, &mut log, interrupt);
            let server = server.inspect_err(|_| screen.details(&log.last_lines()))?;
            let device = machine::device(number, &place.socket(number));
            devices.push(Device {
                number,
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

    /// A server that has ended and was not to, and how. Bad ends come first.
    pub(crate) fn server_end(&mut self) -> Option<(u32, End)> {
        let ends = self.devices.iter_mut().filter_map(Device::wrong_end);
        ends.min_by_key(|(_, end)| end.is_good())
    }

    /// A server that has not ended.
    pub(crate) fn running(&mut self) -> Option<u32> {
        let mut devices = self.devices.iter_mut();
        devices.find_map(|device| {
            let end = device.server.as_mut()?.end();
            end.is_none().then_some(device.number)
        })
    }

    /// Carries out what the guest asks for, as far as it goes without waiting.
    pub(crate) fn step(&mut self) -> Result<(), Error> {
        // A server may end before or after QEMU says that its device has left: both are looked at
        // in every step.
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

    /// QEMU has gone, so that nobody can ask any more to let a stopped server go on.
    pub(crate) fn release(&mut self) -> Result<(), Error> {
        self.each(|device| device.slot.release())
    }

    /// Reads what the servers say.
    pub(crate) fn read_logs(&mut self) -> Result<(), Error> {
        let mut logs = self.devices.iter_mut().map(|device| &mut device.log);
        logs.try_for_each(|log| log.read().map(|_| ()))
    }

    /// The last lines of the log of a device's server, and its name.
    pub(crate) fn last_lines(&self, number: u32) -> (String, Vec<String>) {
        let device = self.devices.iter().find(|device| device.number == number);
        let lines = device.map_or_else(Vec::new, |device| device.log.last_lines());
        (server::log_name(number), lines)
    }

    /// Ends the servers.
    pub(crate) fn stop(&mut self) {
        self.devices.iter_mut().for_each(Device::stop);
    }

    fn request(&mut self, line: &str) -> Result<(), Error> {
        let busy = self.devices.iter().any(|device| device.slot.is_busy());
        if busy {
            let reason = "the request before this one is not answered yet";
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
        let (request, number) = match request::parse(line, self.options.devices) {
            Ok(understood) => understood,
            Err(reason) => return self.requests.send(&slot::refusal(&reason)),
        };
        let now = Instant::now();
        self.each(|device| match device.number == number {
            true => device.slot.request(request, now),
            false => Vec::new(),
        })
    }

    /// Performs what each device wants.
    fn each(&mut self, mut wants: impl FnMut(&mut Device) -> Vec<Action>) -> Result<(), Error> {
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

impl Device {
    fn end(&mut self) -> Option<End> {
        self.server.as_mut().and_then(Process::end)
    }

    fn wrong_end(&mut self) -> Option<(u32, End)> {
        let end = self.end()?;
        (!self.slot.server_may_end(end)).then_some((self.number, end))
    }

    fn right_end(&mut self) -> bool {
        self.end().is_some_and(|end| self.slot.server_may_end(end))
    }

    fn is_paused(&self) -> bool {
        self.server.as_ref().is_some_and(Process::is_paused)
    }

    /// Starts another server. That it does not start is for the guest to hear.
    fn start(
        &mut self,
        options: &MachineOptions,
        place: &Workplace,
        interrupt: &Interrupt,
    ) -> Result<Result<(), String>, Error> {
        match server::start(options, place, self.number, &mut self.log, interrupt) {
            Ok(server) => {
                self.server = Some(server);
                Ok(Ok(()))
            }
            Err(error @ Error::Interrupted { .. }) => Err(error),
            Err(error) => Ok(Err(error.to_string())),
        }
    }

    fn pid(&self) -> Option<u32> {
        self.server.as_ref().map(Process::id)
    }

    fn signal(&self, send: impl FnOnce(&Process)) {
        if let Some(server) = &self.server {
            send(server);
        }
    }

    fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.stop(GRACE);
        }
    }
}

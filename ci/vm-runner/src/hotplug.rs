// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The device's server while the guest may take the device out and put it back.
//!
//! The guest asks on its third serial port, a line a request; QEMU's monitor carries it out. What
//! may be asked when is decided in [`slot`](crate::slot), the protocol is in `ci/README.md`.

use std::time::{Duration, Instant};

use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::machine;
use crate::options::MachineOptions;
use crate::port::Port;
use crate::process::{End, Process};
use crate::qmp;
use crate::server;
use crate::slot::{Action, Slot};
use crate::tail::Tail;
use crate::workplace::Workplace;

/// How long a server may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(1);

/// The server, and the two lines by which the device can be changed.
pub(crate) struct Hotplug<'a> {
    options: &'a MachineOptions,
    place: &'a Workplace,
    monitor: Port,
    requests: Port,
    slot: Slot,
    /// None while the slot is empty.
    server: Option<Process>,
}

impl<'a> Hotplug<'a> {
    /// Makes the lines and starts the first server. QEMU may come now.
    pub(crate) fn start(
        options: &'a MachineOptions,
        place: &'a Workplace,
        log: &mut Tail,
        interrupt: &Interrupt,
    ) -> Result<Self, Error> {
        let ports = place.hotplug_ports();
        let mut monitor = Port::create(&ports.monitor)?;
        let requests = Port::create(&ports.requests)?;
        let (slot, hello) = Slot::new(options.interrupts, machine::device(&place.socket()));
        monitor.send(&hello)?;
        let server = server::start(options, place, log, interrupt)?;
        Ok(Self {
            options,
            place,
            monitor,
            requests,
            slot,
            server: Some(server),
        })
    }

    /// How the server ended, if it has and was not to.
    pub(crate) fn server_end(&mut self) -> Option<End> {
        let end = self.server.as_mut().and_then(Process::end)?;
        (!end.is_good() || !self.slot.server_may_end()).then_some(end)
    }

    /// Whether there is a server that has to end when QEMU does.
    pub(crate) fn has_server(&mut self) -> bool {
        self.server
            .as_mut()
            .is_some_and(|server| server.end().is_none())
    }

    /// Carries out what the guest asks for, as far as it goes without waiting.
    pub(crate) fn step(&mut self, log: &mut Tail, interrupt: &Interrupt) -> Result<(), Error> {
        // The server may end before or after QEMU says that the device has left: both are looked at in
        // every step.
        let ended = self.server.as_mut().and_then(Process::end);
        for line in self.monitor.read()? {
            let message = qmp::parse(&line).map_err(|reason| Error::Monitor { reason })?;
            let actions = self.slot.message(&message);
            self.perform(actions, log, interrupt)?;
        }
        if ended.is_some_and(End::is_good) {
            let actions = self.slot.server_ended();
            self.perform(actions, log, interrupt)?;
        }
        for line in self.requests.read()? {
            let actions = self.slot.request(line.trim(), Instant::now());
            self.perform(actions, log, interrupt)?;
        }
        let actions = self.slot.tick(Instant::now());
        self.perform(actions, log, interrupt)
    }

    /// Ends the server, if there is one.
    pub(crate) fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.stop(GRACE);
        }
    }

    fn perform(
        &mut self,
        mut actions: Vec<Action>,
        log: &mut Tail,
        interrupt: &Interrupt,
    ) -> Result<(), Error> {
        while !actions.is_empty() {
            for action in std::mem::take(&mut actions) {
                match action {
                    Action::Command(line) => self.monitor.send(&line)?,
                    Action::Answer(line) => self.requests.send(&line)?,
                    Action::EndServer => self.stop(),
                    Action::StartServer => {
                        let started = self.start_server(log, interrupt)?;
                        actions.extend(self.slot.server_started(started));
                    }
                }
            }
        }
        Ok(())
    }

    /// Starts another server. That it does not start is for the guest to hear.
    fn start_server(
        &mut self,
        log: &mut Tail,
        interrupt: &Interrupt,
    ) -> Result<Result<(), String>, Error> {
        match server::start(self.options, self.place, log, interrupt) {
            Ok(server) => {
                self.server = Some(server);
                Ok(Ok(()))
            }
            Err(error @ Error::Interrupted { .. }) => Err(error),
            Err(error) => Ok(Err(error.to_string())),
        }
    }
}

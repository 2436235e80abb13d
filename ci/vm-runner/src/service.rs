// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The processes behind a device: its server, and with `--broker` the broker to which QEMU connects
//! in the server's place.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use ringbar_lies::Lie;

use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::options::{Interrupts, MachineOptions};
use crate::process::{End, Process};
use crate::screen::Screen;
use crate::server::{self, Launch, Server};
use crate::stand_in;
use crate::tail::Tail;
use crate::watch::Watch;
use crate::workplace::Workplace;

/// Time in which a process must end after SIGTERM.
const GRACE: Duration = Duration::from_secs(1);

/// What is the same for all services of a run.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    pub(crate) options: &'a MachineOptions,
    pub(crate) place: &'a Workplace,
    pub(crate) interrupt: &'a Interrupt,
}

/// The processes behind one device. Dropping it ends them.
pub(crate) struct Service<'a> {
    around: Surroundings<'a>,
    device: u32,
    program: Server<'a>,
    /// `None` without a broker, or while the slot is empty.
    broker: Option<Process>,
    /// `None` while the slot is empty.
    server: Option<Process>,
    /// Whether the other build of the server serves.
    other: bool,
    /// Lie that the servers tell from their start on, until the device is taken out.
    lie: Option<Lie>,
    /// QEMU's connection, if it is to outlive the process that answers on it.
    connection: Option<UnixStream>,
    log: Tail,
    /// Watches the server's program.
    watch: Option<Watch>,
}

impl<'a> Service<'a> {
    /// Starts the processes. QEMU may connect after that.
    pub(crate) fn start(
        around: Surroundings<'a>,
        device: u32,
        program: Server<'a>,
        screen: &Screen,
    ) -> Result<Self, Error> {
        let log = Tail::create(&around.place.file(&server::log_name(device)))?;
        let watched = around.options.watch && program.is_ringbars();
        let mut service = Self {
            watch: watched.then(|| Watch::new(program.program(), Instant::now())),
            around,
            device,
            program,
            broker: None,
            server: None,
            other: false,
            lie: None,
            connection: None,
            log,
        };
        let started = service.start_all(None);
        started.inspect_err(|_| screen.details(&service.log.last_lines()))?;
        Ok(service)
    }

    /// Starts all processes of the services of a run.
    pub(crate) fn start_each(
        around: Surroundings<'a>,
        screen: &Screen,
    ) -> Result<Vec<Self>, Error> {
        (0..)
            .zip(around.options.servers())
            .map(|(device, program)| Self::start(around, device, program, screen))
            .collect()
    }

    /// Starts the processes for a device that is plugged in, and tells this lie if there is one.
    pub(crate) fn start_all(&mut self, lie: Option<Lie>) -> Result<(), Error> {
        self.lie = lie;
        self.connection = None;
        if let Some(program) = self.broker_program() {
            let launch = Launch::of_broker(program, self.around.place, self.device);
            self.broker = Some(self.start_process(launch)?);
        }
        self.start_server()
    }

    /// Starts a server of the other build, if there is one. Ends the one before, if it has not ended.
    pub(crate) fn swap_server(&mut self) -> Result<(), Error> {
        self.other = !self.other;
        self.start_server()
    }

    /// Starts a server. Ends the one before, if it has not ended.
    pub(crate) fn start_server(&mut self) -> Result<(), Error> {
        if let Some(mut server) = self.server.take() {
            server.stop(GRACE);
        }
        let Surroundings { options, place, .. } = self.around;
        let program = match (&options.other_server, self.other) {
            (Some(other), true) => Server::Ringbar(other),
            _ => self.program,
        };
        let launch = program.launch(options, place, self.device);
        let launch = launch.with(self.lie);
        self.server = Some(self.start_process(launch)?);
        Ok(())
    }

    /// Replaces the server if its program was built anew, and tells the user. Returns whether there
    /// is a server then, or `None` if nothing has changed.
    pub(crate) fn follow_program(&mut self, screen: &Screen) -> Option<bool> {
        let changed = self.watch.as_mut()?.has_changed(Instant::now());
        // Without QEMU no device is left to serve.
        if !changed || self.end().is_some() {
            return None;
        }
        let started = self.start_server();
        // An empty line first: the cursor may stand behind the shell's prompt.
        screen.say("");
        let device = self.device;
        match &started {
            Ok(()) => screen.note(&format!("device {device} is served by the new build")),
            Err(error) => {
                screen.note(&format!("device {device} has no server: {error}"));
                screen.details(&self.log.last_lines());
            }
        }
        Some(started.is_ok())
    }

    fn start_process(&mut self, launch: Launch<'_>) -> Result<Process, Error> {
        let Surroundings {
            place, interrupt, ..
        } = self.around;
        server::start(launch, place, self.device, &mut self.log, interrupt)
    }

    /// Returns the program of the broker, if this device has one.
    fn broker_program(&self) -> Option<&'a Path> {
        let broker = self.around.options.broker_of(self.device);
        broker.filter(|_| self.program.is_ringbars())
    }

    /// Returns whether a broker stands between QEMU and the server.
    pub(crate) fn has_broker(&self) -> bool {
        self.broker_program().is_some()
    }

    /// Returns the number of the device.
    pub(crate) fn device(&self) -> u32 {
        self.device
    }

    /// Returns how the process ended to which QEMU was connected, if it has. A server behind a broker
    /// that has ended is no longer needed, and is ended too.
    pub(crate) fn end(&mut self) -> Option<End> {
        if !self.has_broker() {
            return self.server_end();
        }
        let end = self.broker.as_mut()?.end()?;
        if let Some(server) = &mut self.server
            && server.end().is_none()
        {
            server.stop(GRACE);
        }
        Some(end)
    }

    /// Returns how the server ended, if it has.
    pub(crate) fn server_end(&mut self) -> Option<End> {
        self.server.as_mut()?.end()
    }

    /// Returns the server, if there is one.
    pub(crate) fn server(&mut self) -> Option<&mut Process> {
        self.server.as_mut()
    }

    /// Kills the server. A broker must bear that its connection ends anyhow. QEMU does not. So its
    /// connection is closed with care, or answered from then on: QEMU keeps it as long as the device,
    /// and aborts if the address map changes after it was closed.
    pub(crate) fn kill_server(&mut self) -> Result<(), String> {
        if self.has_broker() {
            if let Some(server) = &mut self.server {
                server.kill_at_once();
            }
            return Ok(());
        }
        if self.around.options.interrupts == Interrupts::Msix {
            self.hold_connection()?;
        }
        if self.connection.is_some() {
            return self.stand_in().map_err(|error| error.to_string());
        }
        let killed = self.server.as_mut().map(Process::kill).transpose();
        killed.map(|_| ()).map_err(|error| error.to_string())
    }

    /// Holds QEMU's connection, so that it does not end with the process that answers on it. There may
    /// be none: QEMU closes that to a server which was too late.
    pub(crate) fn hold_connection(&mut self) -> Result<(), String> {
        let process = self.broker.as_mut().or(self.server.as_mut());
        let path = self.around.place.socket(self.device);
        let connection = process.map(|process| process.connection(&path)).transpose();
        self.connection = connection.map_err(|error| error.to_string())?.flatten();
        Ok(())
    }

    /// Kills the processes, and answers on the held connection in their place.
    pub(crate) fn stand_in(&mut self) -> Result<(), Error> {
        // The broker first: it would report that its server has gone.
        let processes = [self.broker.as_mut(), self.server.as_mut()];
        for process in processes.into_iter().flatten() {
            process.kill_and_wait();
        }
        if let Some(connection) = self.connection.take() {
            let log = server::log_name(self.device);
            let path = self.around.place.file(&log);
            let log = self.around.place.append(&log)?;
            stand_in::answer(connection, log).map_err(|source| Error::File {
                action: "used by a thread",
                path,
                source,
            })?;
        }
        Ok(())
    }

    /// Reads the log.
    pub(crate) fn read_log(&mut self) -> Result<(), Error> {
        self.log.read().map(|_| ())
    }

    /// Returns the last lines of the log.
    pub(crate) fn last_lines(&self) -> Vec<String> {
        self.log.last_lines()
    }

    /// Ends the processes.
    pub(crate) fn stop(&mut self) {
        // The broker first: it would report that its server has gone.
        let processes = [self.broker.take(), self.server.take()];
        for mut process in processes.into_iter().flatten() {
            process.stop(GRACE);
        }
    }
}

impl Drop for Service<'_> {
    fn drop(&mut self) {
        self.stop();
    }
}

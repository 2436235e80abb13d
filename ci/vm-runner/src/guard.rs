// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Guard of the guest: combines the line to init with the times of QEMU's threads, and finds
//! hanging programs, a hanging guest, and a wrong clock.

use std::time::Duration;

use crate::beat::{self, Beat};
use crate::error::Error;
use crate::guest_clock::{GuestClock, WrongClock};
use crate::hang::{Hang, HungProgram};
use crate::limits::Limits;
use crate::meter::Meter;
use crate::port::Port;
use crate::watchdog::{Alarm, Watchdog};
use crate::workplace::Workplace;

/// Steps between two looks at QEMU's threads. A step takes a hundredth of a second or more.
const LOOK: u32 = 10;

/// Findings besides results and complaints.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Watched {
    /// Programs that hung.
    pub(crate) hung: Vec<HungProgram>,
    /// Wrong clock of the guest, if it is wrong.
    pub(crate) clock: Option<WrongClock>,
}

/// Watch on a guest.
#[derive(Debug)]
pub(crate) struct Guard {
    control: Port,
    watchdog: Watchdog,
    /// `None` until QEMU has started.
    meter: Option<Meter>,
    clock: GuestClock,
    steps: u32,
    hung: Vec<HungProgram>,
}

impl Guard {
    /// Creates the line. QEMU may start after that.
    pub(crate) fn start(place: &Workplace, processors: u32, limits: Limits) -> Result<Self, Error> {
        Ok(Self {
            control: Port::create(&place.control_port())?,
            watchdog: Watchdog::new(limits, processors),
            meter: None,
            clock: GuestClock::default(),
            steps: 0,
            hung: Vec::new(),
        })
    }

    /// Notes that QEMU, or the script that runs it, has started with this number.
    pub(crate) fn watch(&mut self, pid: u32) {
        self.meter = Some(Meter::new(pid));
    }

    /// Notes a line of the kernel.
    pub(crate) fn console_line(&mut self) {
        self.watchdog.console_line();
    }

    /// Notes a line of results. `running` is the program that runs after it.
    pub(crate) fn result_line(&mut self, running: Option<&str>) {
        self.watchdog.result_line(running);
    }

    /// Looks at the guest. Orders init to kill a hanging program. Returns the hang if more than a
    /// program hangs. `now` counts from any fixed moment. While the machine is `restarting`, a beat
    /// may be of the boot before or of the next one.
    pub(crate) fn step(
        &mut self,
        now: Duration,
        running: Option<&str>,
        restarting: bool,
    ) -> Result<Option<Hang>, Error> {
        if restarting {
            self.clock.restart();
        }
        for beat in self
            .control
            .read()?
            .iter()
            .filter_map(|line| Beat::parse(line))
        {
            if !restarting {
                self.clock.beat(now, beat.clock);
            }
            self.watchdog.beat(beat);
        }
        self.steps = self.steps.wrapping_add(1);
        if self.steps.checked_rem(LOOK) != Some(0) {
            return Ok(None);
        }
        if let Some(meter) = &mut self.meter {
            self.watchdog.look(meter.read());
        }
        match self.watchdog.alarm(running) {
            Some(Alarm::Kill { program, reason }) => {
                self.control.send(&beat::kill_order(&program, &reason))?;
                self.hung.push(HungProgram { program, reason });
                Ok(None)
            }
            Some(Alarm::End(hang)) => Ok(Some(hang)),
            None => Ok(None),
        }
    }

    /// Returns the findings at the end of the run.
    pub(crate) fn finish(self) -> Watched {
        Watched {
            clock: self.clock.complaint(),
            hung: self.hung,
        }
    }
}

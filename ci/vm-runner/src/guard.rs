// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The line to init, and what is learned from it and from QEMU's threads: programs that hang, a guest that hangs, and a
//! clock that is wrong.

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

/// Steps from one look at QEMU's threads to the next: a step is a hundredth of a second or more.
const LOOK: u32 = 10;

/// What was found besides results and complaints.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Watched {
    /// Programs that hung.
    pub(crate) hung: Vec<HungProgram>,
    /// The guest's clock, if it is wrong.
    pub(crate) clock: Option<WrongClock>,
}

/// Watches a guest.
#[derive(Debug)]
pub(crate) struct Guard {
    control: Port,
    watchdog: Watchdog,
    /// None until QEMU has started.
    meter: Option<Meter>,
    clock: GuestClock,
    steps: u32,
    hung: Vec<HungProgram>,
}

impl Guard {
    /// Makes the line. QEMU may come now.
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

    /// QEMU, or the script that runs it, has started with this number.
    pub(crate) fn watch(&mut self, pid: u32) {
        self.meter = Some(Meter::new(pid));
    }

    /// The kernel has printed a line.
    pub(crate) fn console_line(&mut self) {
        self.watchdog.console_line();
    }

    /// A line of results has come; `running` is the program that runs after it.
    pub(crate) fn result_line(&mut self, running: Option<&str>) {
        self.watchdog.result_line(running);
    }

    /// Looks, `now` counted from any fixed moment; has init kill a program that hangs, and says if more than that hangs.
    pub(crate) fn step(
        &mut self,
        now: Duration,
        running: Option<&str>,
    ) -> Result<Option<Hang>, Error> {
        for beat in self
            .control
            .read()?
            .iter()
            .filter_map(|line| Beat::parse(line))
        {
            self.clock.beat(now, beat.clock);
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
                self.control.send(&beat::kill(&program, &reason))?;
                self.hung.push(HungProgram { program, reason });
                Ok(None)
            }
            Some(Alarm::End(hang)) => Ok(Some(hang)),
            None => Ok(None),
        }
    }

    /// What was found in the end.
    pub(crate) fn finish(self) -> Watched {
        Watched {
            clock: self.clock.complaint(),
            hung: self.hung,
        }
    }
}

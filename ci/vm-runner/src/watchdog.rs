// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Decision that a guest hangs. Pure, and without a clock: only the time that the guest has had
//! counts.
//!
//! That time has two parts. One is the processor time that the host gave to QEMU's virtual
//! processors. The other is the time in which the guest reports that all of them were idle. Neither
//! advances while the host does other work, or while QEMU waits for a server.
//!
//! A machine in which nothing moves is recognised by the number of the runner's looks. The runner
//! gets no processor either when the host is busy.

use std::time::Duration;

use crate::beat::Beat;
use crate::hang::Hang;
use crate::limits::{seconds, Limits, Origin};

/// QEMU stands still if it asks for less processor time than this between two looks. A sleeping
/// guest also asks for less, but it beats.
const STANDS_STILL: Duration = Duration::from_millis(10);

/// Largest idle time that counts between two beats. A longer one means that QEMU was stopped or
/// stood still.
const MOST_IDLE: Duration = Duration::from_secs(2);

/// Processor time of QEMU's threads so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Load {
    /// Processor time of the virtual processors.
    pub(crate) ran: Duration,
    /// Processor time of all threads, including the time in which they waited for a processor.
    pub(crate) wanted: Duration,
}

/// Reaction to a hang.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Alarm {
    /// Let init kill the running program.
    Kill { program: String, reason: String },
    /// End the run.
    End(Hang),
}

/// State of the watch.
#[derive(Debug)]
pub(crate) struct Watchdog {
    limits: Limits,
    /// Processors of the guest.
    processors: u32,
    load: Load,
    /// Time in which all processors were idle.
    idled: Duration,
    /// Processor time of the boot, known after the first beat.
    boot: Option<Duration>,
    beat: Option<Beat>,
    /// Processor time at the last beat or result. Before the first beat: at the last line of the
    /// kernel.
    heard: Duration,
    /// Looks at a still QEMU since the last line or beat.
    still: u32,
    /// The guest's time at the last line of results.
    progress: Duration,
    /// Program that init was ordered to kill, and the guest's time then.
    told: Option<(String, Duration)>,
}

impl Watchdog {
    /// Starts with a guest that has not started.
    pub(crate) fn new(limits: Limits, processors: u32) -> Self {
        Self {
            limits,
            processors,
            load: Load::default(),
            idled: Duration::ZERO,
            boot: None,
            beat: None,
            heard: Duration::ZERO,
            still: 0,
            progress: Duration::ZERO,
            told: None,
        }
    }

    /// Notes a line of the kernel. After the boot it only shows that QEMU does not stand still: a
    /// spinning kernel may print that it spins.
    pub(crate) fn console_line(&mut self) {
        self.still = 0;
        if self.boot.is_none() {
            self.heard = self.load.ran;
        }
    }

    /// Notes a line of results. `running` is the program that runs after it.
    pub(crate) fn result_line(&mut self, running: Option<&str>) {
        self.heard();
        self.progress = self.had();
        if self
            .told
            .as_ref()
            .is_some_and(|(program, _)| Some(program.as_str()) != running)
        {
            self.told = None;
        }
    }

    /// Notes a beat of init.
    pub(crate) fn beat(&mut self, beat: Beat) {
        self.heard();
        if self.boot.is_none() {
            self.boot = Some(self.load.ran);
            self.progress = self.had();
        }
        if let Some(last) = &self.beat {
            self.idled = self.idled.saturating_add(self.idle_between(last, &beat));
        }
        self.beat = Some(beat);
    }

    /// Notes a sign of life of init.
    fn heard(&mut self) {
        self.still = 0;
        self.heard = self.load.ran;
    }

    /// Returns a lower bound for the time in which all processors were idle. The guest reports a
    /// sum over all processors, so the others are taken as idle for the whole time.
    fn idle_between(&self, last: &Beat, now: &Beat) -> Duration {
        let passed = now.clock.saturating_sub(last.clock);
        let idle = now.idle.saturating_sub(last.idle);
        let others = passed.saturating_mul(self.processors.saturating_sub(1));
        idle.saturating_sub(others).min(passed).min(MOST_IDLE)
    }

    /// Takes a look at QEMU.
    pub(crate) fn look(&mut self, load: Load) {
        let wanted = load.wanted.saturating_sub(self.load.wanted);
        if wanted < STANDS_STILL {
            self.still = self.still.saturating_add(1);
        }
        self.load = Load {
            // A thread that has ended takes its time with it, so the sum may fall.
            ran: load.ran.max(self.load.ran),
            wanted: load.wanted,
        };
    }

    /// Returns the time that the guest has had.
    fn had(&self) -> Duration {
        self.load.ran.saturating_add(self.idled)
    }

    /// Returns the reaction if the guest hangs. `running` is the running program.
    pub(crate) fn alarm(&mut self, running: Option<&str>) -> Option<Alarm> {
        let looks = self.limits.still();
        if self.still >= looks {
            return Some(Alarm::End(Hang::Still { looks }));
        }
        let ran = self.load.ran.saturating_sub(self.heard);
        let Some(boot) = self.boot else {
            let late = ran > self.limits.until_init();
            return late.then_some(Alarm::End(Hang::Boot { ran }));
        };
        let unit = self.limits.unit(boot);
        let limit = self.limits.without_beat(unit);
        if ran > limit {
            return Some(Alarm::End(Hang::Spins {
                ran,
                limit: Origin::new(limit, boot),
                program: self.beating(),
            }));
        }
        match &self.told {
            Some((program, then)) => {
                let had = self.had().saturating_sub(*then);
                let hang = Hang::Disobeyed {
                    program: program.clone(),
                    had,
                    beating: self.beating(),
                };
                (had > self.limits.killing(unit)).then_some(Alarm::End(hang))
            }
            None => self.without_progress(boot, running),
        }
    }

    /// Returns the reaction if no results come any more.
    fn without_progress(&mut self, boot: Duration, running: Option<&str>) -> Option<Alarm> {
        let had = self.had().saturating_sub(self.progress);
        let limit = self.limits.program(self.limits.unit(boot), running);
        if had <= limit {
            return None;
        }
        let limit = Origin::new(limit, boot);
        let Some(program) = running else {
            return Some(Alarm::End(Hang::Idle { had, limit }));
        };
        let reason = format!(
            "it printed no line in {} of the guest's time; the limit is {limit}",
            seconds(had)
        );
        self.told = Some((program.to_owned(), self.had()));
        Some(Alarm::Kill {
            program: program.to_owned(),
            reason,
        })
    }

    /// Returns the program in the last beat.
    fn beating(&self) -> Option<String> {
        self.beat.as_ref().and_then(|beat| beat.program.clone())
    }
}

#[cfg(test)]
mod tests;

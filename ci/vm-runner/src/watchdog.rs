// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! When a guest counts as hung. Pure, and no clock is looked at: what counts is the time that the guest has had.
//!
//! That is the processor time that the host gave to QEMU's virtual processors, and the time in which the guest says that
//! all of them were idle. Where the host has other work neither advances, nor when QEMU stands still because it
//! waits for a server. That nothing moves at all is told by looks of the runner, which gets no processor either then.

use std::time::Duration;

use crate::beat::Beat;
use crate::hang::{time, Hang};
use crate::limits::Limits;

/// QEMU asks for this little processor time between two looks if it stands still. A guest that merely sleeps asks
/// for less as well; but that one beats.
const STANDS_STILL: Duration = Duration::from_millis(10);

/// Most idle time that counts from one beat to the next. More has passed if QEMU was stopped, or stood still.
const MOST_IDLE: Duration = Duration::from_secs(2);

/// What QEMU's threads have had so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Load {
    /// Processor time of the virtual processors.
    pub(crate) ran: Duration,
    /// Processor time of all threads, and the time for which they wanted a processor and got none.
    pub(crate) wanted: Duration,
}

/// Something to be done about a hang.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Alarm {
    /// Have init kill the program that runs.
    Kill { program: String, reason: String },
    /// End the run.
    End(Hang),
}

/// What was seen of a guest.
#[derive(Debug)]
pub(crate) struct Watchdog {
    limits: Limits,
    /// Processors of the guest.
    processors: u32,
    load: Load,
    /// Time in which all processors were idle.
    idled: Duration,
    /// Processor time of the boot, once init was heard.
    boot: Option<Duration>,
    beat: Option<Beat>,
    /// Processor time at the last beat or result; before the first beat, at the last line of the kernel.
    heard: Duration,
    /// Looks since the last line or beat at which QEMU stood still.
    still: u32,
    /// Time that the guest had had at the last line of results.
    progress: Duration,
    /// The program that init was told to kill, and the time had then.
    told: Option<(String, Duration)>,
}

impl Watchdog {
    /// Begins with a guest that has not started.
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

    /// The kernel has printed a line. One that spins may print as well that it does.
    pub(crate) fn console_line(&mut self) {
        self.still = 0;
        if self.boot.is_none() {
            self.heard = self.load.ran;
        }
    }

    /// A line of results has come; `running` is the program that runs after it.
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

    /// Init has been heard.
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

    fn heard(&mut self) {
        self.still = 0;
        self.heard = self.load.ran;
    }

    /// Time in which all processors were idle, at the least: one alone cannot have been so for longer than the time.
    fn idle_between(&self, last: &Beat, now: &Beat) -> Duration {
        let passed = now.clock.saturating_sub(last.clock);
        let idle = now.idle.saturating_sub(last.idle);
        let others = passed.saturating_mul(self.processors.saturating_sub(1));
        idle.saturating_sub(others).min(passed).min(MOST_IDLE)
    }

    /// The runner has looked at QEMU.
    pub(crate) fn look(&mut self, load: Load) {
        let wanted = load.wanted.saturating_sub(self.load.wanted);
        if wanted < STANDS_STILL {
            self.still = self.still.saturating_add(1);
        }
        self.load = Load {
            // A thread that has gone takes its time with it.
            ran: load.ran.max(self.load.ran),
            wanted: load.wanted,
        };
    }

    /// Time that the guest has had.
    fn had(&self) -> Duration {
        self.load.ran.saturating_add(self.idled)
    }

    /// What is to be done, if the guest hangs. `running` is the program that runs.
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
        if ran > self.limits.without_beat(unit) {
            let (boots, program) = (boots(ran, unit), self.beating());
            return Some(Alarm::End(Hang::Spins {
                ran,
                boots,
                program,
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
            None => self.without_progress(unit, running),
        }
    }

    fn without_progress(&mut self, unit: Duration, running: Option<&str>) -> Option<Alarm> {
        let had = self.had().saturating_sub(self.progress);
        let limit = self.limits.program(unit, running);
        if had <= limit {
            return None;
        }
        let Some(program) = running else {
            return Some(Alarm::End(Hang::Idle {
                had,
                boots: boots(had, unit),
            }));
        };
        let reason = format!(
            "no line of it in {} that the guest has had, the limit is {}, {} boots of this guest",
            time(had),
            time(limit),
            boots(limit, unit)
        );
        self.told = Some((program.to_owned(), self.had()));
        Some(Alarm::Kill {
            program: program.to_owned(),
            reason,
        })
    }

    fn beating(&self) -> Option<String> {
        self.beat.as_ref().and_then(|beat| beat.program.clone())
    }
}

/// Whole boots in a time. The unit is never zero.
fn boots(time: Duration, unit: Duration) -> u64 {
    let boots = time.as_nanos().checked_div(unit.as_nanos());
    boots
        .and_then(|boots| u64::try_from(boots).ok())
        .unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;

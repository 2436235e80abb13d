// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `cargo test` with a change in a crate of the host.

use std::cell::Cell;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::judge::{Judge, Judgement};
use crate::log;
use crate::place::{self, Place};
use crate::results::Verdict;
use crate::state::State;
use crate::step::{End, Step};
use crate::target::Target;

/// Profile of the workspace's Cargo.toml for these builds.
const PROFILE: &str = "mutants";

/// The tests of a crate and of its users.
#[derive(Debug)]
pub(crate) struct Host<'a> {
    place: &'a Place,
    target: &'a Target,
    interrupt: &'a Interrupt,
}

impl<'a> Host<'a> {
    /// Creates the tests of this target.
    pub(crate) fn new(place: &'a Place, target: &'a Target, interrupt: &'a Interrupt) -> Self {
        Self {
            place,
            target,
            interrupt,
        }
    }

    /// Returns the file with the output of the tests.
    fn log(&self) -> PathBuf {
        self.place.file(&format!("{}.log", self.target.name))
    }

    /// Returns the step that builds the tests and runs them up to the first failed program.
    fn test(&self) -> Step {
        let packages = self.target.tests.iter();
        self.place
            .script("cargo.sh", self.log())
            .args(["test", "--locked", "--profile", PROFILE])
            .args(packages.map(|package| format!("--package={package}")))
            // A random test would otherwise keep the case with which it noticed a change, and try that first
            // with the next one.
            .env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "true")
    }
}

impl Judge for Host<'_> {
    fn baseline(&self, _state: &State) -> Result<Duration, Error> {
        let (clock, log) = (Clock::default(), self.log());
        let look = || {
            clock.passed(&place::text(&log));
            Ok(false)
        };
        match self.test().watch(self.interrupt, look)? {
            End::Good => Ok(clock.passed(&place::text(&log))),
            End::Bad | End::Cut => Err(Error::Failed {
                what: "running the tests without a change".to_owned(),
                log,
            }),
        }
    }

    fn judge(&self, limit: Duration) -> Result<Judgement, Error> {
        let (clock, log) = (Clock::default(), self.log());
        let look = || Ok(clock.passed(&place::text(&log)) > limit);
        let end = self.test().watch(self.interrupt, look)?;
        let text = place::text(&log);
        match end {
            End::Good => Ok((Verdict::Missed, None)),
            End::Cut => Ok((Verdict::Timeout, None)),
            End::Bad if log::does_not_compile(&text) => Ok((Verdict::Unviable, None)),
            End::Bad => match log::failed_test(&text) {
                Some(test) => Ok((Verdict::Caught, Some(test))),
                None => Err(Error::Failed {
                    what: "running the tests".to_owned(),
                    log,
                }),
            },
        }
    }
}

/// Time since the first test program began. Before, everything is compiled, which takes its time.
#[derive(Debug, Default)]
struct Clock {
    began: Cell<Option<Instant>>,
}

impl Clock {
    /// Returns the time since the first look at which the output had a test program.
    fn passed(&self, output: &str) -> Duration {
        if self.began.get().is_none() && log::has_begun(output) {
            self.began.set(Some(Instant::now()));
        }
        self.began
            .get()
            .map_or(Duration::ZERO, |began| began.elapsed())
    }
}

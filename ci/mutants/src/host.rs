// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `cargo test` with a change in a crate of the host.

use std::path::PathBuf;
use std::time::Duration;

use crate::effort::Effort;
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

/// Tests may take this many times the time that they take without a change: cargo-mutants' factor.
const FACTOR: u32 = 5;

/// Least limit, as short runs vary most.
const LEAST: Duration = Duration::from_secs(60);

/// The tests of a crate and of its users.
#[derive(Debug)]
pub(crate) struct Host<'a> {
    place: &'a Place,
    target: &'a Target,
    interrupt: &'a Interrupt,
    limit: Duration,
}

impl<'a> Host<'a> {
    /// Creates the tests of this target.
    pub(crate) fn new(place: &'a Place, target: &'a Target, interrupt: &'a Interrupt) -> Self {
        Self {
            place,
            target,
            interrupt,
            limit: LEAST,
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
    fn baseline(&mut self, _state: &State) -> Result<(), Error> {
        let (mut clock, log) = (Clock::default(), self.log());
        let mut usual = Duration::ZERO;
        let look = |child| {
            usual = clock.passed(child, &place::text(&log));
            Ok(false)
        };
        match self.test().watch(self.interrupt, look)? {
            End::Good => self.limit = limit(usual),
            End::Bad | End::Cut => {
                return Err(Error::Failed {
                    what: "running the tests without a change".to_owned(),
                    log,
                })
            }
        }
        Ok(())
    }

    fn judge(&self) -> Result<Judgement, Error> {
        let (mut clock, log) = (Clock::default(), self.log());
        let look = |child| Ok(clock.passed(child, &place::text(&log)) > self.limit);
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

/// Returns the limit for tests that usually have so much time.
fn limit(usual: Duration) -> Duration {
    usual.saturating_mul(FACTOR).max(LEAST)
}

/// Time that the test programs have had. Before the first one, everything is compiled.
#[derive(Debug, Default)]
struct Clock {
    effort: Option<Effort>,
}

impl Clock {
    /// Returns the time since the first look at which the output had a test program.
    fn passed(&mut self, child: u32, output: &str) -> Duration {
        match &mut self.effort {
            Some(effort) => effort.look(),
            None => {
                if log::has_begun(output) {
                    self.effort = i32::try_from(child).ok().map(Effort::begin);
                }
                Duration::ZERO
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_is_a_multiple_of_the_usual_time_but_never_short() {
        assert_eq!(limit(Duration::from_secs(100)), Duration::from_secs(500));
        assert_eq!(limit(Duration::from_secs(1)), LEAST);
    }
}

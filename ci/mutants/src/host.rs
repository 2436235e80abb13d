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
const LEAST: Duration = Duration::from_secs(20);

/// Tests that are built and run together. Most changes are noticed by the first group, and its build
/// is a fraction of that of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    /// Unit tests of the changed crate: one program.
    Unit,
    /// All tests of its package.
    Package,
    /// Those of its users.
    Users,
}

impl Group {
    const ALL: [Self; 3] = [Self::Unit, Self::Package, Self::Users];

    /// Returns the arguments that name these tests, or `None` if the target has none.
    fn arguments(self, target: &Target) -> Option<Vec<String>> {
        let package = |name: &str| format!("--package={name}");
        let users = target.tests.iter().filter(|name| **name != target.package);
        let arguments = match self {
            Self::Unit => vec![package(target.package), "--lib".to_owned()],
            Self::Package => vec![package(target.package)],
            Self::Users => users.map(|name| package(name)).collect(),
        };
        (!arguments.is_empty()).then_some(arguments)
    }
}

/// The tests of a crate and of its users.
#[derive(Debug)]
pub(crate) struct Host<'a> {
    place: &'a Place,
    target: &'a Target,
    interrupt: &'a Interrupt,
    /// The groups, each with its limit.
    groups: Vec<(Vec<String>, Duration)>,
}

impl<'a> Host<'a> {
    /// Creates the tests of this target.
    pub(crate) fn new(place: &'a Place, target: &'a Target, interrupt: &'a Interrupt) -> Self {
        Self {
            place,
            target,
            interrupt,
            groups: Group::ALL
                .iter()
                .filter_map(|group| Some((group.arguments(target)?, LEAST)))
                .collect(),
        }
    }

    /// Returns the file with the output of the tests.
    fn log(&self) -> PathBuf {
        self.place.file(&format!("{}.log", self.target.name))
    }

    /// Returns the step that builds a group of tests and runs them up to the first failed program.
    fn test(&self, arguments: &[String]) -> Step {
        self.place
            .script("cargo.sh", self.log())
            .args(["test", "--locked", "--profile", PROFILE])
            .args(arguments)
            // A random test would otherwise keep the case with which it noticed a change, and try that first
            // with the next one.
            .env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "true")
    }

    /// Runs a group with the change that the copy has now.
    fn judge_by(&self, arguments: &[String], limit: Duration) -> Result<Judgement, Error> {
        let (mut clock, log) = (Clock::default(), self.log());
        let look = |child| Ok(clock.passed(child, &place::text(&log)) > limit);
        let end = self.test(arguments).watch(self.interrupt, look)?;
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

impl Judge for Host<'_> {
    fn baseline(&mut self, _state: &State) -> Result<(), Error> {
        let log = self.log();
        let mut groups = std::mem::take(&mut self.groups);
        for (arguments, limit) in &mut groups {
            let (mut clock, mut usual) = (Clock::default(), Duration::ZERO);
            let look = |child| {
                usual = clock.passed(child, &place::text(&log));
                Ok(false)
            };
            if self.test(arguments).watch(self.interrupt, look)? != End::Good {
                let what = "running the tests without a change".to_owned();
                return Err(Error::Failed { what, log });
            }
            *limit = limit_of(usual);
        }
        self.groups = groups;
        Ok(())
    }

    fn judge(&self) -> Result<Judgement, Error> {
        for (arguments, limit) in &self.groups {
            let judgement = self.judge_by(arguments, *limit)?;
            if judgement.0 != Verdict::Missed {
                return Ok(judgement);
            }
        }
        Ok((Verdict::Missed, None))
    }
}

/// Returns the limit for tests that usually have so much time.
fn limit_of(usual: Duration) -> Duration {
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
    use crate::target;

    #[test]
    fn groups_hold_each_package_of_a_target_once_beside_the_unit_tests() {
        for target in target::TARGETS
            .iter()
            .filter(|target| target.kind == target::Kind::Host)
        {
            let groups = [Group::Package, Group::Users];
            let named = groups.iter().filter_map(|group| group.arguments(target));
            let mut named: Vec<String> = named.flatten().collect();
            let mut wanted: Vec<String> = target
                .tests
                .iter()
                .map(|name| format!("--package={name}"))
                .collect();
            named.sort();
            wanted.sort();
            assert_eq!(named, wanted, "{}", target.name);
        }
    }

    #[test]
    fn target_without_users_has_no_third_group() {
        let target = target::named(Some("protocol")).expect("a target")[0];
        assert_eq!(Group::Users.arguments(&target), None);
    }

    #[test]
    fn limit_is_a_multiple_of_the_usual_time_but_never_short() {
        assert_eq!(limit_of(Duration::from_secs(100)), Duration::from_secs(500));
        assert_eq!(limit_of(Duration::from_secs(1)), LEAST);
    }
}

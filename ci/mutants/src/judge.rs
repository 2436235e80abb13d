// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A run of mutants, one after the other.

use std::time::{Duration, Instant};

use crate::error::Error;
use crate::guest::Guest;
use crate::host::Host;
use crate::interrupt::Interrupt;
use crate::mutant::Mutant;
use crate::place::Place;
use crate::progress::Progress;
use crate::results::{Record, Results, Verdict};
use crate::state::State;
use crate::target::{Kind, Target};

/// Tests may take this many times the time that they take without a change: cargo-mutants' factor.
const FACTOR: u32 = 5;

/// Least time limit, as short runs vary most.
const LEAST: Duration = Duration::from_secs(60);

/// Result of a mutant, and the test that noticed.
pub(crate) type Judgement = (Verdict, Option<String>);

/// Tests of a target.
pub(crate) trait Judge {
    /// Runs the tests without a change, which must pass. Returns the time that they take.
    fn baseline(&self, state: &State) -> Result<Duration, Error>;

    /// Runs the tests with the change that the copy has now, each run up to the limit.
    fn judge(&self, limit: Duration) -> Result<Judgement, Error>;
}

/// Runs these mutants, and notes each result at once.
pub(crate) fn run(
    place: &Place,
    target: &Target,
    pending: &[Mutant],
    state: &State,
    results: &mut Results,
    interrupt: &Interrupt,
) -> Result<(), Error> {
    if pending.is_empty() {
        return Ok(());
    }
    let judge: &dyn Judge = match target.kind {
        Kind::Host => &Host::new(place, target, interrupt),
        Kind::Client | Kind::Driver => &Guest::new(place, target, interrupt),
    };
    let mut progress = Progress::new(target.name, pending.len());
    progress.say("building and running the tests without a change");
    let limit = limit(judge.baseline(state)?);
    progress.say(&format!(
        "they pass; the time limit of each mutant is {} s",
        limit.as_secs()
    ));
    for mutant in pending {
        let began = Instant::now();
        let (verdict, by) = place.with_change(mutant, || judge.judge(limit))?;
        let record = Record {
            mutant: mutant.key(),
            verdict,
            by,
            seconds: began.elapsed().as_secs_f64(),
            sums: state.sums(mutant),
        };
        progress.result(mutant, &record);
        results.add(record)?;
    }
    Ok(())
}

/// Returns the time limit for tests that usually take so long.
fn limit(usual: Duration) -> Duration {
    usual.saturating_mul(FACTOR).max(LEAST)
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

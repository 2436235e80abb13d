// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A run of mutants, one after the other.

use std::time::Instant;

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

/// Result of a mutant, and the test that noticed.
pub(crate) type Judgement = (Verdict, Option<String>);

/// Tests of a target.
pub(crate) trait Judge {
    /// Runs the tests without a change, which must pass.
    fn baseline(&mut self, state: &State) -> Result<(), Error>;

    /// Runs the tests with the change that the copy has now.
    fn judge(&self) -> Result<Judgement, Error>;
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
    let judge: &mut dyn Judge = match target.kind {
        Kind::Host => &mut Host::new(place, target, interrupt),
        Kind::Client | Kind::Driver => &mut Guest::new(place, target, interrupt),
    };
    let mut progress = Progress::new(target.name, pending.len());
    progress.say("building and running the tests without a change");
    judge.baseline(state)?;
    progress.say("they pass");
    for mutant in pending {
        let began = Instant::now();
        let (verdict, by) = place.with_change(mutant, || judge.judge())?;
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

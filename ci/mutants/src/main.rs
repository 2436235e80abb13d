// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `make mutants`: changes one thing at a time in crates and driver, and records which test notices.
//!
//! cargo-mutants generates the changes. Those of the host's crates run in `cargo test`, those of the
//! driver and of the client library in a guest. All work is done in a copy of the checkout, which
//! stays for the next run. Each result is noted as soon as it is there, so a run that was stopped goes
//! on where it was.

mod cargo_mutants;
mod driver;
mod effort;
mod error;
mod guest;
mod guest_log;
mod host;
mod interrupt;
mod judge;
mod log;
mod mutant;
mod place;
mod progress;
mod reasons;
mod report;
mod results;
mod sample;
mod sources;
mod state;
mod step;
mod summary;
mod target;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use error::Error;
use interrupt::Interrupt;
use mutant::Mutant;
use place::Place;
use reasons::Reasons;
use report::Report;
use results::Results;
use state::State;
use summary::Summary;
use target::{Kind, Target};

/// Status of a run that Ctrl-C stopped.
const STOPPED: u8 = 130;
/// Status of a run that could not do its work.
const UNABLE: u8 = 2;

/// Changes one thing at a time, and records which test notices.
///
/// Exit status: 0 if each survivor so far has its reason and each complete sample reached its goal;
/// 1 otherwise; 2 if mutants could not be run; 130 after Ctrl-C. All results so far are kept.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Options {
    /// The checkout
    #[arg(long, value_name = "DIR")]
    checkout: PathBuf,
    /// Folder for the copy, the results and the report
    #[arg(long, value_name = "DIR")]
    work: PathBuf,
    /// File with the survivors that are as they should be, and their reasons
    #[arg(long, value_name = "FILE")]
    reasons: PathBuf,
    /// The part to change; all by default
    #[arg(long, value_name = "NAME")]
    part: Option<String>,
    /// Mutants to run of each part at most, of those that have no result yet
    #[arg(long, value_name = "N")]
    count: Option<usize>,
    /// Run only mutants with this text in file or change, those outside of the sample too
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Seed of the sample
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

fn main() -> ExitCode {
    match carry_out(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("ringbar: {error}");
            ExitCode::from(if matches!(error, Error::Stopped) {
                STOPPED
            } else {
                UNABLE
            })
        }
    }
}

/// A target with its mutants and their results.
#[derive(Debug)]
struct Part {
    target: Target,
    all: Vec<Mutant>,
    sample: Vec<Mutant>,
    state: State,
    results: Results,
}

impl Part {
    /// Lists the mutants of a target.
    fn new(target: Target, seed: u64, place: &Place, interrupt: &Interrupt) -> Result<Self, Error> {
        let all = match target.kind {
            Kind::Host | Kind::Client => cargo_mutants::list(place, &target, interrupt)?,
            Kind::Driver => driver::list(place, &target, interrupt)?,
        };
        Ok(Self {
            state: State::new(place, &target, &all)?,
            sample: sample::draw(all.clone(), seed, target.sample),
            results: Results::read(&place.file(&format!("{}.jsonl", target.name))),
            target,
            all,
        })
    }

    /// Returns the mutants to run now.
    fn pending(&self, options: &Options) -> Vec<Mutant> {
        let (among, text) = match &options.only {
            Some(text) => (&self.all, text.as_str()),
            None => (&self.sample, ""),
        };
        let is_open = |mutant: &&Mutant| {
            let result = self.results.get(&mutant.key(), self.state.sums(mutant));
            mutant.shown().contains(text) && result.is_none()
        };
        let most = options.count.unwrap_or(usize::MAX);
        among.iter().filter(is_open).take(most).cloned().collect()
    }

    /// Runs the mutants that have no result yet.
    fn run(
        &mut self,
        place: &Place,
        options: &Options,
        interrupt: &Interrupt,
    ) -> Result<(), Error> {
        let (pending, target) = (self.pending(options), &self.target);
        judge::run(
            place,
            target,
            &pending,
            &self.state,
            &mut self.results,
            interrupt,
        )
    }

    /// Sums up the results so far.
    fn summary(&self, reasons: &Reasons) -> Summary {
        let mutants = (self.all.as_slice(), self.sample.as_slice());
        Summary::new(&self.target, mutants, &self.results, reasons, &self.state)
    }
}

/// Runs mutants and reports on all. Returns whether all is as it should be.
fn carry_out(options: &Options) -> Result<bool, Error> {
    let wanted = target::named(options.part.as_deref())?;
    let reasons = Reasons::read(&options.reasons)?;
    let place = Place::take(&options.checkout, &options.work)?;
    let interrupt = Interrupt::watch().map_err(Error::file(&options.work))?;
    place.refresh()?;
    let list = |target: &Target| Part::new(*target, options.seed, &place, &interrupt);
    let mut parts: Vec<Part> = target::TARGETS.iter().map(list).collect::<Result<_, _>>()?;
    let is_wanted = |part: &&mut Part| wanted.iter().any(|wanted| wanted.name == part.target.name);
    let ended = parts
        .iter_mut()
        .filter(is_wanted)
        .try_for_each(|part| part.run(&place, options, &interrupt));
    // A run that ended early has results too.
    let summaries = parts.iter().map(|part| part.summary(&reasons)).collect();
    let known: Vec<String> = parts
        .iter()
        .flat_map(|part| &part.all)
        .map(Mutant::key)
        .collect();
    let report = Report::new(options.seed, summaries, &reasons, &known);
    report.write(&options.work)?;
    // An error is ignored: the reader may have read enough. The files are already written.
    let _ = io::stdout().write_all(report.text().as_bytes());
    ended.map(|()| report.is_good())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn command_line_definition_is_consistent() {
        Options::command().debug_assert();
    }
}

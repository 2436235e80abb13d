// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The reports of a run for tools: the completed `results.ktap`, `results.json` and `junit.xml`.
//!
//! They are there from the begin of the run, and red. Otherwise a run whose runner is killed would
//! leave the green ones of an earlier run.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::error::Error;
use crate::ktap::Closing;
use crate::machine::{shell_line, Acceleration};
use crate::options::RunOptions;
use crate::report::{self, Configuration, Run};
use crate::verdict::{Ending, Observed, Verdict};
use crate::workplace::Workplace;

/// Reason for which a run is red until it has ended.
const NO_END: &str = "this run has no end: its runner still runs, or was killed";

/// Reports of one run.
pub(crate) struct Reports {
    folder: PathBuf,
    run: Run,
}

impl Reports {
    /// Prepares the reports of a run that begins now, with its logs in `logs`.
    pub(crate) fn of(options: &RunOptions, logs: PathBuf) -> Self {
        let began = SystemTime::now().duration_since(UNIX_EPOCH);
        let again = options.rerun_hint.clone();
        Self {
            folder: options.machine.report_dir.clone(),
            run: Run {
                name: options.machine.name.clone(),
                host: host(),
                began: began.map_or(0, |time| time.as_secs()),
                seconds: 0.0,
                booted: None,
                good: false,
                passed: 0,
                failed: 0,
                skipped: 0,
                configuration: configuration(options),
                guest: Vec::new(),
                programs: Vec::new(),
                failures: Vec::new(),
                logs,
                again: again.unwrap_or_else(|| shell_line(std::env::args_os())),
            },
        }
    }

    /// Returns the command that repeats the run.
    pub(crate) fn again(&self) -> &str {
        &self.run.again
    }

    /// Takes the time of the machine.
    pub(crate) fn took(&mut self, duration: Duration) {
        self.run.seconds = duration.as_secs_f64();
    }

    /// Takes the way in which QEMU runs the guest.
    pub(crate) fn accelerated(&mut self, acceleration: Acceleration) {
        self.run.configuration.accelerator = Some(acceleration.name().to_owned());
    }

    /// Writes the reports of a run that begins in `place`, in place of those of an earlier run, and
    /// removes the logs of that one.
    pub(crate) fn begin(&self, place: &Workplace) -> Result<(), Error> {
        // This run has no logs yet, so all logs of an earlier run go. Otherwise a runner that is
        // killed would leave them beside its own results.
        place.keep_logs(&self.run.logs)?;
        let observed = Observed::not_made(Ending::NotMade(NO_END.to_owned()));
        self.write(&observed, &Verdict::of(&observed))
    }

    /// Writes the reports. The guest's results are in their place.
    pub(crate) fn write(&self, observed: &Observed, verdict: &Verdict) -> Result<(), Error> {
        let run = self.run.clone().with_findings(verdict, &observed.results);
        self.complete_results(observed, verdict)?;
        report::write(&self.folder, run)
    }

    /// Adds to the guest's results whatever a reader of them alone would miss.
    fn complete_results(&self, observed: &Observed, verdict: &Verdict) -> Result<(), Error> {
        let closing = Closing::of(&observed.results, &verdict.outside_results());
        if closing.is_empty() {
            return Ok(());
        }
        let path = self.results();
        closing.add_to(&path).map_err(|source| Error::File {
            action: "completed",
            path,
            source,
        })
    }

    /// Returns the path of the guest's results.
    fn results(&self) -> PathBuf {
        self.run.logs.join("results.ktap")
    }
}

/// Returns the name of this host. Without one, the reports have an empty name.
fn host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_owned()
}

/// Returns the configuration of a run, without its accelerator.
fn configuration(options: &RunOptions) -> Configuration {
    let machine = &options.machine;
    Configuration {
        accelerator: None,
        interrupts: machine.interrupts.word().to_owned(),
        devices: machine.servers().len(),
        iommu: machine.iommu,
        memory: machine.memory.to_string(),
        processors: machine.smp,
        tests: options.tests.clone(),
        append: machine.append.clone(),
    }
}

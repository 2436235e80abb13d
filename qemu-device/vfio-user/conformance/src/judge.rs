// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Runs cases one after the other, and keeps them apart.

use std::collections::BTreeSet;
use std::rc::Rc;

use crate::case::{Case, Group, Kit, Progress, Run};
use crate::outcome::{Outcome, Stop};
use crate::report::{CaseReport, Report, Status};
use crate::survey::Survey;
use crate::target::Target;

/// A case in its group.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Selected {
    /// Group of the case.
    pub group: Group,
    /// Its rule and check.
    pub case: &'static Case,
}

impl Selected {
    /// Returns the full name.
    pub fn name(&self) -> String {
        format!("{}/{}", self.group, self.case.name)
    }
}

/// Result of a case.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Verdict {
    /// The case that ran.
    pub selected: Selected,
    /// The reason, unless the case passed.
    pub outcome: Outcome,
}

/// Resources of the server's process.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Usage {
    /// Open descriptors while an idle client is connected.
    pub open_files: usize,
    /// Peak memory in bytes.
    pub peak_memory: u64,
}

/// Judges one server.
#[derive(Debug)]
pub struct Judge {
    target: Target,
    survey: Rc<Survey>,
    seed: u64,
    messages: u64,
    /// The case after which the server served no client, if the kit cannot start it again.
    lost_after: Option<String>,
}

impl Judge {
    /// Surveys the server. Cases that send random messages send this many, made from the seed.
    ///
    /// # Errors
    ///
    /// Fails if the server cannot be judged: it cannot be reached, or does not describe its device.
    pub fn new(mut target: Target, seed: u64, messages: u64) -> Outcome<Self> {
        let mut client = target.connect(&Rc::new(Survey::default()))?;
        let survey = Survey::take(&mut client)?;
        Ok(Self {
            target,
            survey: Rc::new(survey),
            seed,
            messages,
            lost_after: None,
        })
    }

    /// Returns how often the kit started the server.
    pub fn starts(&self) -> usize {
        self.target.starts()
    }

    /// Returns the resources of the server's process, or `None` if this process may not see them.
    ///
    /// # Errors
    ///
    /// Fails if the server does not serve a client.
    pub fn usage(&mut self) -> Outcome<Option<Usage>> {
        let mut client = self.target.session(&self.survey)?;
        client.alive()?;
        let open_files = self.target.open_files().map(|files| files.len());
        Ok(open_files
            .zip(self.target.peak_memory())
            .map(|(open_files, peak_memory)| Usage {
                open_files,
                peak_memory,
            }))
    }

    /// Runs one case, and makes sure that the next one finds a server.
    pub fn run(&mut self, selected: Selected, progress: &Progress<'_>) -> Verdict {
        let mut outcome = self.run_alone(selected.case, progress);
        if self.lost_after.is_none()
            && let Err(reason) = self.after_case()
        {
            outcome = Err(join(outcome, &reason));
            self.recover(&selected);
        }
        Verdict { selected, outcome }
    }

    /// Runs cases without a table. Returns the names of those that failed, each with its reason,
    /// and the names of those that do not apply.
    pub fn run_all(&mut self, cases: &[Selected]) -> (Vec<String>, BTreeSet<String>) {
        let mut report = Report::new(self.seed);
        for case in cases {
            report.add(&self.run(*case, &|_, _| ()));
        }
        let with = |status| {
            report
                .cases
                .iter()
                .filter(move |case| case.status == status)
        };
        let failed = with(Status::Failed).map(CaseReport::name_and_reason);
        let skipped = with(Status::Skipped).map(|case| case.name.clone());
        (failed.collect(), skipped.collect())
    }

    fn run_alone(&mut self, case: &Case, progress: &Progress<'_>) -> Outcome {
        let mut kit = Kit {
            target: &mut self.target,
            survey: Rc::clone(&self.survey),
            seed: self.seed,
            messages: self.messages,
            progress,
        };
        if let Some(case) = &self.lost_after {
            // A person or a service may have started it again.
            if kit.serves().is_err() {
                return Err(Stop::Failed(format!("no server since {case}")));
            }
            self.lost_after = None;
        }
        match case.run {
            Run::Free(run) => run(&mut kit),
            Run::Session(run) => {
                let mut client = kit.client()?;
                run(&mut client)?;
                if client.in_use() {
                    client.alive()?;
                }
                Ok(())
            }
        }
    }

    /// Fails unless the server has survived and serves the next client.
    fn after_case(&mut self) -> Outcome {
        if let Some(status) = self.target.crash() {
            return Err(Stop::Failed(format!("the server ended: {status}")));
        }
        let served = self
            .target
            .session(&self.survey)
            .and_then(|mut client| client.alive());
        served.map_err(|reason| {
            Stop::Failed(format!(
                "afterwards the server does not serve a new client: {reason}"
            ))
        })
    }

    /// Starts the server again, if the kit has its command.
    fn recover(&mut self, selected: &Selected) {
        self.target.stop();
        if self.after_case().is_err() {
            self.lost_after = Some(selected.name());
        }
    }
}

/// Joins the reason of a case with the failure after it.
fn join(outcome: Outcome, after: &Stop) -> Stop {
    match outcome {
        Err(Stop::Failed(reason)) => Stop::Failed(format!("{reason}; {after}")),
        _ => Stop::Failed(after.to_string()),
    }
}

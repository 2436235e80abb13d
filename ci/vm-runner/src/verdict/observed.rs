// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Observations of a run, and the reason for its end.

use std::fmt;
use std::time::Duration;

use crate::guard::Watched;
use crate::hang::Hang;
use crate::kernel::Kernel;
use crate::ktap::Results;
use crate::process::End;

/// Progress of the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// No line of a kernel came.
    NoKernel,
    /// The kernel runs, but no program has started.
    Booting,
    /// A program runs, and has so many results.
    Running { program: String, results: usize },
    /// The named program has ended, and the next one has not started.
    After { program: String },
    /// All programs have ended.
    Done,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKernel => write!(f, "the guest never started: no line from its kernel"),
            Self::Booting => write!(f, "the guest was booting, no program had begun"),
            Self::Running { program, results } => {
                write!(
                    f,
                    "program {program} was running, {results} of its cases had ended"
                )
            }
            Self::After { program } => {
                write!(f, "program {program} had ended, the next one had not begun")
            }
            Self::Done => write!(f, "all programs had ended, the guest did not power off"),
        }
    }
}

/// Reason for which the run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The guest powered off, and QEMU and the servers ended well.
    PoweredOff,
    /// The runner ended it because of a message from the guest.
    Stopped { stage: Stage },
    /// A signal ended the runner. Without a stage, the guest had ended already.
    Interrupted { signal: i32, stage: Option<Stage> },
    /// The run could not be made, or not carried on.
    NotMade(String),
    /// A server ended while QEMU ran, or ended badly.
    ServerDied { device: u32, end: End, stage: Stage },
    /// A server did not end after QEMU.
    ServerStuck { device: u32, limit: Duration },
    /// QEMU ended badly.
    QemuFailed { end: End, stage: Stage },
    /// The guest hangs.
    Hung { hang: Hang, stage: Stage },
    /// The time limit of the user was reached.
    TimeLimit { limit: Duration, stage: Stage },
}

/// Observations of a run.
#[derive(Clone, Debug)]
pub(crate) struct Observed {
    /// Reason for its end.
    pub(crate) ending: Ending,
    /// Log lines that explain the end.
    pub(crate) ending_details: Vec<String>,
    /// Messages of the kernel.
    pub(crate) kernel: Kernel,
    /// Results of the programs.
    pub(crate) results: Results,
    /// Programs that hung, and a wrong clock.
    pub(crate) watched: Watched,
    /// Complaints of the witness.
    pub(crate) witness: Vec<String>,
}

impl Observed {
    /// Returns the observation of a run that ended before anything could be observed.
    pub(crate) fn not_made(ending: Ending) -> Self {
        Self {
            ending,
            ending_details: Vec::new(),
            kernel: Kernel::default(),
            results: Results::default(),
            watched: Watched::default(),
            witness: Vec::new(),
        }
    }
}

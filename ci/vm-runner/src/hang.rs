// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Ways in which a guest hangs, and their descriptions.

use std::fmt;
use std::time::Duration;

use crate::limits::{seconds, Origin};

/// A hang that ends the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hang {
    /// Nothing moves: no line, no beat, and no demand for a processor.
    Still { looks: u32 },
    /// The kernel does not finish its boot.
    Boot { ran: Duration },
    /// The processors run, but init does not beat.
    Spins {
        ran: Duration,
        limit: Origin,
        program: Option<String>,
    },
    /// Init beats but runs nothing.
    Idle { had: Duration, limit: Origin },
    /// Init was ordered to kill a program, but sends no result of it.
    Disobeyed {
        program: String,
        had: Duration,
        beating: Option<String>,
    },
}

impl fmt::Display for Hang {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Still { looks } => write!(
                f,
                "nothing moves: no line, no beat of init, and no processor time of QEMU, in {looks} looks in a row"
            ),
            Self::Boot { ran } => write!(
                f,
                "its kernel has run for {} of processor time since its last line, and init has not started",
                seconds(*ran)
            ),
            Self::Spins { ran, limit, program } => {
                write!(
                    f,
                    "its kernel spins: {} of processor time without a beat of init; the limit is {limit}",
                    seconds(*ran)
                )?;
                match program {
                    Some(program) => write!(f, "; the last beat came from program {program}'s time"),
                    None => Ok(()),
                }
            }
            Self::Idle { had, limit } => write!(
                f,
                "init beats, but neither runs a program nor powers off: for {} of the guest's time; the limit is {limit}",
                seconds(*had)
            ),
            Self::Disobeyed { program, had, beating } => write!(
                f,
                "init was told to kill program {program}, and has not said that it did in {} of the guest's time; \
                 its last beat names {}",
                seconds(*had),
                beating.as_deref().unwrap_or("no program")
            ),
        }
    }
}

/// A program that hung and that init was ordered to kill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HungProgram {
    /// Name.
    pub(crate) program: String,
    /// Time that it had, and its limit.
    pub(crate) reason: String,
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! How a case ends.

/// Why a case did not pass.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    /// The server broke the rule.
    #[error("{0}")]
    Failed(String),
    /// The server does not have what the case is about.
    #[error("{0}")]
    Skipped(String),
}

/// Result of a case, or of a step of one.
pub type Outcome<T = ()> = Result<T, Stop>;

/// The rule is broken.
pub fn fail<T>(reason: impl Into<String>) -> Outcome<T> {
    Err(Stop::Failed(reason.into()))
}

/// The case does not apply.
pub fn skip<T>(reason: impl Into<String>) -> Outcome<T> {
    Err(Stop::Skipped(reason.into()))
}

/// Breaks the rule unless `holds`.
pub fn ensure(holds: bool, reason: impl FnOnce() -> String) -> Outcome {
    if holds {
        Ok(())
    } else {
        fail(reason())
    }
}

/// Something went wrong on our side of the socket.
pub fn local<T>(result: Result<T, impl std::fmt::Display>, what: &str) -> Outcome<T> {
    result.map_err(|error| Stop::Failed(format!("kit: {what}: {error}")))
}

impl Stop {
    /// Says what it was about.
    pub fn at(self, what: impl std::fmt::Display) -> Self {
        match self {
            Self::Failed(reason) => Self::Failed(format!("{what}: {reason}")),
            skipped @ Self::Skipped(_) => skipped,
        }
    }
}

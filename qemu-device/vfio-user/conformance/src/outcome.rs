// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Results of cases.

/// Reason for which a case did not pass.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    /// The server broke the rule.
    #[error("{0}")]
    Failed(String),
    /// The server lacks the subject of the case.
    #[error("{0}")]
    Skipped(String),
}

/// Result of a case, or of a step of one.
pub type Outcome<T = ()> = Result<T, Stop>;

/// Returns that the rule is broken.
pub(crate) fn fail<T>(reason: impl Into<String>) -> Outcome<T> {
    Err(Stop::Failed(reason.into()))
}

/// Returns that the case does not apply.
pub(crate) fn skip<T>(reason: impl Into<String>) -> Outcome<T> {
    Err(Stop::Skipped(reason.into()))
}

/// Fails unless `holds`.
pub(crate) fn ensure(holds: bool, reason: impl FnOnce() -> String) -> Outcome {
    if holds {
        Ok(())
    } else {
        fail(reason())
    }
}

/// Fails if a call on our side of the socket failed.
pub(crate) fn local<T>(result: Result<T, impl std::fmt::Display>, what: &str) -> Outcome<T> {
    result.map_err(|error| Stop::Failed(format!("kit: {what}: {error}")))
}

impl Stop {
    /// Puts the subject before the reason.
    pub(crate) fn at(self, what: impl std::fmt::Display) -> Self {
        match self {
            Self::Failed(reason) => Self::Failed(format!("{what}: {reason}")),
            skipped @ Self::Skipped(_) => skipped,
        }
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Errors of the benchmark's host part.

use std::path::{Path, PathBuf};

/// Reason for which a figure or file is missing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A system call or another program failed.
    #[error("{action}: {source}")]
    System {
        /// Attempted action.
        action: &'static str,
        /// Error of the system.
        source: std::io::Error,
    },
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Path of the file.
        path: PathBuf,
        /// Error of the file system.
        source: std::io::Error,
    },
    /// A line of the guest is invalid.
    #[error("{}: {line:?}: {reason}", path.display())]
    Line {
        /// Path of the file.
        path: PathBuf,
        /// The line.
        line: String,
        /// Problem of the line.
        reason: String,
    },
    /// The guest measured nothing.
    #[error("{} has no row of the benchmark: did it run?", path.display())]
    Empty {
        /// File with the guest's results.
        path: PathBuf,
    },
    /// A file of another program is invalid.
    #[error("{} is not a results.json: {reason}", path.display())]
    Results {
        /// Path of the file.
        path: PathBuf,
        /// Problem of the file.
        reason: String,
    },
    /// A run lacks the other half of its pair.
    #[error("{count} results do not make pairs")]
    Pairs {
        /// Number of runs.
        count: usize,
    },
    /// The host has no counter of instructions.
    #[error("perf does not count instructions here")]
    NoCounter,
}

impl Error {
    /// Returns a conversion from an error of the system.
    pub(crate) fn system(action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::System { action, source }
    }

    /// Returns a conversion from an error about a file.
    pub(crate) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::File {
            path: path.to_owned(),
            source,
        }
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What can go wrong.

use std::path::{Path, PathBuf};

/// Why something was not measured or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A system call or another program.
    #[error("{action}: {source}")]
    System {
        /// What was tried.
        action: &'static str,
        /// Why not.
        source: std::io::Error,
    },
    /// A file.
    #[error("{}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A line that nobody can have meant.
    #[error("{}: {line:?}: {reason}", path.display())]
    Line {
        /// Which file.
        path: PathBuf,
        /// The line.
        line: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The guest has measured nothing.
    #[error("{} has no row of the benchmark: did it run?", path.display())]
    Empty {
        /// What the guest said.
        path: PathBuf,
    },
    /// A file that another program has written.
    #[error("{} is no results.json: {reason}", path.display())]
    Results {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A run without its other half.
    #[error("{count} results are no pairs")]
    Pairs {
        /// How many were given.
        count: usize,
    },
    /// No counter of instructions.
    #[error("perf does not count instructions here")]
    NoCounter,
}

impl Error {
    pub(crate) fn system(action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::System { action, source }
    }

    pub(crate) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::File {
            path: path.to_owned(),
            source,
        }
    }
}

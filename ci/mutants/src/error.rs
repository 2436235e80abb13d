// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Errors of this program.

use std::io;
use std::path::{Path, PathBuf};

/// Reason for which there is no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file cannot be read, written or copied.
    #[error("{}: {source}", path.display())]
    File {
        /// Path of the file.
        path: PathBuf,
        /// Error of the file system.
        source: io::Error,
    },
    /// A program cannot be started.
    #[error("{program}: {source}")]
    Start {
        /// The program.
        program: String,
        /// Error of the system.
        source: io::Error,
    },
    /// A program that must succeed failed.
    #[error("{what} failed: see {}", log.display())]
    Failed {
        /// The step.
        what: String,
        /// File with its output.
        log: PathBuf,
    },
    /// cargo-mutants' list is invalid.
    #[error("the list of cargo-mutants is not the expected JSON: {0}: was its version changed?")]
    List(serde_json::Error),
    /// A file has no such part.
    #[error("{mutant}: the file has no such place: was it edited during the run?")]
    Place {
        /// The mutant.
        mutant: String,
    },
    /// A line of the file of reasons is invalid.
    #[error("{}:{line}: {text:?}: write the change, ` | `, and the reason", path.display())]
    Reason {
        /// Path of the file.
        path: PathBuf,
        /// Number of the line.
        line: usize,
        /// The line.
        text: String,
    },
    /// There is no such target.
    #[error("CRATE={name}: there is no such part; there are: {known}")]
    Unknown {
        /// The name.
        name: String,
        /// The known ones.
        known: String,
    },
    /// Another run works in the same copy.
    #[error("another run of mutants works in {}: wait for its end", .0.display())]
    Busy(PathBuf),
    /// The user stopped the run. All results so far are kept.
    #[error("stopped; the next run goes on from here")]
    Stopped,
}

impl Error {
    /// Returns a conversion from an error about a file.
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::File {
            path: path.to_owned(),
            source,
        }
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Errors that prevent a report.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// Reason for which there is no report.
#[derive(Debug, Error)]
pub(crate) enum Error {
    #[error("{} cannot be {action}: {source}", path.display())]
    File {
        action: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{}, line {line}: {source}", path.display())]
    Record {
        path: PathBuf,
        line: usize,
        source: serde_json::Error,
    },
    #[error("{}: {source}", path.display())]
    Results {
        path: PathBuf,
        source: serde_json::Error,
    },
    #[error("{}: {reason}", path.display())]
    Code { path: PathBuf, reason: String },
    #[error("{}: {reason}", path.display())]
    Document { path: PathBuf, reason: String },
    #[error("the coverage cannot be written: {0}")]
    Coverage(serde_json::Error),
    #[error("the timeline cannot be written: {0}")]
    Timeline(#[from] serde_json::Error),
}

impl Error {
    /// Returns the error of a file operation.
    pub(crate) fn file(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::File {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

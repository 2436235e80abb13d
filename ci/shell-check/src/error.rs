// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What can be wrong with a shell.

/// What a step found.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A step failed.
    #[error("{name}: {source}")]
    Step {
        /// Its name.
        name: &'static str,
        /// Why.
        source: Box<Error>,
    },
    /// Something did not come, or the program ended before it did; the text has what came instead.
    #[error("{0}")]
    Terminal(#[from] rexpect::error::Error),
    /// The size of the terminal cannot be set.
    #[error("the size of the pseudo-terminal cannot be set: {0}")]
    Size(#[from] rustix::io::Errno),
    /// Something came that must not, or something is missing.
    #[error("{what}; the terminal has: {text:?}")]
    Text {
        /// What is wrong.
        what: String,
        /// All that came.
        text: String,
    },
    /// The program that opened the shell did not end well.
    #[error("the shell was left, and the command ended with {0}")]
    Status(String),
}

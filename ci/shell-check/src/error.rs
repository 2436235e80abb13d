// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Errors of the check.

/// Finding of a step.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A step failed.
    #[error("{name}: {source}")]
    Step {
        /// Name of the step.
        name: &'static str,
        /// Error in it.
        source: Box<Error>,
    },
    /// Expected text did not come, or the program ended before it. The message has the text that
    /// came instead.
    #[error("{0}")]
    Terminal(#[from] rexpect::error::Error),
    /// The size of the terminal cannot be set.
    #[error("the size of the pseudo-terminal cannot be set: {0}")]
    Size(#[from] rustix::io::Errno),
    /// Unexpected text came, or expected text is missing.
    #[error("{what}; the terminal has: {text:?}")]
    Text {
        /// Description of the error.
        what: String,
        /// All text that came.
        text: String,
    },
    /// gdb did not do what it was told.
    #[error("{what}; gdb has: {text}")]
    Gdb {
        /// Description of the error.
        what: String,
        /// All text of gdb.
        text: String,
    },
    /// The server's program could not be replaced.
    #[error("the server's program, which SERVER names, cannot be replaced: {0}")]
    Server(std::io::Error),
    /// gdb could not be run.
    #[error("gdb cannot be run: {0}")]
    NoGdb(#[from] std::io::Error),
    /// The program that opened the shell ended with an error.
    #[error("the shell ended well, but the command ended with {0}")]
    Status(String),
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A program on a pseudo-terminal.

use std::fs::File;
use std::process::Command;

use nix::sys::wait::WaitStatus;
use rexpect::error::Error as Missing;
use rexpect::session::{spawn_command, PtySession};
use rustix::termios::{tcsetwinsize, Winsize};

use crate::error::Error;

/// Longest wait for an expected text. A machine may be slow, and boots first.
const PATIENCE_MS: u64 = 300_000;
/// Characters of the text that an error shows.
const SHOWN: usize = 1500;
/// The prompt of the guest's shell.
const PROMPT: &str = "~ # ";

/// Returns the last part of a long text.
fn last(text: &str) -> String {
    let skipped = text.chars().count().saturating_sub(SHOWN);
    text.chars().skip(skipped).collect()
}

/// A program on a pseudo-terminal, and its output.
pub(crate) struct Terminal {
    session: PtySession,
    /// The user's side of the terminal, for changes of its size.
    side: File,
}

impl Terminal {
    /// Starts a program on a new pseudo-terminal.
    pub(crate) fn open(command: Command) -> Result<Self, Error> {
        let session = spawn_command(command, Some(PATIENCE_MS))?;
        let side = session.process().get_file_handle()?;
        Ok(Self { session, side })
    }

    /// Sets the size of the window.
    pub(crate) fn resize(&self, rows: u16, columns: u16) -> Result<(), Error> {
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        Ok(tcsetwinsize(&self.side, size)?)
    }

    /// Waits for the prompt. Returns the text before it.
    pub(crate) fn prompt(&mut self) -> Result<String, Error> {
        self.until(PROMPT)
    }

    /// Waits for a text. Returns the text before it.
    pub(crate) fn until(&mut self, text: &str) -> Result<String, Error> {
        self.session.exp_string(text).map_err(|error| match error {
            // Only the end is shown: the line of progress is overwritten many times.
            Missing::EOF { got, .. } | Missing::Timeout { got, .. } => Error::Text {
                what: format!("{text:?} did not come"),
                text: last(&got),
            },
            error => error.into(),
        })
    }

    /// Reads the rest of the line.
    pub(crate) fn rest_of_line(&mut self) -> Result<String, Error> {
        Ok(self.session.read_line()?)
    }

    /// Types a line.
    pub(crate) fn line(&mut self, text: &str) -> Result<(), Error> {
        self.session.send_line(text)?;
        Ok(())
    }

    /// Types a key together with Ctrl.
    pub(crate) fn control(&mut self, key: char) -> Result<(), Error> {
        Ok(self.session.send_control(key)?)
    }

    /// Types a command. Returns the text until the next prompt, including the echo of the command.
    pub(crate) fn command(&mut self, text: &str) -> Result<String, Error> {
        self.line(text)?;
        self.prompt()
    }

    /// Types a command. Fails if the text until the next prompt does not contain `wanted`.
    pub(crate) fn expect(&mut self, command: &str, wanted: &str) -> Result<(), Error> {
        let text = self.command(command)?;
        match text.contains(wanted) {
            true => Ok(()),
            false => Err(Error::Text {
                what: format!("`{command}` did not print {wanted:?}"),
                text,
            }),
        }
    }

    /// Waits until the program has ended. Fails unless its status is 0.
    pub(crate) fn end(&mut self) -> Result<(), Error> {
        self.session.exp_eof()?;
        match self.session.process().wait()? {
            WaitStatus::Exited(_, 0) => Ok(()),
            status => Err(Error::Status(format!("{status:?}"))),
        }
    }
}

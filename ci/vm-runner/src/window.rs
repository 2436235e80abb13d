// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Size of the user's window, and its changes.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use rustix::termios::tcgetwinsize;
use signal_hook::consts::SIGWINCH;
use signal_hook::flag;

use crate::error::Error;

/// Watch on the window.
#[derive(Debug)]
pub(crate) struct Window {
    changed: Arc<AtomicBool>,
}

impl Window {
    /// Starts to note changes.
    pub(crate) fn watch() -> Result<Self, Error> {
        let changed = Arc::new(AtomicBool::new(false));
        flag::register(SIGWINCH, Arc::clone(&changed)).map_err(|source| Error::System {
            action: "watching the size of the window",
            source,
        })?;
        Ok(Self { changed })
    }

    /// Returns whether the size has changed since the last call.
    pub(crate) fn has_changed(&self) -> bool {
        self.changed.swap(false, Ordering::Relaxed)
    }

    /// Returns the line with the size for the guest: rows and columns, 0 without a window.
    pub(crate) fn line() -> String {
        let (rows, columns) = tcgetwinsize(io::stdin()).map_or((0, 0), |s| (s.ws_row, s.ws_col));
        format!("size {rows} {columns}")
    }
}

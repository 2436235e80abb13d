// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The size of the user's window, and that it has changed.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use rustix::termios::tcgetwinsize;
use signal_hook::consts::SIGWINCH;
use signal_hook::flag;

use crate::error::Error;

/// Watches the window.
#[derive(Debug)]
pub(crate) struct Window {
    changed: Arc<AtomicBool>,
}

impl Window {
    /// Notes changes from now on.
    pub(crate) fn watch() -> Result<Self, Error> {
        let changed = Arc::new(AtomicBool::new(false));
        flag::register(SIGWINCH, Arc::clone(&changed)).map_err(|source| Error::System {
            action: "watching the size of the window",
            source,
        })?;
        Ok(Self { changed })
    }

    /// Whether it has changed since the last time.
    pub(crate) fn has_changed(&self) -> bool {
        self.changed.swap(false, Ordering::Relaxed)
    }

    /// The line that tells the guest the size: rows and columns, 0 if there is no window.
    pub(crate) fn line() -> String {
        let (rows, columns) = tcgetwinsize(io::stdin()).map_or((0, 0), |s| (s.ws_row, s.ws_col));
        format!("size {rows} {columns}")
    }
}

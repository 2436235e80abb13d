// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Ctrl-C and similar signals, noted for the loops.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::flag;

use crate::error::Error;

/// Whether a signal has come that ends the run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt {
    came: Arc<AtomicBool>,
}

impl Interrupt {
    /// Notes signals from now on, instead of ending at once. Otherwise the results of the running
    /// children would be lost.
    pub(crate) fn watch() -> io::Result<Self> {
        let interrupt = Self::default();
        for signal in [SIGHUP, SIGINT, SIGQUIT, SIGTERM] {
            flag::register(signal, Arc::clone(&interrupt.came))?;
        }
        Ok(interrupt)
    }

    /// Returns whether a signal has come.
    pub(crate) fn came(&self) -> bool {
        self.came.load(Ordering::Relaxed)
    }

    /// Fails if a signal has come.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.came() {
            Err(Error::Stopped)
        } else {
            Ok(())
        }
    }
}

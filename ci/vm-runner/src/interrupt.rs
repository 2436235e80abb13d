// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Ctrl-C and its like, noted for the loops to see.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::flag;

use crate::error::Error;

/// Whether the runner was told to stop, and by which signal.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt {
    signal: Arc<AtomicUsize>,
}

impl Interrupt {
    /// From now on notes signals instead of dying of them.
    pub(crate) fn watch() -> Result<Self, Error> {
        let interrupt = Self::default();
        for (signal, value) in [(SIGHUP, 1), (SIGINT, 2), (SIGQUIT, 3), (SIGTERM, 15)] {
            flag::register_usize(signal, Arc::clone(&interrupt.signal), value).map_err(
                |source| Error::System {
                    action: "watching for signals",
                    source,
                },
            )?;
        }
        Ok(interrupt)
    }

    /// Fails if a signal has come.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match self.signal.load(Ordering::Relaxed) {
            0 => Ok(()),
            number => Err(Error::Interrupted {
                signal: i32::try_from(number).unwrap_or(i32::MAX),
            }),
        }
    }
}

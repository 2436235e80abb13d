// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Ctrl-C and similar signals, noted for the loops.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::flag;

use crate::error::Error;

/// The signal that ends the runner, if one has come.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt {
    signal: Arc<AtomicUsize>,
}

impl Interrupt {
    /// Notes signals from now on, instead of ending the runner at once. Otherwise its children and
    /// its folder would stay.
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

// SPDX-License-Identifier: GPL-2.0-only

//! Work of a device that does one piece at a time, and raises an interrupt at the end of each.

use super::events::Events;
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    },
};

/// The turns in which threads have a device work. Outlives the binding of driver and device.
#[pin_data]
pub(crate) struct Turns {
    events: Arc<Events>,
    /// Count of events at the end of the last piece of work. Held for a turn. Taken before all
    /// other locks, outside of the gate.
    #[pin]
    last: Mutex<u64>,
}

impl Turns {
    /// Returns the turns of a device whose interrupts `events` counts, and nothing else.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(events: Arc<Events>) -> Result<Arc<Self>> {
        let last = events.count();
        Arc::pin_init(
            pin_init!(Self {
                events,
                last <- new_mutex!(last),
            }),
            GFP_KERNEL,
        )
    }

    /// Returns the events that the turns wait for.
    pub(crate) fn events(&self) -> &Arc<Events> {
        &self.events
    }

    /// Waits for its turn, calls `start`, waits for the interrupt, and returns the result of `end`.
    /// Each wait takes at most so many milliseconds. Both calls enter the gate by themselves: a
    /// wait inside it would keep the device from going.
    ///
    /// # Errors
    ///
    /// `ENODEV` if the device is gone; `ETIMEDOUT`; `EINTR`; the errors of `start` and `end`.
    pub(crate) fn take<R>(
        &self,
        milliseconds: u64,
        start: impl FnOnce() -> Result,
        end: impl FnOnce() -> Result<R>,
    ) -> Result<R> {
        let mut last = self.last.lock();
        // A turn that a signal ended has left its work. Without this wait, its interrupt would pass
        // for that of the next. One that does not come in time is given up.
        match self.events.wait(*last, milliseconds) {
            Err(error) if error != ETIMEDOUT => return Err(error),
            _ => *last = self.events.count(),
        }
        start()?;
        *last += 1;
        self.events.wait(*last, milliseconds)?;
        end()
    }
}

// SPDX-License-Identifier: GPL-2.0-only

//! Work of a device that does one piece at a time, and raises an interrupt at the end of each.

use super::{
    deadline::Deadline,
    events::Events,
    signals::Signals, //
};
use kernel::{
    error::code::ERESTARTSYS,
    new_condvar, new_mutex,
    prelude::*,
    sync::{
        Arc,
        CondVar,
        Mutex, //
    },
};

/// The turns in which threads have a device work. Outlives the binding of driver and device.
#[pin_data]
pub(crate) struct Turns {
    events: Arc<Events>,
    #[pin]
    state: Mutex<State>,
    #[pin]
    free: CondVar,
}

struct State {
    /// A thread has its turn.
    taken: bool,
    /// Count of events at the end of the last piece of work.
    last: u64,
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
                state <- new_mutex!(State { taken: false, last }),
                free <- new_condvar!(),
            }),
            GFP_KERNEL,
        )
    }

    /// Returns the events that the turns wait for.
    pub(crate) fn events(&self) -> &Arc<Events> {
        &self.events
    }

    /// Waits for its turn, calls `start`, waits for the interrupt, and returns the result of `end`.
    /// Each wait for the device takes at most so many milliseconds. Both calls enter the gate by
    /// themselves: a wait inside it would keep the device from going.
    ///
    /// # Errors
    ///
    /// `ERESTARTSYS` if a signal came before its turn; `EINTR` if a signal kills the process;
    /// `ENODEV` if the device is gone; `ETIMEDOUT`; the errors of `start` and `end`.
    pub(crate) fn take<R>(
        &self,
        milliseconds: u32,
        start: impl FnOnce() -> Result,
        end: impl FnOnce() -> Result<R>,
    ) -> Result<R> {
        let turn = self.begin()?;
        let wait = |count| {
            let deadline = Deadline::new(milliseconds, 0);
            self.events.wait(count, &deadline, Signals::Fatal)
        };
        // A thread that was killed has left its work. Without this wait, its interrupt would pass
        // for that of the next. One that does not come in time is given up.
        let mut last = match wait(turn.last()) {
            Err(error) if error != ETIMEDOUT => return Err(error),
            _ => self.events.count(),
        };
        turn.set_last(last);
        start()?;
        last += 1;
        turn.set_last(last);
        wait(last)?;
        end()
    }

    /// Waits until no other thread has its turn. Each has it for a limited time.
    fn begin(&self) -> Result<Turn<'_>> {
        let mut state = self.state.lock();
        while state.taken {
            if self.free.wait_interruptible(&mut state) && state.taken {
                return Err(ERESTARTSYS);
            }
        }
        state.taken = true;
        Ok(Turn(self))
    }
}

/// The turn of a thread. Given up when dropped.
struct Turn<'a>(&'a Turns);

impl Turn<'_> {
    fn last(&self) -> u64 {
        self.0.state.lock().last
    }

    fn set_last(&self, last: u64) {
        self.0.state.lock().last = last;
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.state.lock().taken = false;
        // All: the one that is woken may end by a signal instead.
        self.0.free.notify_all();
    }
}

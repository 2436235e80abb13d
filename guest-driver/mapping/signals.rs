// SPDX-License-Identifier: GPL-2.0-only

//! Signals that end a wait.
//!
//! A call that has done nothing returns `ERESTARTSYS`. Then the kernel calls again by itself, after
//! a signal without a handler, after a handler with `SA_RESTART`, and when a stopped process goes
//! on. Otherwise the process gets `EINTR`. A call that the device works for cannot be called again:
//! it waits for that work, unless the process is killed.

use super::deadline::Deadline;
use kernel::{
    current,
    error::code::ERESTARTSYS,
    prelude::*,
    sync::{
        lock::{
            Backend,
            Guard, //
        },
        CondVar, //
    },
    time::{
        delay::fsleep,
        Delta, //
    },
};

extern "C" {
    // `shim.c`: an inline function of the kernel.
    fn mapping_fatal_signal_pending() -> bool;
}

/// Between two looks of a thread that a signal would wake again and again.
const BETWEEN_LOOKS: Delta = Delta::from_millis(1);

/// The signals that end a wait.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signals {
    /// Any: the call has done nothing, and begins again.
    Any,
    /// One that kills the process: the device has begun work that a second call would repeat.
    Fatal,
    /// None: the work must be ended, also for a process that is killed.
    None,
}

impl Signals {
    /// Checks that no such signal has come.
    ///
    /// # Errors
    ///
    /// `ERESTARTSYS` if a signal came and any ends the wait; `EINTR` if a signal kills the process.
    pub(crate) fn check(self) -> Result {
        match self {
            Self::Any if pending() => Err(ERESTARTSYS),
            Self::Fatal if killed() => Err(EINTR),
            Self::Any | Self::Fatal | Self::None => Ok(()),
        }
    }

    /// Releases the lock of `guard` and sleeps: until `wake` is notified, until the time is over,
    /// or for a moment. The caller looks again after it.
    ///
    /// # Errors
    ///
    /// As [`Signals::check`].
    pub(crate) fn sleep<T: ?Sized, B: Backend>(
        self,
        wake: &CondVar,
        mut guard: Guard<'_, T, B>,
        deadline: &Deadline,
    ) -> Result {
        if !pending() {
            // It returns early at a signal, which the next lines look for.
            let _ = wake.wait_interruptible_timeout(&mut guard, deadline.jiffies());
        } else if self.check().is_ok() {
            // No interruptible sleep is left to this thread, and `CondVar` has none for fatal
            // signals alone.
            drop(guard);
            fsleep(BETWEEN_LOOKS);
        }
        self.check()
    }
}

/// Returns whether a signal waits for the calling thread.
pub(crate) fn pending() -> bool {
    current!().signal_pending()
}

/// Returns whether a signal kills the calling thread.
fn killed() -> bool {
    // SAFETY: The shim reads the state of the calling thread alone.
    unsafe { mapping_fatal_signal_pending() }
}

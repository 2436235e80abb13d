// SPDX-License-Identifier: GPL-2.0-only

//! The end of the time that a process gives a call, kept through a restart of the call.
//!
//! A signal may end a call, and the kernel or the process calls again. The call finds a mark of
//! when it first began in its argument. So the time-out itself stays as the process gave it, and
//! the whole wait is as long as that, however often a signal comes. With the time that is left in
//! its place, a process that uses one argument for many calls would shorten it from call to call.

use super::series::millis_ceil;
use kernel::time::{
    msecs_to_jiffies,
    ClockSource,
    Delta,
    Jiffies,
    Monotonic,
    NSEC_PER_MSEC, //
};

/// The marks are 1 to this number, one per millisecond, again and again. 0 is none. So two moments
/// have the same mark only if they lie as far apart as the longest time-out.
const MARKS: i64 = u32::MAX as i64;

/// The end of the time that a call has.
pub(crate) struct Deadline {
    mark: u32,
    /// Nanoseconds of the monotonic clock.
    end: i64,
}

impl Deadline {
    /// Returns the end of so many milliseconds after the moment of `mark`, or after now without a
    /// mark. A process may write any mark: none gives it more time than `milliseconds`, but for one
    /// of them.
    pub(crate) fn new(milliseconds: u32, mark: u32) -> Self {
        let now = Monotonic::ktime_get();
        let moment = now / NSEC_PER_MSEC;
        let length = i64::from(milliseconds);
        if mark == 0 {
            return Self {
                mark: (moment % MARKS) as u32 + 1,
                end: now + length * NSEC_PER_MSEC,
            };
        }
        let ago = (moment - (i64::from(mark) - 1)).rem_euclid(MARKS);
        // One more, as a mark is up to a millisecond earlier than its call: no wait is too short.
        let end = moment - ago + length + 1;
        Self {
            mark,
            end: end * NSEC_PER_MSEC,
        }
    }

    /// Returns the mark of when the call began, for the call that goes on with it.
    pub(crate) fn mark(&self) -> u32 {
        self.mark
    }

    /// Returns whether the time is over.
    pub(crate) fn is_over(&self) -> bool {
        Monotonic::ktime_get() >= self.end
    }

    /// Returns the time that is left, for a sleep. The sleep may be too short by a jiffy, and for a
    /// long time is far too short: look at [`Deadline::is_over`] afterwards.
    pub(crate) fn jiffies(&self) -> Jiffies {
        let left = millis_ceil(Delta::from_nanos(self.end - Monotonic::ktime_get()));
        // The kernel takes more than `i32::MAX` milliseconds for a time without end.
        msecs_to_jiffies(left.clamp(0, i32::MAX.into()) as u32)
    }
}

// SPDX-License-Identifier: GPL-2.0-only

//! The device's log of recent errors, by name.

use crate::{
    device::Device,
    interface::{
        error::ErrorCode,
        regs, //
    },
};
use kernel::{
    fmt,
    prelude::*, //
};

/// An error as the device has logged it.
pub(crate) struct LoggedError {
    /// Queue concerned, or [`regs::NO_QUEUE`].
    pub(crate) queue: u16,
    /// What went wrong.
    pub(crate) code: ErrorCode,
    /// The value that caused it.
    pub(crate) value: u64,
}

/// Writes the errors that the log still holds, oldest first, and how many each queue has had.
///
/// # Errors
///
/// `EIO` if the device does not answer.
pub(crate) fn show(device: &Device<'_>, f: &mut fmt::Formatter<'_>) -> Result<fmt::Result> {
    device.check()?;
    let count = device.error_count()?;
    let mut outcome = writeln!(f, "count {count}");
    let older = count.saturating_sub(regs::ERROR_LOG_ENTRIES as u32);
    for number in older..count {
        let number = number + 1;
        if let Some(error) = device.logged_error(number)? {
            outcome = outcome.and(show_one(number, &error, f));
        }
    }
    for queue in 0..device.limits().queues {
        let errors = device.queue_errors(queue)?;
        outcome = outcome.and(writeln!(f, "queue {queue} errors {errors}"));
    }
    Ok(outcome)
}

fn show_one(number: u32, error: &LoggedError, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "error {number} queue ")?;
    match error.queue {
        regs::NO_QUEUE => write!(f, "none")?,
        queue => write!(f, "{queue}")?,
    }
    match ErrorCode::ALL.iter().find(|(code, _)| *code == error.code) {
        Some((_, name)) => write!(f, " {name}")?,
        None => write!(f, " {}", error.code.0)?,
    }
    writeln!(f, " {:#x}", error.value)
}

// SPDX-License-Identifier: GPL-2.0-only

//! The device's log of recent errors, by name.

use crate::{
    device::registers::Registers,
    interface::{
        error::ErrorCode,
        regs, //
    },
};
use kernel::{
    fmt,
    io::{
        register::Array,
        Io, //
    },
    prelude::*, //
};

/// An error as the device has logged it.
struct LoggedError {
    /// Queue concerned, or [`regs::NO_QUEUE`].
    queue: u16,
    code: ErrorCode,
    /// The value that caused it.
    value: u64,
}

/// The log of a device, in its registers.
pub(crate) struct ErrorLog<'a, 'bound> {
    registers: &'a Registers<'bound>,
}

impl<'a, 'bound> ErrorLog<'a, 'bound> {
    /// Returns the log that these registers hold.
    pub(crate) fn new(registers: &'a Registers<'bound>) -> Self {
        Self { registers }
    }

    /// Writes the errors that the log still holds, oldest first, and the number of errors of each
    /// of the device's `queues`.
    ///
    /// # Errors
    ///
    /// `EIO` if the device is lost.
    pub(crate) fn show(&self, queues: u32, f: &mut fmt::Formatter<'_>) -> Result<fmt::Result> {
        let count = self.count()?;
        let mut outcome = writeln!(f, "count {count}");
        let older = count.saturating_sub(regs::ERROR_LOG_ENTRIES as u32);
        for number in older..count {
            let number = number + 1;
            if let Some(error) = self.entry(number)? {
                outcome = outcome.and(show_one(number, &error, f));
            }
        }
        for queue in 0..queues {
            let errors = self.of_queue(queue)?;
            outcome = outcome.and(writeln!(f, "queue {queue} errors {errors}"));
        }
        Ok(outcome)
    }

    /// Returns the number of errors since the device's last reset.
    fn count(&self) -> Result<u32> {
        Ok(self.registers.bar()?.read(regs::ERROR_COUNT).into_raw())
    }

    /// Returns the error with this number, if the log still has it.
    fn entry(&self, number: u32) -> Result<Option<LoggedError>> {
        let index = number as usize % regs::ERROR_LOG_ENTRIES;
        let entry = || {
            let entry = regs::ERROR_LOG_ENTRY::try_at(index).ok_or(EINVAL)?;
            self.registers.bar()?.try_read(entry)
        };
        let value = regs::ERROR_LOG_VALUE::try_at(index).ok_or(EINVAL)?;
        let before = entry()?;
        let value = self.registers.bar()?.try_read(value)?.into_raw();
        // The device may overwrite the entry between the two reads: otherwise the value of one
        // error would be shown with the code of another.
        let is_this = u64::from(before.number()) == number.into();
        Ok(
            (is_this && entry()?.into_raw() == before.into_raw()).then(|| LoggedError {
                queue: u64::from(before.queue()) as u16,
                code: ErrorCode(u64::from(before.code()) as u16),
                value,
            }),
        )
    }

    /// Returns the number of errors of a queue since it was started.
    fn of_queue(&self, queue: u32) -> Result<u32> {
        let errors = regs::QUEUE_ERRORS::try_at(queue as usize).ok_or(EINVAL)?;
        Ok(self.registers.bar()?.read(errors).into_raw())
    }
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

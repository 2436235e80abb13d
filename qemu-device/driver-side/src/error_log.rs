// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The device's error log (data sheet 9).

use crate::Registers;
use ringbar_spec::error::ErrorCode;
use ringbar_spec::regs::{Register, ERROR_LOG_ENTRIES, ERROR_LOG_ENTRY};

/// An error in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Logged {
    /// Kind of error.
    pub code: ErrorCode,
    /// Queue concerned, all ones if none.
    pub queue: u16,
    /// Value that caused it.
    pub value: u64,
}

/// Returns the newest errors, the oldest of them first, and empties the log. The device must not log
/// errors meanwhile.
pub fn take<R: Registers>(registers: &mut R) -> Result<Vec<Logged>, R::Error> {
    let count = registers.get(Register::ERROR_COUNT)? as usize;
    // The log keeps the last entries only. Older ones were overwritten.
    let oldest = count.saturating_sub(ERROR_LOG_ENTRIES);
    let mut errors = Vec::new();
    for number in oldest + 1..=count {
        let entry = registers.get_nth(Register::ERROR_LOG_ENTRY, number)?;
        let entry = ERROR_LOG_ENTRY::from_raw(entry);
        errors.push(Logged {
            code: ErrorCode(entry.code() as u16),
            queue: entry.queue() as u16,
            value: registers.get_nth(Register::ERROR_LOG_VALUE, number)?,
        });
    }
    // Otherwise the next call would return these errors again.
    registers.set(Register::ERROR_CLEAR, 0)?;
    Ok(errors)
}

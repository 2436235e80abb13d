// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! First steps with a device (data sheet 14). The steps between and after them are those of the
//! transport, which maps BAR 0 and requests interrupts, and of [`admin`](crate::admin).

use crate::{Error, Function};
use ringbar_spec::ids::{DEVICE_ID, IDENT, VENDOR_ID, VERSION_MAJOR};
use ringbar_spec::regs::{Register, RESET_KEY, VERSION};
use ringbar_spec::wake::{Word, Words};

/// Offset of the command register in configuration space.
pub const COMMAND: usize = 4;
/// Bit of the command register for memory space.
const MEMORY_SPACE: u16 = 1 << 1;
/// Bits of the command register for memory space and bus mastering.
pub const COMMAND_ON: u16 = MEMORY_SPACE | 1 << 2;

/// Takes steps 1 and 2: enables the function, checks that it is a device that this driver side
/// supports, and resets it, since it may have been used before.
///
/// Bus mastering is off until then. Otherwise work that a former driver left would go on, in memory
/// that others have now (data sheet 11).
pub fn begin<F: Function>(function: &mut F) -> Result<(), Error<F::Error>> {
    function.write_config(COMMAND, &MEMORY_SPACE.to_le_bytes())?;
    check(function)?;
    function.set(Register::RESET, RESET_KEY.into())?;
    Ok(enable(function)?)
}

/// Switches memory space and bus mastering on.
pub fn enable<F: Function>(function: &mut F) -> Result<(), F::Error> {
    function.write_config(COMMAND, &COMMAND_ON.to_le_bytes())
}

/// Fails unless the device is one that this driver side supports.
fn check<F: Function>(function: &mut F) -> Result<(), Error<F::Error>> {
    let mut ids = [0; 4];
    function.read_config(0, &mut ids)?;
    let version = VERSION::from_raw(function.get(Register::VERSION)? as u32);
    for (property, found, wanted) in [
        (
            "vendor and device",
            u32::from_le_bytes(ids).into(),
            u64::from(DEVICE_ID) << 16 | u64::from(VENDOR_ID),
        ),
        ("identity", function.get(Register::IDENT)?, IDENT.into()),
        (
            "major version",
            version.major().into(),
            VERSION_MAJOR.into(),
        ),
    ] {
        if found != wanted {
            return Err(Error::WrongDevice {
                property,
                found,
                wanted,
            });
        }
    }
    Ok(())
}

/// Sets the words of a stopped queue (step 4). The queue asks for no interrupt then.
pub fn clear_words<W: Words + ?Sized>(words: &W) {
    for (word, value) in [
        (Word::SubmissionTail, 0),
        (Word::SubmissionInline, 0),
        (Word::CompletionHead, 0),
        // 0 would ask for an interrupt at the first completion.
        (Word::InterruptAt, u32::MAX),
        (Word::DriverInterruptAt, u32::MAX),
    ] {
        words.store(word, value);
    }
}

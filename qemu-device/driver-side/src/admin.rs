// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Admin commands (data sheet 5). A set-up block may stand at the same address for each command: the
//! device copies it before it answers.

use crate::bring_up::clear_words;
use crate::{Error, QueueMemory, Registers, Shared};
use ringbar_spec::error::ErrorCode;
use ringbar_spec::ids::IDENT;
use ringbar_spec::regs::Register;
use ringbar_spec::setup::{QueueSetup, Segment, WindowSetup};
use zerocopy::IntoBytes;

/// Issues a command. Fails if the device refuses it, or does not answer.
pub fn command<R: Registers>(
    registers: &mut R,
    command: Register,
    value: u64,
) -> Result<(), Error<R::Error>> {
    registers.set(command, value)?;
    let code = registers.get(Register::ADMIN_STATUS)?;
    // A BAR that is not there may read as 0, which would be success (data sheet 5).
    let identity = registers.get(Register::IDENT)?;
    if identity != IDENT.into() {
        return Err(Error::WrongDevice {
            property: "identity",
            found: identity,
            wanted: IDENT.into(),
        });
    }
    match ErrorCode(code as u16) {
        ErrorCode::NONE => Ok(()),
        code => Err(Error::Refused {
            command: command.info().name,
            code,
        }),
    }
}

/// Starts a queue, which must be stopped, with a block at a DMA address.
pub fn start_queue<R: Registers, S: Shared>(
    registers: &mut R,
    shared: S,
    block: u64,
    setup: &QueueSetup,
) -> Result<QueueMemory<S>, Error<R::Error>> {
    let memory = QueueMemory::new(shared, setup);
    // First: the device may look at the words as soon as the queue runs.
    clear_words(&memory);
    memory.shared().write(block, setup.as_bytes());
    command(registers, Register::QUEUE_START, block)?;
    Ok(memory)
}

/// Opens a window, with a block and the list of segments behind it at a DMA address.
pub fn open_window<R: Registers, S: Shared>(
    registers: &mut R,
    shared: S,
    block: u64,
    setup: &WindowSetup,
    list: &[Segment],
) -> Result<(), Error<R::Error>> {
    shared.write(block, setup.as_bytes());
    shared.write(block + size_of::<WindowSetup>() as u64, list.as_bytes());
    command(registers, Register::WINDOW_OPEN, block)
}

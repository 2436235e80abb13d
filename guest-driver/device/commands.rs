// SPDX-License-Identifier: GPL-2.0-only

//! The admin commands: start and stop a queue, open and close a window.
//!
//! A command names a block in memory by its DMA address. The caller gives one command at a time.

use super::registers::{
    Answer,
    RegisterBar,
    Registers,
    Silence, //
};
use crate::{
    interface::{
        error::ErrorCode,
        ioctl::MAX_PARTS,
        regs,
        setup::{
            QueueSetup,
            Segment,
            WindowSetup, //
        },
        wake::{
            Word,
            Words, //
        },
        SetupBlock, //
    },
    mapping::series::memory::*,
};
use core::mem::offset_of;
use kernel::{
    device::Bound,
    dma::Coherent,
    error::code::ERESTARTSYS,
    io::Io,
    pci,
    prelude::*, //
};
use zerocopy::IntoBytes;

/// The memory through which commands are given.
pub(super) struct Commands {
    block: Coherent<SetupBlock>,
}

impl Commands {
    /// Allocates the memory.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn new(pdev: &pci::Device<Bound>) -> Result<Self> {
        let block = Coherent::zeroed(pdev.as_ref(), GFP_KERNEL)?;
        Ok(Self { block })
    }

    /// Starts a queue. Returns the reset generation in which it runs.
    ///
    /// # Errors
    ///
    /// `EIO` if the device refuses or is lost; `ERESTARTSYS` if it is being reset, and nothing was
    /// done.
    pub(super) fn start_queue(&self, registers: &Registers<'_>, setup: QueueSetup) -> Result<u32> {
        let queue = setup.queue;
        let words = registers.words(queue)?;
        words.clear_inline()?;
        words.store(Word::SubmissionTail, 0);
        words.store(Word::CompletionHead, 0);
        // As far away as can be: no process waits yet.
        words.store(Word::InterruptAt, u32::MAX);
        words.store(Word::DriverInterruptAt, u32::MAX);
        io_project!(self.block, .queue).copy_write(setup);
        let address = dma_address(&self.block) + offset_of!(SetupBlock, queue) as u64;
        let generation = registers.settle(Silence::Restart)?;
        let start = |bar: &RegisterBar<'_>| bar.try_write_reg(regs::QUEUE_START::from(address));
        match registers.command(generation, Silence::Restart, start)? {
            Answer::Code(ErrorCode::NONE) => Ok(generation),
            Answer::Code(code) => Err(registers.refused("QUEUE_START", code)),
            Answer::Reset => {
                // The reset came before the command or after it. In the first case the queue runs,
                // and would write its rings after they were freed.
                let generation = registers.settle(Silence::Wait)?;
                self.stop_queue(registers, generation, Silence::Wait, queue)?;
                Err(EIO)
            }
        }
    }

    /// Stops a queue that was started in `generation`. Its rings are the caller's again.
    ///
    /// # Errors
    ///
    /// `EIO` if the device refuses or is lost: it may still use the rings. As [`Silence`].
    pub(super) fn stop_queue(
        &self,
        registers: &Registers<'_>,
        generation: u32,
        silence: Silence,
        queue: u32,
    ) -> Result {
        let stop = |bar: &RegisterBar<'_>| {
            bar.write_reg(regs::QUEUE_STOP::from(queue));
            Ok(())
        };
        match registers.command(generation, silence, stop)? {
            // A queue that hit an error has stopped by itself, and a reset stops all.
            Answer::Code(ErrorCode::NONE | ErrorCode::QUEUE_STOPPED) | Answer::Reset => Ok(()),
            Answer::Code(code) => Err(registers.refused("QUEUE_STOP", code)),
        }
    }

    /// Opens a window. Returns the reset generation in which it is open. `keep` gets memory that a
    /// lost device may still read.
    ///
    /// # Errors
    ///
    /// `EIO` if the device refuses or is lost; `ENOMEM`; `ERESTARTSYS` if it is being reset, and
    /// nothing was done.
    pub(super) fn open_window(
        &self,
        pdev: &pci::Device<Bound>,
        registers: &Registers<'_>,
        setup: WindowSetup,
        segments: &[Segment],
        keep: impl FnOnce(Coherent<[u8]>),
    ) -> Result<u32> {
        let window = setup.window;
        let (address, list) = if segments.len() <= MAX_PARTS as usize {
            (self.describe_window(setup, segments)?, None)
        } else {
            let list = long_list(pdev, setup, segments)?;
            (dma_address(&list), Some(list))
        };
        let generation = registers.settle(Silence::Restart)?;
        let open = |bar: &RegisterBar<'_>| bar.try_write_reg(regs::WINDOW_OPEN::from(address));
        let answer = registers.command(generation, Silence::Restart, open);
        let answer = answer.inspect_err(|error| {
            // A lost device may read it when it comes back.
            if let Some(list) = list.filter(|_| *error != ERESTARTSYS) {
                keep(list);
            }
        })?;
        match answer {
            Answer::Code(ErrorCode::NONE) => Ok(generation),
            Answer::Code(code) => Err(registers.refused("WINDOW_OPEN", code)),
            Answer::Reset => {
                // The reset came before the command or after it. In the first case the window is
                // open, and would show memory that was freed.
                let generation = registers.settle(Silence::Wait)?;
                self.close_window(registers, generation, Silence::Wait, window)?;
                Err(EIO)
            }
        }
    }

    /// Closes a window that was opened in `generation`. The device does not use it any more.
    ///
    /// # Errors
    ///
    /// `EIO` if the device refuses or is lost: it may still use the memory. As [`Silence`].
    pub(super) fn close_window(
        &self,
        registers: &Registers<'_>,
        generation: u32,
        silence: Silence,
        window: u32,
    ) -> Result {
        let close = |bar: &RegisterBar<'_>| {
            bar.write_reg(regs::WINDOW_CLOSE::from(window));
            Ok(())
        };
        match registers.command(generation, silence, close)? {
            Answer::Code(ErrorCode::NONE | ErrorCode::WINDOW_IS_CLOSED) | Answer::Reset => Ok(()),
            Answer::Code(code) => Err(registers.refused("WINDOW_CLOSE", code)),
        }
    }

    /// Writes a window block and its segments where they stay until the next command. Returns their
    /// DMA address.
    fn describe_window(&self, setup: WindowSetup, segments: &[Segment]) -> Result<u64> {
        io_project!(self.block, .window).copy_write(setup);
        for (index, segment) in segments.iter().enumerate() {
            io_project!(self.block, .segments[try: index]).copy_write(*segment);
        }
        Ok(dma_address(&self.block) + offset_of!(SetupBlock, window) as u64)
    }
}

/// Allocates a window block with more segments than there is room for in the block of all windows.
fn long_list(
    pdev: &pci::Device<Bound>,
    setup: WindowSetup,
    segments: &[Segment],
) -> Result<Coherent<[u8]>> {
    let (setup, segments) = (setup.as_bytes(), segments.as_bytes());
    let (seam, end) = (setup.len(), setup.len() + segments.len());
    let list = Coherent::zeroed_slice(pdev.as_ref(), end, GFP_KERNEL)?;
    io_project!(list, [try: 0..seam]).copy_from_slice(setup);
    io_project!(list, [try: seam..end]).copy_from_slice(segments);
    Ok(list)
}

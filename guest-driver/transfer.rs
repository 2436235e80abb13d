// SPDX-License-Identifier: GPL-2.0-only

//! Moves bytes between memory of a process and a window, piece by piece: by the processor between
//! the process and memory of the kernel, by the device between that and the window.
//!
//! It works wherever the kernel can map memory for DMA at all, as the device never reaches the
//! process's own.

use crate::{
    device::{
        limits::{
            Amount,
            Charge,
            User, //
        },
        Device,
        WindowTarget, //
    },
    execute::Session,
    file::OpenFile,
    interface::{
        ioctl,
        ring::{
            Completion,
            Descriptor,
            Opcode,
            Status, //
        },
        setup::Segment, //
    },
    queue::Queue,
    streaming::Streaming,
    window::Window, //
};
use kernel::{
    prelude::*,
    uaccess::{
        UserPtr,
        UserSlice, //
    },
};

/// Bytes of a piece, and of the memory that a queue has for it.
const PIECE: usize = 64 << 10;

/// Memory through which pieces go, and its window. Must be given to [`Staging::close`] while the
/// device is there.
pub(crate) struct Staging {
    window: Window,
    memory: Streaming,
    _charge: Charge,
}

impl Staging {
    fn new(device: &Device<'_>, user: &User, domain: u32) -> Result<Self> {
        let charge = user.charge(Amount {
            windows: 1,
            bytes: PIECE as u64,
            ..Amount::default()
        })?;
        let memory = Streaming::new(device.pdev().as_ref(), PIECE)?;
        let segment = Segment {
            address: memory.dma_address(),
            length: memory.size() as u64,
        };
        let rights = ioctl::RIGHT_READ | ioctl::RIGHT_WRITE;
        let target = WindowTarget::Memory(core::slice::from_ref(&segment));
        match Window::open(device, domain, rights, target) {
            Ok(window) => Ok(Self {
                window,
                memory,
                _charge: charge,
            }),
            Err(error) => {
                // A lost device may open the window when it comes back.
                if device.registers().is_lost() {
                    device.kept().memory(memory, PIECE);
                }
                Err(error)
            }
        }
    }

    /// Closes the window and frees the memory.
    ///
    /// # Errors
    ///
    /// `EIO` if the device may still write the memory, which is then kept for good.
    pub(crate) fn close(self, device: &Device<'_>) -> Result {
        let closed = self.window.close(device);
        if closed.is_err() {
            self.keep(device);
        }
        closed
    }

    /// Keeps the memory for good.
    pub(crate) fn keep(self, device: &Device<'_>) {
        device.kept().memory(self.memory, PIECE);
    }
}

impl Queue {
    /// Memory for the pieces of a transfer, made for the first one.
    fn staging(&mut self, device: &Device<'_>, file: &OpenFile) -> Result<&mut Staging> {
        if self.staging.is_none() {
            let staging = Staging::new(device, file.user(), file.domain())?;
            self.staging = Some(staging);
        }
        self.staging.as_mut().ok_or(EIO)
    }
}

impl OpenFile {
    /// Moves bytes into or out of a window; see [`ioctl::TRANSFER`].
    ///
    /// # Errors
    ///
    /// `EINVAL` for a reserved field, an unknown direction, or a window number that none has; as
    /// [`Session::begin`]; `EFAULT`; `ENOMEM`; `ENOSPC` over a limit; as
    /// [`Waiters::wait`](crate::waiters::Waiters::wait). How many bytes were moved is in the
    /// argument.
    pub(crate) fn transfer(&self, transfer: &mut ioctl::Transfer) -> Result {
        let left = core::mem::take(&mut transfer.length);
        let mut left = usize::try_from(left)?;
        if transfer.reserved != 0 {
            return Err(EINVAL);
        }
        let window = u16::try_from(transfer.window).map_err(|_| EINVAL)?;
        let into = match transfer.direction {
            ioctl::TRANSFER_INTO_WINDOW => true,
            ioctl::TRANSFER_OUT_OF_WINDOW => false,
            _ => return Err(EINVAL),
        };
        let waiters = self.kernel_queue(transfer.queue)?;
        let mut session = Session::begin(self, transfer.queue, &waiters, transfer.timeout_ms)?;
        let memory = UserPtr::from_addr(usize::try_from(transfer.address)?);
        let (mut reader, mut writer) = UserSlice::new(memory, left).reader_writer();
        let mut piece = KVec::from_elem(0u8, PIECE.min(left), GFP_KERNEL)?;
        while left > 0 {
            let length = left.min(PIECE);
            let piece = piece.get_mut(..length).ok_or(EINVAL)?;
            if into {
                reader.read_slice(piece)?;
            }
            let staged = session.with_queue(|device, queue| {
                let staging = queue.staging(device, self)?;
                if into {
                    staging.memory.write(piece)?;
                }
                Ok(staging.window.number())
            })?;
            let mut descriptor = Descriptor {
                opcode: Opcode::COPY.0,
                length: length as u32,
                ..Descriptor::default()
            };
            // The device says so if that is beyond the window.
            let offset = transfer.offset.saturating_add(transfer.length);
            if into {
                descriptor.source_window = staged;
                descriptor.destination_window = window;
                descriptor.destination_offset = offset;
            } else {
                descriptor.source_window = window;
                descriptor.source_offset = offset;
                descriptor.destination_window = staged;
            }
            let mut completions = [Completion::default()];
            let (taken, waited) = session.run(&[descriptor], &mut completions)?;
            waited?;
            let [completion] = completions;
            if taken != 1 {
                return Err(EIO);
            }
            transfer.status = completion.status.into();
            if completion.status != Status::OK.0 {
                break;
            }
            if !into {
                session
                    .with_queue(|device, queue| queue.staging(device, self)?.memory.read(piece))?;
                writer.write_slice(piece)?;
            }
            transfer.length += length as u64;
            left -= length;
        }
        Ok(())
    }
}

// SPDX-License-Identifier: GPL-2.0-only

//! Moves bytes between memory of a process and a window, piece by piece. The processor copies
//! between the process and memory of the kernel, the device between that memory and the window.
//!
//! It works wherever the kernel can map memory for DMA at all, as the device never reaches the
//! process's own.

use super::{
    owner::QueueOwner,
    session::{
        kernel_queue,
        Session, //
    },
    staging::PIECE,
};
use crate::{
    interface::{
        ioctl,
        ring::{
            Completion,
            Descriptor,
            Opcode,
            Status, //
        },
    },
    mapping::{
        arguments::End,
        deadline::Deadline,
        signals, //
    },
};
use kernel::{
    prelude::*,
    uaccess::{
        UserPtr,
        UserSlice, //
    },
};

/// The way of a transfer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    IntoWindow,
    OutOfWindow,
}

/// Moves bytes into or out of a window; see [`ioctl::TRANSFER`].
///
/// # Errors
///
/// `EINVAL` for an unknown direction, or a window number that none has; as [`Session::begin`] and
/// [`Session::run`]; `EFAULT`; `ENOMEM`; `ENOSPC` over a limit. The number of bytes that were moved
/// is in the argument.
pub(crate) fn transfer(
    file: &impl QueueOwner,
    transfer: &mut ioctl::Transfer,
    deadline: &Deadline,
) -> Result<End> {
    let left = core::mem::take(&mut transfer.length);
    let mut left = usize::try_from(left)?;
    let window = u16::try_from(transfer.window).map_err(|_| EINVAL)?;
    let direction = match transfer.direction {
        ioctl::TRANSFER_INTO_WINDOW => Direction::IntoWindow,
        ioctl::TRANSFER_OUT_OF_WINDOW => Direction::OutOfWindow,
        _ => return Err(EINVAL),
    };
    let waiters = kernel_queue(file, transfer.queue)?;
    let session = Session::begin(file, transfer.queue, &waiters, deadline)?;
    let memory = UserPtr::from_addr(usize::try_from(transfer.address)?);
    let (mut reader, mut writer) = UserSlice::new(memory, left).reader_writer();
    // A piece between the process and the staging memory. The lock of the queues guards the staging
    // memory, and a copy from the process under that lock could wait for itself.
    let mut piece = KVec::from_elem(0u8, PIECE.min(left), GFP_KERNEL)?;
    while left > 0 {
        let length = left.min(PIECE);
        let piece = piece.get_mut(..length).ok_or(EINVAL)?;
        if direction == Direction::IntoWindow {
            reader.read_slice(piece)?;
        }
        let (staged, tag) = session.with_queue(|device, queue| {
            let staging = queue.staging(device, file.owner())?;
            if direction == Direction::IntoWindow {
                staging.memory().write(piece)?;
            }
            // A number that no earlier piece of the queue had: a completion of one of them would
            // not be ours.
            Ok((staging.window(), queue.submitted()))
        })?;
        let offset = transfer.offset.saturating_add(transfer.length);
        let descriptor = Descriptor {
            tag,
            ..copy(direction, staged, window, offset, length)
        };
        let mut completions = [Completion::default()];
        let (taken, waited) = session.run(&[descriptor], &mut completions)?;
        waited?;
        let [completion] = completions;
        if taken != 1 || completion.tag != tag {
            return session.with_queue(|device, queue| {
                dev_warn!(
                    device.pdev(),
                    "queue {}: completion of tag {}, not of {}\n",
                    queue.number(),
                    completion.tag,
                    tag
                );
                Err(EIO)
            });
        }
        transfer.status = completion.status.into();
        if completion.status != Status::OK.0 {
            break;
        }
        if direction == Direction::OutOfWindow {
            session.with_queue(|device, queue| {
                let staging = queue.staging(device, file.owner())?;
                staging.memory().read(piece)
            })?;
            writer.write_slice(piece)?;
        }
        transfer.length += length as u64;
        left -= length;
        if left > 0 && signals::pending() {
            return Ok(End::Part);
        }
    }
    Ok(End::Whole)
}

/// Returns the descriptor that copies a piece between window `staged`, from its beginning on, and
/// `offset` of `window`. The device refuses it if that leaves the window.
fn copy(direction: Direction, staged: u16, window: u16, offset: u64, length: usize) -> Descriptor {
    let descriptor = Descriptor {
        opcode: Opcode::COPY.0,
        length: length as u32,
        ..Descriptor::default()
    };
    match direction {
        Direction::IntoWindow => Descriptor {
            source_window: staged,
            destination_window: window,
            destination_offset: offset,
            ..descriptor
        },
        Direction::OutOfWindow => Descriptor {
            source_window: window,
            source_offset: offset,
            destination_window: staged,
            ..descriptor
        },
    }
}

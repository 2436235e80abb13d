// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Checks of a server's answer before the client gets it.
//!
//! QEMU 11.1.3 loses its place in the stream if an answer has a number that it does not wait for, is
//! longer than its memory for it, or has descriptors that it did not ask for.

use ringbar_vfio_user::wire::{command, HEADER_SIZE, KERNEL_MAX_FDS};

use crate::fault::ServerFault;
use crate::message::Message;

/// Fixed part of a read: offset, region and count.
const ACCESS_SIZE: usize = 16;

/// Fails if an answer is not one to this request, or more than the client has room for.
pub(super) fn check<Fd>(request: &Message<Fd>, answer: &Message<Fd>) -> Result<(), ServerFault> {
    let asked = request.header.command;
    if answer.header.command != asked {
        return Err(ServerFault::Command {
            answer: answer.header.command,
            request: asked,
        });
    }
    let (size, room) = (answer.size(), room(request));
    if size > room {
        return Err(ServerFault::Room {
            command: asked,
            size,
            room,
        });
    }
    check_fds(answer, fds(answer))
}

/// Fails if a message of the server has more descriptors than `limit`.
pub(super) fn check_fds<Fd>(message: &Message<Fd>, limit: usize) -> Result<(), ServerFault> {
    let count = message.fds.len();
    if count > limit {
        return Err(ServerFault::Fds {
            command: message.header.command,
            count,
            limit,
        });
    }
    Ok(())
}

/// Returns the most descriptors of an answer.
fn fds<Fd>(answer: &Message<Fd>) -> usize {
    match answer.header.command {
        _ if answer.is_error() => 0,
        command::DEVICE_GET_REGION_INFO => 1,
        command::DEVICE_GET_REGION_IO_FDS => KERNEL_MAX_FDS,
        _ => 0,
    }
}

/// Returns the size of the longest answer: that of the request, or the room that the request names.
fn room<Fd>(request: &Message<Fd>) -> usize {
    let mut fields = request.fields();
    let named = match request.header.command {
        command::REGION_READ => {
            let (_offset, _region) = (fields.u64(), fields.u32());
            fields
                .u32()
                .map(|count| to_usize(count).saturating_add(ACCESS_SIZE))
        }
        command::DEVICE_GET_INFO
        | command::DEVICE_GET_REGION_INFO
        | command::DEVICE_GET_REGION_IO_FDS
        | command::DEVICE_GET_IRQ_INFO
        | command::DEVICE_FEATURE
        | command::MIG_DATA_READ => fields.u32().map(to_usize),
        _ => None,
    };
    let named = named.unwrap_or_default().saturating_add(HEADER_SIZE);
    request.size().max(named)
}

/// Returns a 32-bit number as a length.
fn to_usize(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The answers while there is no server: those of a device that is not there, and success where
//! QEMU would otherwise end.

use log::Level;
use ringbar_endpoint::client_log::note;
use ringbar_vfio_user::wire::{command, MAX_TRANSFER};
use ringbar_vfio_user::Errno;

use crate::message::{Descriptor, Message};
use crate::record::Record;

/// Fixed part of `REGION_READ` and `REGION_WRITE`: offset, region and count.
const ACCESS_SIZE: usize = 16;
/// Payload of `DMA_UNMAP`, and of its reply.
const UNMAP_SIZE: usize = 24;
/// Payload of a reply to `REGION_WRITE_MULTI`: the number of writes.
const MULTI_SIZE: usize = 8;

/// What an absent device does with a request.
enum Outcome {
    /// It is carried out, with this payload of the reply.
    Done(Vec<u8>),
    /// It is a question about the device.
    Question,
    /// It is refused.
    Refused(Errno),
}

/// Makes the reply to a request in place of the server, and notes the request in the record.
pub fn answer<Fd: Descriptor>(request: &Message<Fd>, record: &mut Record<Fd>) -> Message<Fd> {
    let payload = match outcome(request) {
        Outcome::Done(payload) => payload,
        Outcome::Question => {
            let known = record.info(request);
            return known.unwrap_or_else(|| request.refusal(Errno::IO));
        }
        Outcome::Refused(errno) => return request.refusal(errno),
    };
    match record.note(request, None) {
        Ok(()) => {}
        // The write itself has no effect in any case.
        Err(error) if request.header.command == command::REGION_WRITE => {
            note(module_path!(), Level::Warn, format_args!("{error}"));
        }
        Err(error) => {
            note(module_path!(), Level::Warn, format_args!("{error}"));
            return request.refusal(error.errno());
        }
    }
    request.reply(&payload)
}

/// Makes the reply to a request about a device that no server will serve again. So nothing is
/// recorded, and questions about the device are refused.
pub fn last_answer<Fd>(request: &Message<Fd>) -> Message<Fd> {
    match outcome(request) {
        Outcome::Done(payload) => request.reply(&payload),
        Outcome::Question => request.refusal(Errno::IO),
        Outcome::Refused(errno) => request.refusal(errno),
    }
}

/// Returns what an absent device does with a request.
fn outcome<Fd>(request: &Message<Fd>) -> Outcome {
    let payload = match request.header.command {
        command::REGION_READ => all_ones(request),
        command::REGION_WRITE => head(request, ACCESS_SIZE),
        command::REGION_WRITE_MULTI => head(request, MULTI_SIZE),
        command::DMA_UNMAP => head(request, UNMAP_SIZE),
        command::DMA_MAP | command::DEVICE_SET_IRQS | command::DEVICE_RESET => Some(Vec::new()),
        command::DEVICE_GET_INFO
        | command::DEVICE_GET_REGION_INFO
        | command::DEVICE_GET_IRQ_INFO => return Outcome::Question,
        // Also the command of an earlier VERSION: there is one for each connection.
        _ => return Outcome::Refused(Errno::IO),
    };
    payload.map_or(Outcome::Refused(Errno::INVAL), Outcome::Done)
}

/// Returns the payload of a read of an absent device; `None` for a request that is none.
fn all_ones<Fd>(request: &Message<Fd>) -> Option<Vec<u8>> {
    let mut payload = head(request, ACCESS_SIZE)?;
    let mut fields = request.fields();
    let (_offset, _region, count) = (fields.u64()?, fields.u32()?, fields.u32()?);
    // The client's count decides on the memory for the reply.
    let count = usize::try_from(count)
        .ok()
        .filter(|&count| count <= MAX_TRANSFER)?;
    payload.resize(ACCESS_SIZE.saturating_add(count), 0xff);
    Some(payload)
}

/// Returns the first bytes of the payload, which the reply repeats; `None` if there are fewer.
fn head<Fd>(request: &Message<Fd>, size: usize) -> Option<Vec<u8>> {
    Some(request.payload.get(..size)?.to_vec())
}

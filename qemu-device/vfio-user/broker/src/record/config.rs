// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The last write of configuration space for each offset and length, in order of the last write.

use std::collections::VecDeque;
use std::rc::Rc;

use ringbar_vfio_user::wire::command;
use vfio_bindings::bindings::vfio::VFIO_PCI_CONFIG_REGION_INDEX;

use super::{NotRecorded, Step};
use crate::message::Message;

/// Most writes that are remembered.
pub const MAX_WRITES: usize = 1024;
/// Most bytes of all writes together.
pub const MAX_BYTES: usize = 64 << 10;
/// Offset, region and count, before the data.
const ACCESS_SIZE: usize = 16;

/// The writes. The first is the oldest.
#[derive(Debug, Default)]
pub(super) struct ConfigWrites {
    writes: VecDeque<Write>,
}

/// One write.
#[derive(Debug)]
struct Write {
    offset: u64,
    /// Payload of the request.
    payload: Rc<[u8]>,
}

impl ConfigWrites {
    /// Notes a write, if it is one of configuration space.
    pub(super) fn note<Fd>(&mut self, request: &Message<Fd>) -> Result<(), NotRecorded> {
        if !is_of_config_space(request) {
            return Ok(());
        }
        let mut fields = request.fields();
        let (Some(offset), Some(_region), Some(_count)) =
            (fields.u64(), fields.u32(), fields.u32())
        else {
            return Err(NotRecorded::payload(request));
        };
        let length = request.payload.len();
        // By offset and length: a write of one byte of a register is not undone by an earlier one
        // of the whole register, as the later one comes last.
        self.writes
            .retain(|write| (write.offset, write.payload.len()) != (offset, length));
        self.writes.push_back(Write {
            offset,
            payload: Rc::clone(&request.payload),
        });
        self.shrink()
    }

    /// Forgets all writes.
    pub(super) fn clear(&mut self) {
        self.writes.clear();
    }

    /// Returns the requests that repeat the writes.
    pub(super) fn replay<Fd>(&self) -> impl Iterator<Item = Step<Fd>> + use<'_, Fd> {
        self.writes.iter().map(|write| Step {
            command: command::REGION_WRITE,
            payload: Rc::clone(&write.payload),
            fds: Vec::new(),
            expected: None,
        })
    }

    /// Forgets the oldest writes until the limits are kept. Fails if there were any.
    fn shrink(&mut self) -> Result<(), NotRecorded> {
        let mut result = Ok(());
        while self.writes.len() > MAX_WRITES || self.bytes() > MAX_BYTES {
            self.writes.pop_front();
            result = Err(NotRecorded::ConfigWrites);
        }
        result
    }

    /// Returns the number of bytes of data.
    fn bytes(&self) -> usize {
        self.writes
            .iter()
            .map(|write| write.payload.len().saturating_sub(ACCESS_SIZE))
            .sum()
    }
}

/// Checks whether an access is one of configuration space.
pub(super) fn is_of_config_space<Fd>(request: &Message<Fd>) -> bool {
    let mut fields = request.fields();
    let _offset = fields.u64();
    fields.u32() == Some(VFIO_PCI_CONFIG_REGION_INDEX)
}

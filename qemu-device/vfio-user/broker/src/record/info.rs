// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The answers that describe the device: number of regions and interrupts, region files.

use std::collections::BTreeMap;
use std::rc::Rc;

use ringbar_vfio_user::wire::command;
use vfio_bindings::bindings::vfio::VFIO_REGION_INFO_FLAG_MMAP;

use super::{NotRecorded, Step};
use crate::message::{Descriptor, Message};

/// Most questions that are remembered.
pub const MAX_INFOS: usize = 128;
/// Most bytes of a question, and of its answer.
pub const MAX_INFO_SIZE: usize = 4096;

/// The questions with their answers, in the order in which they were first asked.
#[derive(Debug)]
pub(super) struct Infos<Fd> {
    list: Vec<Info<Fd>>,
}

/// A question and its answer.
#[derive(Debug)]
struct Info<Fd> {
    command: u16,
    payload: Rc<[u8]>,
    reply: Message<Fd>,
}

/// File behind a region that the client has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionFile<Fd> {
    /// Index of the region.
    pub region: u32,
    /// Size of the region in bytes.
    pub size: u64,
    /// Offset of the region in the file.
    pub offset: u64,
    /// The file.
    pub file: Fd,
}

impl<Fd> Default for Infos<Fd> {
    fn default() -> Self {
        Self { list: Vec::new() }
    }
}

impl<Fd: Descriptor> Infos<Fd> {
    /// Remembers the answer to a question.
    pub(super) fn note(
        &mut self,
        request: &Message<Fd>,
        reply: &Message<Fd>,
    ) -> Result<(), NotRecorded> {
        let (command, payload) = (request.header.command, &request.payload);
        if let Some(known) = self.list.iter_mut().find(|info| info.is(request)) {
            known.reply = reply.clone();
            return Ok(());
        }
        let longest = payload.len().max(reply.payload.len());
        if self.list.len() >= MAX_INFOS || longest > MAX_INFO_SIZE {
            return Err(NotRecorded::Infos);
        }
        self.list.push(Info {
            command,
            payload: Rc::clone(payload),
            reply: reply.clone(),
        });
        Ok(())
    }

    /// Returns the answer to a question that was asked before.
    pub(super) fn find(&self, request: &Message<Fd>) -> Option<Message<Fd>> {
        let known = self.list.iter().find(|info| info.is(request))?;
        let mut reply = known.reply.clone();
        reply.header.id = request.header.id;
        Some(reply)
    }

    /// Returns the region files, by index of their regions.
    pub(super) fn region_files(&self) -> Vec<RegionFile<Fd>> {
        let files = self.list.iter().filter_map(Info::region_file);
        let by_region: BTreeMap<u32, _> = files.map(|file| (file.region, file)).collect();
        by_region.into_values().collect()
    }

    /// Returns the questions for a new server, with the answers that they must get.
    pub(super) fn replay(&self) -> impl Iterator<Item = Step<Fd>> + use<'_, Fd> {
        self.list.iter().map(|info| Step {
            command: info.command,
            payload: Rc::clone(&info.payload),
            fds: Vec::new(),
            expected: Some(info.reply.clone()),
        })
    }
}

impl<Fd: Descriptor> Info<Fd> {
    /// Checks whether this is the answer to a question.
    fn is(&self, request: &Message<Fd>) -> bool {
        self.command == request.header.command && self.payload == request.payload
    }

    /// Returns the region file that came with the answer.
    fn region_file(&self) -> Option<RegionFile<Fd>> {
        let file = self.reply.fds.first()?;
        let mut fields = self.reply.fields();
        let (_argsz, flags, region, _capabilities) =
            (fields.u32()?, fields.u32()?, fields.u32()?, fields.u32()?);
        let (size, offset) = (fields.u64()?, fields.u64()?);
        let mapped = self.command == command::DEVICE_GET_REGION_INFO
            && flags & VFIO_REGION_INFO_FLAG_MMAP != 0;
        mapped.then(|| RegionFile {
            region,
            size,
            offset,
            file: file.clone(),
        })
    }
}

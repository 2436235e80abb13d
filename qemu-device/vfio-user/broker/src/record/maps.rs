// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The DMA mappings that are live, with their files.

use std::rc::Rc;

use ringbar_vfio_user::device::DmaRange;
use ringbar_vfio_user::ranges::{RangeFault, Ranges};
use ringbar_vfio_user::wire::command;
use vfio_bindings::bindings::vfio::VFIO_DMA_UNMAP_FLAG_ALL;

use super::{NotRecorded, Step};
use crate::message::{Descriptor, Message};

/// Most different files of guest memory.
pub const MAX_FILES: usize = 256;

/// The mappings.
#[derive(Debug)]
pub(super) struct Maps<Fd> {
    ranges: Ranges<Map>,
    /// Each file once: behind a vIOMMU every mapping of a page comes with the same file again. An
    /// entry is empty when no mapping refers to it.
    files: Vec<Option<Shared<Fd>>>,
}

/// One mapping.
#[derive(Debug)]
struct Map {
    /// Payload of the request.
    payload: Rc<[u8]>,
    /// Index in the list of files.
    file: Option<usize>,
}

/// A file, and the number of mappings that refer to it.
#[derive(Debug)]
struct Shared<Fd> {
    fd: Fd,
    maps: usize,
}

impl<Fd> Default for Maps<Fd> {
    fn default() -> Self {
        Self {
            ranges: Ranges::default(),
            files: Vec::new(),
        }
    }
}

impl<Fd: Descriptor> Maps<Fd> {
    /// Fails if there is no room for a mapping. A range that overlaps is for the server to judge.
    pub(super) fn check(&self, request: &Message<Fd>) -> Result<(), NotRecorded> {
        if let Some(fd) = request.fds.first()
            && self.find(fd).is_none()
            && self.files.iter().flatten().count() >= MAX_FILES
        {
            return Err(NotRecorded::Files);
        }
        match mapped_range(request).map(|range| self.ranges.check_new(range)) {
            Some(Err(fault @ RangeFault::Count { .. })) => Err(fault.into()),
            _ => Ok(()),
        }
    }

    /// Adds a mapping.
    pub(super) fn map(&mut self, request: &Message<Fd>) -> Result<(), NotRecorded> {
        self.check(request)?;
        let range = mapped_range(request).ok_or_else(|| NotRecorded::payload(request))?;
        self.ranges.check_new(range)?;
        let file = request.fds.first().map(|fd| self.share(fd));
        let map = Map {
            payload: Rc::clone(&request.payload),
            file,
        };
        Ok(self.ranges.insert(range, map)?)
    }

    /// Removes all mappings that lie in the range of the request.
    pub(super) fn unmap(&mut self, request: &Message<Fd>) -> Result<(), NotRecorded> {
        let range = unmapped_range(request).ok_or_else(|| NotRecorded::payload(request))?;
        for map in self.ranges.remove(range)? {
            if let Some(place) = map.file.and_then(|file| self.files.get_mut(file)) {
                // The descriptor is closed with the last mapping.
                place.take_if(|shared| {
                    shared.maps = shared.maps.saturating_sub(1);
                    shared.maps == 0
                });
            }
        }
        Ok(())
    }

    /// Returns the requests that map all again.
    pub(super) fn replay(&self) -> impl Iterator<Item = Step<Fd>> + use<'_, Fd> {
        self.ranges.iter().map(|(_, map)| Step {
            command: command::DMA_MAP,
            payload: Rc::clone(&map.payload),
            fds: self.file(map).into_iter().collect(),
            expected: None,
        })
    }

    /// Returns the file of a mapping.
    fn file(&self, map: &Map) -> Option<Fd> {
        let shared = self.files.get(map.file?)?.as_ref()?;
        Some(shared.fd.clone())
    }

    /// Returns the index of a file.
    fn find(&self, fd: &Fd) -> Option<usize> {
        let same = |place: &Option<Shared<Fd>>| {
            place
                .as_ref()
                .is_some_and(|shared| shared.fd.is_same_file(fd))
        };
        self.files.iter().position(same)
    }

    /// Refers to a file once more. Returns its index.
    fn share(&mut self, fd: &Fd) -> usize {
        let known = self.find(fd);
        let place = known.or_else(|| self.files.iter().position(Option::is_none));
        let index = place.unwrap_or(self.files.len());
        if index == self.files.len() {
            self.files.push(None);
        }
        if let Some(place) = self.files.get_mut(index) {
            let shared = place.get_or_insert_with(|| Shared {
                fd: fd.clone(),
                maps: 0,
            });
            shared.maps = shared.maps.saturating_add(1);
        }
        index
    }
}

/// Returns the range that a `DMA_MAP` maps.
fn mapped_range<Fd>(request: &Message<Fd>) -> Option<DmaRange> {
    let mut fields = request.fields();
    let (_argsz, _flags, _offset) = (fields.u32()?, fields.u32()?, fields.u64()?);
    DmaRange::new(fields.u64()?, fields.u64()?)
}

/// Returns the range that a `DMA_UNMAP` unmaps.
fn unmapped_range<Fd>(request: &Message<Fd>) -> Option<DmaRange> {
    let mut fields = request.fields();
    let (_argsz, flags) = (fields.u32()?, fields.u32()?);
    if flags & VFIO_DMA_UNMAP_FLAG_ALL != 0 {
        return Some(DmaRange::ALL);
    }
    DmaRange::up_to_end(fields.u64()?, fields.u64()?)
}

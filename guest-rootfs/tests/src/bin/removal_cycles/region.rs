// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Regions of one open file, one per kind of mapping.

use ringbar_client::{Device, Error, Mapping, MemoryKind, Part, Policy, Rights};
use ringbar_tests::page_size;
use ringbar_uapi::ioctl::CreateQueue;
use ringbar_uapi::mmap::PUBLIC_REGISTERS;
use std::fs::File;
use std::sync::Arc;

/// Pages of the kinds that can have any number.
const PAGES: usize = 4;

/// Accesses of a child to a region that do not disturb the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Touch {
    /// Reads.
    Read,
    /// Reads and writes.
    Write,
}

/// A region, in a form that another process with the same file can use.
#[derive(Clone, Debug)]
pub(crate) struct Region {
    pub(crate) kind: String,
    /// mmap offset of its start.
    pub(crate) offset: u64,
    pub(crate) size: usize,
    pub(crate) touch: Touch,
}

impl Region {
    /// Maps the region.
    pub(crate) fn map(&self, file: &Arc<File>) -> Result<Mapping, Error> {
        let writable = self.touch == Touch::Write;
        Mapping::new(file.clone(), self.offset, self.size, writable)
    }

    /// Returns the offsets of its pages.
    pub(crate) fn pages(&self) -> impl Iterator<Item = usize> + use<> {
        (0..self.size).step_by(page_size())
    }

    /// Returns the region as one word of a command line.
    pub(crate) fn to_word(&self) -> String {
        let touch = match self.touch {
            Touch::Read => "read",
            Touch::Write => "write",
        };
        format!("{} {} {} {touch}", self.kind, self.offset, self.size)
    }

    /// Parses the word that [`Region::to_word`] made.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        let mut parts = word.split(' ');
        Some(Self {
            kind: parts.next()?.to_owned(),
            offset: parts.next()?.parse().ok()?,
            size: parts.next()?.parse().ok()?,
            touch: match parts.next()? {
                "write" => Touch::Write,
                _ => Touch::Read,
            },
        })
    }
}

/// Makes a region of each kind. The regions live until the file is closed.
pub(crate) fn make_all(device: &Device, queue: &CreateQueue) -> Vec<Region> {
    let entries = queue.entries as usize;
    let mut regions = vec![
        region(
            "public-registers",
            PUBLIC_REGISTERS,
            page_size(),
            Touch::Read,
        ),
        region("kick", queue.kick, page_size(), Touch::Read),
        region("doorbell", queue.doorbell, page_size(), Touch::Read),
        region("status", queue.status, page_size(), Touch::Read),
        region(
            "submission-ring",
            queue.submission_ring,
            entries * 64,
            Touch::Read,
        ),
        region(
            "completion-ring",
            queue.completion_ring,
            entries * 16,
            Touch::Read,
        ),
    ];
    let size = PAGES * page_size();
    let buffer = device
        .create_buffer(size, Rights::ReadWrite)
        .expect("a buffer");
    regions.push(region("dma-buffer", buffer.offset(), size, Touch::Write));
    for (kind, part) in [
        ("device-memory/write-combining", Part::WriteCombining),
        ("device-memory/uncached", Part::Uncached),
        ("lazy-device-memory", Part::Lazy),
    ] {
        let memory = device
            .create_device_memory(part, size, Rights::ReadWrite)
            .expect("device memory");
        regions.push(region(kind, memory.offset(), size, Touch::Write));
    }
    for (kind, memory) in [
        ("contiguous/cached", MemoryKind::Contiguous(Policy::Cached)),
        (
            "contiguous/write-combining",
            MemoryKind::Contiguous(Policy::WriteCombining),
        ),
        (
            "contiguous/uncached",
            MemoryKind::Contiguous(Policy::Uncached),
        ),
        ("vmalloc", MemoryKind::Vmalloc),
    ] {
        let memory = device.create_memory(memory, size).expect("memory");
        regions.push(region(kind, memory.offset(), size, Touch::Write));
    }
    regions
}

fn region(kind: &str, offset: u64, size: usize, touch: Touch) -> Region {
    Region {
        kind: kind.to_owned(),
        offset,
        size,
        touch,
    }
}

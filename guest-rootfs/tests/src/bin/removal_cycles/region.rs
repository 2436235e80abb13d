// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Regions of one open file, one of each kind of mapping.

use ringbar_client::{Device, Error, Mapping, Memory, Part, Policy, Rights};
use ringbar_uapi::ioctl::CreateQueue;
use ringbar_uapi::mmap::PUBLIC_REGISTERS;
use std::fs::File;
use std::sync::Arc;

pub(crate) const PAGE: usize = 4096;
/// Pages of the kinds that can have any number.
const PAGES: usize = 4;

/// What a child may do to a region without disturbing the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Touch {
    /// Read it.
    Read,
    /// Read and write it.
    Write,
}

/// A region, as it can be told to another process that has the file.
#[derive(Clone, Debug)]
pub(crate) struct Region {
    pub(crate) kind: String,
    /// mmap offset of its start.
    pub(crate) offset: u64,
    /// Bytes.
    pub(crate) size: usize,
    pub(crate) touch: Touch,
}

impl Region {
    /// Maps it.
    pub(crate) fn map(&self, file: &Arc<File>) -> Result<Mapping, Error> {
        let writable = self.touch == Touch::Write;
        Mapping::new(file.clone(), self.offset, self.size, writable)
    }

    /// Offsets of its pages.
    pub(crate) fn pages(&self) -> impl Iterator<Item = usize> + use<> {
        (0..self.size).step_by(PAGE)
    }

    /// As one word, for a command line.
    pub(crate) fn to_word(&self) -> String {
        let touch = match self.touch {
            Touch::Read => "read",
            Touch::Write => "write",
        };
        format!("{} {} {} {touch}", self.kind, self.offset, self.size)
    }

    /// From the word that [`Region::to_word`] made.
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

/// Makes a region of each kind. They stay until the file is closed.
pub(crate) fn make_all(device: &Device, queue: &CreateQueue) -> Vec<Region> {
    let entries = queue.entries as usize;
    let mut regions = vec![
        region("public-registers", PUBLIC_REGISTERS, PAGE, Touch::Read),
        region("kick", queue.kick, PAGE, Touch::Read),
        region("doorbell", queue.doorbell, PAGE, Touch::Read),
        region("status", queue.status, PAGE, Touch::Read),
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
    let size = PAGES * PAGE;
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
        ("contiguous/cached", Memory::Contiguous(Policy::Cached)),
        (
            "contiguous/write-combining",
            Memory::Contiguous(Policy::WriteCombining),
        ),
        ("contiguous/uncached", Memory::Contiguous(Policy::Uncached)),
        ("vmalloc", Memory::Vmalloc),
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

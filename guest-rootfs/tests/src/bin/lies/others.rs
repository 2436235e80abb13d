// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Mappings of the process that no lie is about. They must stay, with their bytes.

use ringbar_client::{Buffer, Device, DeviceMemory, KernelMemory, Mapping, MemoryKind};
use ringbar_client::{Part, Policy, Rights};
use ringbar_tests::page_size;

/// Mappings of the memory of a device that tells the truth.
pub(crate) struct Honest {
    buffer: Buffer,
    memory: DeviceMemory,
}

impl Honest {
    /// Makes them.
    pub(crate) fn of(device: &Device) -> Self {
        let buffer = device.create_buffer(page_size(), Rights::Read);
        let memory = device.create_device_memory(Part::Uncached, page_size(), Rights::Read);
        Self {
            buffer: buffer.expect("a window is free"),
            memory: memory.expect("a window is free"),
        }
    }

    /// Returns the mappings.
    pub(crate) fn mappings(&self) -> [&Mapping; 2] {
        [self.buffer.mapping(), self.memory.mapping()]
    }
}

/// Makes memory of the lying device's file in which the device takes no part.
pub(crate) fn kernel_memory(device: &Device) -> [KernelMemory; 2] {
    let kinds = [MemoryKind::Contiguous(Policy::Cached), MemoryKind::Vmalloc];
    kinds.map(|kind| {
        let memory = device.create_memory(kind, page_size());
        memory.expect("there is memory")
    })
}

/// Mappings with bytes that the process has written.
pub(crate) struct Written<'a> {
    mappings: Vec<&'a Mapping>,
    byte: u8,
}

impl<'a> Written<'a> {
    /// Writes to all of these mappings.
    pub(crate) fn new(mappings: impl IntoIterator<Item = &'a Mapping>) -> Self {
        let mut written = Self {
            mappings: mappings.into_iter().collect(),
            byte: 0x3c,
        };
        written.write();
        written
    }

    /// Fails unless all of them have their bytes, and takes others.
    #[track_caller]
    pub(crate) fn go_on(&mut self) {
        for mapping in &self.mappings {
            let bytes = mapping.read_bytes(0, mapping.len());
            let is_whole = bytes.iter().all(|byte| *byte == self.byte);
            assert!(is_whole, "another mapping has lost its bytes: {bytes:x?}");
        }
        self.byte = self.byte.wrapping_add(1);
        self.write();
    }

    fn write(&mut self) {
        for mapping in &self.mappings {
            mapping.write_bytes(0, &vec![self.byte; mapping.len()]);
        }
    }
}

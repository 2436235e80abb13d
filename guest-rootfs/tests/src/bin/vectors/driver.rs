// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Route A: the kernel driver, by the client library.

use ringbar_client::{
    Buffer, Device, DeviceMemory, Error, Mapping, Part as DevicePart, Queue, Rights as Allowed,
};
use ringbar_spec::ring::{Completion, Descriptor};
use ringbar_test_vectors::scene::{Backing, Part, Rights};
use ringbar_test_vectors::{Path, BATCH};
use ringbar_tests::{open, PATIENCE};

/// An open device with a queue.
pub(crate) struct Driver {
    device: Device,
    queue: Queue,
    memories: Vec<OwnedMemory>,
    /// Another file, and so another domain. Its objects live as long as it is open.
    other: Device,
}

enum OwnedMemory {
    Guest(Buffer),
    Device(DeviceMemory),
}

impl OwnedMemory {
    fn mapping(&self) -> &Mapping {
        match self {
            Self::Guest(buffer) => buffer.mapping(),
            Self::Device(range) => range.mapping(),
        }
    }
}

impl Driver {
    /// Opens the device under test.
    pub(crate) fn open() -> Self {
        let device = open();
        Self {
            queue: device.create_queue(BATCH as u32).expect("a queue is free"),
            device,
            memories: Vec::new(),
            other: open(),
        }
    }
}

impl Path for Driver {
    type Error = Error;

    fn memory(&mut self, backing: Backing, size: usize) -> Result<(), Error> {
        let rights = Allowed::ReadWrite;
        let part = DevicePart::WriteCombining;
        self.memories.push(match backing {
            Backing::Guest => OwnedMemory::Guest(self.device.create_buffer(size, rights)?),
            Backing::Device => {
                OwnedMemory::Device(self.device.create_device_memory(part, size, rights)?)
            }
        });
        Ok(())
    }

    fn window(&mut self, parts: &[Part], rights: Rights) -> Result<u16, Error> {
        let parts: Vec<_> = parts
            .iter()
            .map(|part| {
                let range = part.range.start as u64..part.range.end as u64;
                match &self.memories[part.memory] {
                    OwnedMemory::Guest(buffer) => buffer.part(range),
                    OwnedMemory::Device(device) => device.part(range),
                }
            })
            .collect();
        let rights = match rights {
            Rights::Read => Allowed::Read,
            Rights::Write => Allowed::Write,
            Rights::ReadWrite => Allowed::ReadWrite,
        };
        Ok(self.device.open_window(&parts, rights)?.number())
    }

    fn foreign_window(&mut self) -> Result<u16, Error> {
        let buffer = self.other.create_buffer(1, Allowed::ReadWrite)?;
        Ok(buffer.window())
    }

    fn close(&mut self, window: u16) -> Result<(), Error> {
        self.device.close_window(window.into())
    }

    fn write(&mut self, memory: usize, offset: usize, bytes: &[u8]) {
        self.memories[memory].mapping().write_bytes(offset, bytes);
    }

    fn read(&mut self, memory: usize, offset: usize, bytes: &mut [u8]) {
        self.memories[memory].mapping().read_into(offset, bytes);
    }

    fn run(&mut self, descriptors: &[Descriptor]) -> Result<Vec<Completion>, Error> {
        for descriptor in descriptors {
            self.queue.push(*descriptor)?;
        }
        self.queue.submit();
        self.queue.wait(descriptors.len() as u32, PATIENCE)?;
        let mut completions = Vec::new();
        while let Some(completion) = self.queue.pop()? {
            completions.push(completion);
        }
        Ok(completions)
    }
}

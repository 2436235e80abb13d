// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The objects of a file, as another process or program finds them.

use ringbar_client::{descriptors, Device, Mapping, Queue, Rights};
use ringbar_tests::{page_size, succeed};
use ringbar_uapi::ioctl::CreateQueue;

const ENTRIES: u32 = 4;
/// Mappings of a queue and a buffer.
pub(crate) const MAPPINGS: u64 = 6;

/// Returns the counts of an [`Estate`] in debugfs: its buffer has one page, each ring one.
pub(crate) fn counts() -> String {
    format!("queues 1 windows 1 buffers 1 bytes {}", 3 * page_size())
}

/// A queue and a buffer of a file.
#[derive(Clone, Copy)]
pub(crate) struct Estate {
    queue: CreateQueue,
    pub(crate) window: u16,
    offset: u64,
}

impl Estate {
    /// Number of words that describe it to another process.
    pub(crate) const WORDS: usize = 9;

    /// Makes the objects, without a mapping. They stay until the file is closed.
    pub(crate) fn make(device: &Device) -> Self {
        let queue = device.start_queue(ENTRIES).unwrap();
        let buffer = device
            .create_buffer(page_size(), Rights::ReadWrite)
            .unwrap();
        Self {
            queue,
            window: buffer.window(),
            offset: buffer.offset(),
        }
    }

    /// Returns the words that describe it.
    pub(crate) fn words(&self) -> [u64; Self::WORDS] {
        let queue: [u64; 7] = zerocopy::transmute!(self.queue);
        let mut words = [0; Self::WORDS];
        words[..7].copy_from_slice(&queue);
        words[7..].copy_from_slice(&[self.window.into(), self.offset]);
        words
    }

    /// Returns the estate with this description.
    pub(crate) fn from_words(words: [u64; Self::WORDS]) -> Self {
        let [queue @ .., window, offset] = words;
        Self {
            queue: zerocopy::transmute!(queue),
            window: window.try_into().expect("a number of a window"),
            offset,
        }
    }

    /// Maps the buffer.
    pub(crate) fn map(&self, device: &Device) -> Mapping {
        Mapping::new(device.file().clone(), self.offset, page_size(), true).unwrap()
    }

    /// Maps the queue, whose rings it empties first.
    pub(crate) fn map_queue(&self, device: &Device) -> Queue {
        device.reset_queue(self.queue.queue).unwrap();
        Queue::map(device, &self.queue).unwrap()
    }

    /// Fails unless the device fills the buffer by a descriptor of the queue, as this process sees
    /// it in mappings of its own.
    pub(crate) fn work(&self, device: &Device) {
        let bytes = self.map(device);
        bytes.write_bytes(0, &vec![0; page_size()]);
        fill(&mut self.map_queue(device), self.window);
        assert_eq!(bytes.read_bytes(0, page_size()), vec![0xff; page_size()]);
    }
}

/// Fills the first page of a window with ones.
pub(crate) fn fill(queue: &mut Queue, window: u16) {
    succeed(
        queue,
        descriptors::fill(0, u64::MAX, (window, 0), page_size() as u32),
    );
}

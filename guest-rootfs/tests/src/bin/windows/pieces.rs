// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Parts of buffers, and their expected bytes.

use crate::UNTOUCHED;
use ringbar_client::{Buffer, Device, Rights, Window};
use ringbar_tests::{expect_bytes, page_size};
use std::ops::Range;

/// Parts of several buffers, the buffers, and their expected bytes.
pub(crate) struct Pieces {
    pub(crate) buffers: Vec<Buffer>,
    parts: Vec<(usize, Range<u64>)>,
    contents: Vec<Vec<u8>>,
}

impl Pieces {
    /// Makes parts of odd lengths at odd offsets, in another order than their buffers. Some cross a
    /// page end, some are longer than the device copies in one step.
    pub(crate) fn new(device: &Device) -> Self {
        let sizes = [2 * page_size(), page_size(), 40 * page_size()];
        let page = page_size() as u64;
        let parts = vec![
            (2, 100..70_101),
            (0, page - 3..page + 4),
            (1, page - 1..page),
            (0, 5..3000),
            (2, 150_000..160_001),
        ];
        let buffers = sizes.map(|size| {
            let buffer = device.create_buffer(size, Rights::ReadWrite).unwrap();
            buffer.mapping().write_bytes(0, &vec![UNTOUCHED; size]);
            buffer
        });
        Self {
            buffers: buffers.into(),
            parts,
            contents: sizes.map(|size| vec![UNTOUCHED; size]).into(),
        }
    }

    pub(crate) fn open(&self, device: &Device, rights: Rights) -> Window {
        let parts = self.parts.iter();
        let parts: Vec<_> = parts
            .map(|(buffer, range)| self.buffers[*buffer].part(range.clone()))
            .collect();
        device.open_window(&parts, rights).unwrap()
    }

    /// Returns the length of all parts.
    pub(crate) fn length(&self) -> u64 {
        let parts = self.parts.iter();
        parts.map(|(_, range)| range.end - range.start).sum()
    }

    /// Returns buffer and offset of a byte of the window.
    pub(crate) fn place(&self, mut offset: u64) -> (usize, usize) {
        for (buffer, range) in &self.parts {
            let length = range.end - range.start;
            if offset < length {
                return (*buffer, (range.start + offset) as usize);
            }
            offset -= length;
        }
        panic!("the parts end before");
    }

    /// Returns the expected bytes of the window.
    pub(crate) fn expected(&self, offset: u64, length: u64) -> Vec<u8> {
        (offset..offset + length)
            .map(|at| {
                let (buffer, place) = self.place(at);
                self.contents[buffer][place]
            })
            .collect()
    }

    /// Records that `bytes` were written to the window.
    pub(crate) fn written(&mut self, offset: u64, bytes: &[u8]) {
        for (at, byte) in (offset..).zip(bytes) {
            let (buffer, place) = self.place(at);
            self.contents[buffer][place] = *byte;
        }
    }

    #[track_caller]
    pub(crate) fn check(&self) {
        for (number, (buffer, contents)) in self.buffers.iter().zip(&self.contents).enumerate() {
            let seen = buffer.mapping().read_bytes(0, contents.len());
            expect_bytes(format_args!("buffer {number}"), &seen, contents);
        }
    }
}

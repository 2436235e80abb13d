// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Copies whose memory is new each time, so that it comes from wherever the kernel has some.

use crate::hotplugged::Blocks;
use ringbar_client::{descriptors, Device, Mapping, Rights, Window};
use ringbar_tests::{expect_bytes, open, page_size, pattern_bytes, seed, succeed};

/// Rounds with one buffer, after which a process makes another.
const ROUNDS: usize = 10;
/// Pages of the longest copy.
const PAGES: usize = 8;
/// Bytes of a piece of memory that is to lie in a certain place.
const PIECE: usize = 1 << 20;
/// Most bytes that are taken until a piece lies there. The kernel may give others before.
const MOST: usize = 256 << 20;
const UNTOUCHED: u8 = 0xa5;

/// Copies and checks without a pause: from memory of this process to a buffer of the driver, and from
/// there to other memory of this process.
pub(crate) fn copy(another_round: &mut dyn FnMut() -> bool) {
    let mut random = fastrand::Rng::with_seed(seed());
    let device = open();
    let mut queue = device.create_queue(4).expect("a queue is free");
    let size = PAGES * page_size();
    let buffer = device.create_buffer(size, Rights::ReadWrite);
    let buffer = buffer.expect("there is memory");
    let mut rounds = 0..ROUNDS;
    while rounds.next().is_some() && another_round() {
        let [source, target] =
            [Rights::Read, Rights::Write].map(|rights| Memory::new(&device, size, rights));
        let length = random.usize(1..=size);
        let [from, over, to] = [(); 3].map(|()| random.usize(0..=size - length) as u64);
        let bytes = pattern_bytes(random.u64(..), length);
        source.memory.write_bytes(from as usize, &bytes);
        let copy = |source, target| descriptors::copy(0, source, target, length as u32);
        let way = (buffer.window(), over);
        succeed(&mut queue, copy((source.window.number(), from), way));
        succeed(&mut queue, copy(way, (target.window.number(), to)));
        let mut expected = vec![UNTOUCHED; size];
        expected[to as usize..][..length].copy_from_slice(&bytes);
        let seen = target.memory.read_bytes(0, size);
        expect_bytes("the copy", &seen, &expected);
        source.close();
        target.close();
    }
}

/// Memory of this process with a window on it.
pub(crate) struct Memory {
    memory: Mapping,
    window: Window,
}

impl Memory {
    /// Takes memory until a piece lies in one of the blocks, all of it or a part. Has the device write
    /// that piece.
    #[track_caller]
    pub(crate) fn inside(device: &Device, blocks: &Blocks) -> Self {
        let mut elsewhere = Vec::new();
        for _ in 0..MOST / PIECE {
            let memory = Mapping::anonymous(PIECE).expect("there is memory");
            let pages = (0..PIECE).step_by(page_size());
            pages.for_each(|page| memory.write(page, UNTOUCHED));
            if blocks.pages(&memory) == 0 {
                elsewhere.push(memory);
                continue;
            }
            let piece = Self::over(device, memory, Rights::ReadWrite);
            // The kernel may have moved them to pin them. From now on they stay.
            let inside = blocks.pages(&piece.memory);
            if inside > 0 {
                println!(
                    "# {inside} of {} pages are in the new memory",
                    PIECE / page_size()
                );
                piece.is_reached(device, elsewhere.len() as u64);
                return piece;
            }
            piece.window.close().expect("the window is open");
            elsewhere.push(piece.memory);
        }
        panic!("no page of {} MiB is in the new memory", MOST >> 20);
    }

    fn new(device: &Device, size: usize, rights: Rights) -> Self {
        let memory = Mapping::anonymous(size).expect("there is memory");
        memory.write_bytes(0, &vec![UNTOUCHED; size]);
        Self::over(device, memory, rights)
    }

    fn over(device: &Device, memory: Mapping, rights: Rights) -> Self {
        let window = device.open_user_window(&memory, 0..memory.len(), rights);
        Self {
            memory,
            window: window.expect("its pages can be pinned"),
        }
    }

    /// Fails unless the device writes a pattern to all of the memory, and finds it there.
    #[track_caller]
    pub(crate) fn is_reached(&self, device: &Device, seed: u64) {
        let mut queue = device.create_queue(4).expect("a queue is free");
        let (place, size) = ((self.window.number(), 0), self.memory.len());
        succeed(
            &mut queue,
            descriptors::pattern(0, seed, place, size as u32),
        );
        let seen = self.memory.read_bytes(0, size);
        expect_bytes("the new memory", &seen, &pattern_bytes(seed, size));
        succeed(&mut queue, descriptors::verify(0, seed, place, size as u32));
        queue.close().expect("the queue is there");
    }

    /// Gives the pages back.
    pub(crate) fn close(self) {
        self.window.close().expect("the window is open");
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A second process, with memory of every kind and a busy queue, which the attacker must not
//! change.

use crate::ground::SIZE;
use ringbar_client::{descriptors, Device, Mapping, MemoryKind, Part, Policy, Queue, Rights};
use ringbar_spec::pattern::word;
use ringbar_tests::fork::{self, Fork};
use ringbar_tests::{open, succeed};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;

/// The second process.
#[derive(Debug)]
pub(crate) struct Victim {
    process: Fork,
    line: UnixStream,
    windows: Vec<u16>,
    queue: u32,
}

impl Victim {
    /// Starts the process. The calling process must have one thread.
    pub(crate) fn start(seed: u64) -> Self {
        let (line, theirs) = UnixStream::pair().expect("a pair of sockets");
        let process = fork::start(move || suffer(theirs, !seed));
        let mut numbers = [0; 4];
        for number in &mut numbers {
            let mut bytes = [0; 4];
            (&line)
                .read_exact(&mut bytes)
                .expect("the victim has set up");
            *number = u32::from_ne_bytes(bytes);
        }
        let [queue, windows @ ..] = numbers;
        Self {
            process,
            line,
            windows: windows.map(|window| window as u16).to_vec(),
            queue,
        }
    }

    /// Returns the numbers of the victim's windows.
    pub(crate) fn windows(&self) -> &[u16] {
        &self.windows
    }

    /// Returns the number of the victim's queue.
    pub(crate) fn queue(&self) -> u32 {
        self.queue
    }

    /// Ends the process. Fails if it found its memory or its queue changed.
    pub(crate) fn assert_untouched(self) {
        // A byte, because the child holds both ends of the pair: it would not notice if this end
        // closed.
        (&self.line).write_all(&[0]).expect("the victim listens");
        let end = self.process.end();
        assert!(
            end.success(),
            "the victim found its memory or queue changed: {end}"
        );
    }
}

/// Returns the bytes of the pattern of `seed`.
pub(crate) fn pattern(seed: u64, length: usize) -> Vec<u8> {
    let words = (0..length.div_ceil(8) as u64).flat_map(|index| word(seed, index).to_le_bytes());
    words.take(length).collect()
}

/// Runs the victim: works until the parent sends a byte. Returns whether all its memory is
/// unchanged.
fn suffer(line: UnixStream, seed: u64) -> bool {
    let device = open();
    let mut queue = device.create_queue(8).expect("a queue is free");
    let buffer = device
        .create_buffer(SIZE, Rights::ReadWrite)
        .expect("there is memory");
    let scratch = device
        .create_buffer(SIZE, Rights::ReadWrite)
        .expect("there is memory");
    let range = device
        .create_device_memory(Part::Uncached, SIZE, Rights::ReadWrite)
        .expect("there is device memory");
    let [contiguous, vmalloc] = [MemoryKind::Contiguous(Policy::Cached), MemoryKind::Vmalloc]
        .map(|kind| memory(&device, kind));
    let mine = [
        buffer.mapping(),
        range.mapping(),
        contiguous.mapping(),
        vmalloc.mapping(),
    ];
    let before = pattern(seed, SIZE);
    mine.iter().for_each(|it| it.write_bytes(0, &before));
    for number in [
        queue.number(),
        buffer.window().into(),
        range.window().into(),
        scratch.window().into(),
    ] {
        (&line)
            .write_all(&number.to_ne_bytes())
            .expect("the parent listens");
    }
    line.set_nonblocking(true)
        .expect("a socket can be non-blocking");
    loop {
        work(
            &mut queue,
            buffer.window(),
            scratch.window(),
            scratch.mapping(),
            &before,
        );
        match (&line).read(&mut [0]) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            _ => break,
        }
    }
    mine.iter().all(|it| it.read_bytes(0, SIZE) == before)
}

fn memory(device: &Device, kind: MemoryKind) -> ringbar_client::KernelMemory {
    device.create_memory(kind, SIZE).expect("there is memory")
}

/// Makes one copy and compares its bytes.
fn work(queue: &mut Queue, from: u16, to: u16, seen: &Mapping, expected: &[u8]) {
    const LENGTH: usize = 4099;
    seen.write_bytes(0, &[0; LENGTH]);
    let descriptor = descriptors::copy(0, (from, 0), (to, 0), LENGTH as u32);
    succeed(queue, descriptor);
    assert_eq!(seen.read_bytes(0, LENGTH), expected[..LENGTH]);
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Windows on parts of buffers: what they show, what they do not, and how they and what they show go.

use ringbar_client::{Buffer, Device, DeviceMemory, Error, Mapping, Part, Queue, Rights, Window};
use ringbar_spec::pattern;
use ringbar_spec::ring::{Completion, Descriptor, Opcode, Status};
use ringbar_tests::{carry_out, fork, open, run, seed, succeed, PATIENCE};
use ringbar_uapi::ioctl::{WindowPart, MAX_PARTS};
use rustix::io::Errno;
use std::fs;
use std::io::{Read, Write};
use std::ops::Range;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitCode;

const PAGE: usize = 4096;
/// Largest buffer, four of which are the longest copy.
const LARGEST: usize = 4 << 20;
/// Longest copy in bytes.
const LONGEST: u32 = 16 << 20;
const UNTOUCHED: u8 = 0xa5;
/// Signal number on x86-64 (Linux `arch/x86/include/uapi/asm/signal.h`).
const SIGBUS: i32 = 7;
const DEVICE_PARTS: [Part; 3] = [Part::WriteCombining, Part::Uncached, Part::Lazy];

fn main() -> ExitCode {
    run(&[
        (
            "device_writes_parts_in_their_order_and_nothing_else",
            device_writes_parts_in_their_order,
        ),
        (
            "copies_across_parts_move_just_the_bytes_asked_for",
            copies_across_parts,
        ),
        (
            "window_has_as_many_parts_as_allowed",
            window_has_as_many_parts_as_allowed,
        ),
        (
            "window_on_device_memory_shows_its_part_alone",
            window_on_device_memory,
        ),
        (
            "window_has_its_own_rights_not_those_of_its_buffer",
            window_has_its_own_rights,
        ),
        (
            "rights_that_a_buffer_lacks_are_refused",
            rights_that_a_buffer_lacks,
        ),
        (
            "part_that_leaves_its_buffer_is_refused",
            part_that_leaves_its_buffer,
        ),
        (
            "device_memory_is_not_mixed_with_anything",
            device_memory_is_not_mixed,
        ),
        (
            "part_of_what_is_no_buffer_of_the_file_is_refused",
            part_of_no_buffer,
        ),
        (
            "offset_beyond_all_parts_is_out_of_bounds",
            offset_beyond_all_parts,
        ),
        ("closed_window_is_a_bad_window", closed_window_is_bad),
        (
            "only_a_window_that_was_opened_can_be_closed",
            only_an_opened_window_can_be_closed,
        ),
        (
            "destroyed_buffer_takes_its_windows_along_and_no_others",
            destroyed_buffer_takes_its_windows,
        ),
        (
            "mapping_of_a_destroyed_buffer_gives_sigbus",
            mapping_of_a_destroyed_buffer,
        ),
        (
            "mapping_of_destroyed_device_memory_gives_sigbus",
            mapping_of_destroyed_device_memory,
        ),
        (
            "destroyed_buffer_cannot_be_mapped_or_destroyed_again",
            destroyed_buffer_is_unknown,
        ),
        (
            "next_owner_of_a_destroyed_buffer_finds_zeros",
            next_owner_finds_zeros,
        ),
        (
            "buffer_destroyed_during_a_long_copy_is_not_written_afterwards",
            destroyed_during_a_long_copy,
        ),
        (
            "buffers_and_windows_can_be_made_and_destroyed_without_end",
            made_and_destroyed_without_end,
        ),
    ])
}

/// Parts of several buffers, the buffers, and what is in them.
struct Pieces {
    buffers: Vec<Buffer>,
    parts: Vec<(usize, Range<u64>)>,
    contents: Vec<Vec<u8>>,
}

impl Pieces {
    /// Parts of odd length at odd places, not in the order of their buffers, over page ends and
    /// longer than the device copies in one go.
    fn new(device: &Device) -> Self {
        let sizes = [2 * PAGE, PAGE, 40 * PAGE];
        let parts = vec![
            (2, 100..70_101),
            (0, 4093..4100),
            (1, 4095..4096),
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

    fn open(&self, device: &Device, rights: Rights) -> Window {
        let parts = self.parts.iter();
        let parts: Vec<_> = parts
            .map(|(buffer, range)| self.buffers[*buffer].part(range.clone()))
            .collect();
        device.open_window(&parts, rights).unwrap()
    }

    /// Length of all parts.
    fn length(&self) -> u64 {
        let parts = self.parts.iter();
        parts.map(|(_, range)| range.end - range.start).sum()
    }

    /// Buffer and place of a byte of the window.
    fn place(&self, mut offset: u64) -> (usize, usize) {
        for (buffer, range) in &self.parts {
            let length = range.end - range.start;
            if offset < length {
                return (*buffer, (range.start + offset) as usize);
            }
            offset -= length;
        }
        panic!("the parts end before");
    }

    /// Bytes of the window, as they ought to be.
    fn expected(&self, offset: u64, length: u64) -> Vec<u8> {
        (offset..offset + length)
            .map(|at| {
                let (buffer, place) = self.place(at);
                self.contents[buffer][place]
            })
            .collect()
    }

    /// Notes that `bytes` were written to the window.
    fn written(&mut self, offset: u64, bytes: &[u8]) {
        for (at, byte) in (offset..).zip(bytes) {
            let (buffer, place) = self.place(at);
            self.contents[buffer][place] = *byte;
        }
    }

    #[track_caller]
    fn check(&self) {
        for (buffer, contents) in self.buffers.iter().zip(&self.contents) {
            assert!(buffer.mapping().read_bytes(0, contents.len()) == *contents);
        }
    }
}

fn pattern_bytes(seed: u64, length: u64) -> Vec<u8> {
    (0..length)
        .map(|offset| pattern::byte(seed, offset))
        .collect()
}

fn fill(window: u16, offset: u64, length: u32) -> Descriptor {
    Descriptor {
        opcode: Opcode::FILL.0,
        length,
        destination_window: window,
        destination_offset: offset,
        operand: u64::MAX,
        ..Default::default()
    }
}

fn copy(source: (u16, u64), destination: (u16, u64), length: u32) -> Descriptor {
    Descriptor {
        opcode: Opcode::COPY.0,
        length,
        source_window: source.0,
        source_offset: source.1,
        destination_window: destination.0,
        destination_offset: destination.1,
        ..Default::default()
    }
}

#[track_caller]
fn ends_with(queue: &mut Queue, descriptor: Descriptor, status: Status) {
    let completion = carry_out(queue, descriptor);
    assert_eq!(Status(completion.status), status, "{descriptor:?}");
}

#[track_caller]
fn refused<T>(result: Result<T, Error>, errno: Errno) {
    let error = result.err().expect("the call is refused");
    assert_eq!(error.errno(), Some(errno), "{error}");
}

fn device_writes_parts_in_their_order() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    let mut pieces = Pieces::new(&device);
    let window = pieces.open(&device, Rights::Write);
    let seed = seed();
    println!("# seed {seed:#x}");

    succeed(
        &mut queue,
        Descriptor {
            opcode: Opcode::PATTERN.0,
            length: pieces.length() as u32,
            destination_window: window.number(),
            operand: seed,
            ..Default::default()
        },
    );

    pieces.written(0, &pattern_bytes(seed, pieces.length()));
    pieces.check();
}

fn copies_across_parts() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    let mut pieces = Pieces::new(&device);
    let window = pieces.open(&device, Rights::ReadWrite).number();
    let whole = pieces.length();
    let plain = device
        .create_buffer(whole as usize, Rights::ReadWrite)
        .unwrap();
    let mut seed = seed();
    println!("# seed {seed:#x}");
    let mut random = move |below: u64| {
        // xorshift64 (Marsaglia): any sequence will do that can be repeated.
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };

    for round in 0..100 {
        // Every third is short and about a seam of the parts.
        let (offset, longest) = match round % 3 {
            0 => (70_001 - 1 - random(8), 16),
            _ => (random(whole), whole),
        };
        let length = 1 + random((whole - offset).min(longest));
        let bytes = pattern_bytes(round, length);
        plain.mapping().write_bytes(0, &bytes);
        let into = copy((plain.window(), 0), (window, offset), length as u32);
        succeed(&mut queue, into);
        pieces.written(offset, &bytes);

        let offset = random(whole);
        let length = 1 + random(whole - offset);
        let out = copy((window, offset), (plain.window(), 0), length as u32);
        succeed(&mut queue, out);
        let seen = plain.mapping().read_bytes(0, length as usize);
        assert!(seen == pieces.expected(offset, length), "{out:?}");
    }
    pieces.check();
}

fn window_has_as_many_parts_as_allowed() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    let buffer = device.create_buffer(PAGE, Rights::Read).unwrap();
    let seen = device.create_buffer(PAGE, Rights::Write).unwrap();
    buffer
        .mapping()
        .write_bytes(0, &pattern_bytes(1, PAGE as u64));
    let last = u64::from(MAX_PARTS) - 1;
    let backwards = |count| (0..count).map(|at| buffer.part(last - at % 64..last - at % 64 + 1));

    let parts: Vec<_> = backwards(last + 1).collect();
    let window = device.open_window(&parts, Rights::Read).unwrap();
    let out = copy((window.number(), 0), (seen.window(), 0), MAX_PARTS);
    succeed(&mut queue, out);
    let mut expected = pattern_bytes(1, MAX_PARTS.into());
    expected.reverse();
    assert_eq!(seen.mapping().read_bytes(0, MAX_PARTS as usize), expected);

    let parts: Vec<_> = backwards(last + 2).collect();
    refused(device.open_window(&parts, Rights::Read), Errno::INVAL);
    refused(device.open_window(&[], Rights::Read), Errno::INVAL);
}

fn window_on_device_memory() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    for part in DEVICE_PARTS {
        let memory = device
            .create_device_memory(part, 2 * PAGE, Rights::ReadWrite)
            .unwrap();
        memory.mapping().write_bytes(0, &[UNTOUCHED; 2 * PAGE]);
        let window = device
            .open_window(&[memory.part(4001..4302)], Rights::Write)
            .unwrap();

        succeed(&mut queue, fill(window.number(), 0, 301));
        ends_with(
            &mut queue,
            fill(window.number(), 1, 301),
            Status::OUT_OF_BOUNDS,
        );

        let mut expected = [UNTOUCHED; 2 * PAGE];
        expected[4001..4302].fill(0xff);
        assert!(
            memory.mapping().read_bytes(0, 2 * PAGE) == expected,
            "{part:?}"
        );
    }
}

fn window_has_its_own_rights() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    let buffer = device.create_buffer(PAGE, Rights::ReadWrite).unwrap();
    let all = [buffer.part(0..PAGE as u64)];
    let reading = device.open_window(&all, Rights::Read).unwrap().number();
    let writing = device.open_window(&all, Rights::Write).unwrap().number();

    let into_reading = copy((writing, 0), (reading, 0), 8);
    ends_with(&mut queue, into_reading, Status::NOT_READABLE);
    ends_with(&mut queue, fill(reading, 0, 8), Status::NOT_WRITABLE);
    succeed(&mut queue, fill(writing, 0, 8));
    succeed(&mut queue, copy((reading, 0), (writing, 8), 8));
    succeed(&mut queue, fill(buffer.window(), 16, 8));

    assert_eq!(buffer.mapping().read_bytes(0, 24), [0xff; 24]);
}

fn rights_that_a_buffer_lacks() {
    let device = open();
    let memory = |rights| device.create_device_memory(Part::Uncached, PAGE, rights);
    for (given, wanted) in [
        (Rights::Read, Rights::Write),
        (Rights::Read, Rights::ReadWrite),
        (Rights::Write, Rights::Read),
        (Rights::Write, Rights::ReadWrite),
    ] {
        let buffer = device.create_buffer(PAGE, given).unwrap();
        let full = device.create_buffer(PAGE, Rights::ReadWrite).unwrap();
        let parts = [full.part(0..8), buffer.part(0..8)];
        refused(device.open_window(&parts, wanted), Errno::ACCESS);
        device.open_window(&parts, given).unwrap();
        let memory = memory(given).unwrap();
        let parts = [memory.part(0..8)];
        refused(device.open_window(&parts, wanted), Errno::ACCESS);
        device.open_window(&parts, given).unwrap();
    }
}

fn part_that_leaves_its_buffer() {
    let device = open();
    let buffer = device.create_buffer(PAGE, Rights::Read).unwrap();
    let memory = device
        .create_device_memory(Part::Lazy, PAGE, Rights::Read)
        .unwrap();
    let size = PAGE as u64;
    for (offset, length) in [
        (0, 0),
        (0, size + 1),
        (1, size),
        (size, 0),
        (size, 1),
        (size - 1, 2),
        (0, u64::MAX),
        (1, u64::MAX),
        (size, u64::MAX - size + 1),
        (u64::MAX, 1),
        (u64::MAX - 7, 16),
        (u64::MAX - size + 1, size),
        (1 << 63, 1 << 63),
    ] {
        for own in [buffer.window(), memory.window()] {
            let bad = WindowPart {
                buffer: own.into(),
                offset,
                length,
                ..Default::default()
            };
            refused(device.open_window(&[bad], Rights::Read), Errno::INVAL);
            let good = buffer.part(0..1);
            refused(device.open_window(&[good, bad], Rights::Read), Errno::INVAL);
        }
    }
    let whole = [buffer.part(0..size)];
    device.open_window(&whole, Rights::Read).unwrap();
}

fn device_memory_is_not_mixed() {
    let device = open();
    let buffer = device.create_buffer(PAGE, Rights::Read).unwrap();
    let memory = device
        .create_device_memory(Part::WriteCombining, PAGE, Rights::Read)
        .unwrap();
    for parts in [
        [memory.part(0..8), memory.part(8..16)],
        [memory.part(0..8), buffer.part(0..8)],
        [buffer.part(0..8), memory.part(0..8)],
    ] {
        refused(device.open_window(&parts, Rights::Read), Errno::INVAL);
    }
}

fn part_of_no_buffer() {
    let device = open();
    let other = open();
    let foreign = other.create_buffer(PAGE, Rights::Read).unwrap();
    let foreign_memory = other
        .create_device_memory(Part::Uncached, PAGE, Rights::Read)
        .unwrap();
    let own = device.create_buffer(PAGE, Rights::Read).unwrap();
    let view = device.open_window(&[own.part(0..8)], Rights::Read).unwrap();

    for number in [
        0,
        foreign.window().into(),
        foreign_memory.window().into(),
        view.number().into(),
        u32::from(u16::MAX),
        // The low bits are a buffer's.
        1 << 16 | u32::from(own.window()),
        u32::MAX,
    ] {
        let part = WindowPart {
            buffer: number,
            length: 8,
            ..Default::default()
        };
        refused(device.open_window(&[part], Rights::Read), Errno::NXIO);
        refused(
            device.open_window(&[own.part(0..8), part], Rights::Read),
            Errno::NXIO,
        );
        refused(device.destroy_buffer(number), Errno::NXIO);
    }
    refused(device.close_window(foreign.window().into()), Errno::NXIO);
    assert_eq!(foreign.mapping().read::<u8>(0), 0);
    other.destroy_buffer(foreign.window().into()).unwrap();
}

fn offset_beyond_all_parts() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    let pieces = Pieces::new(&device);
    let window = pieces.open(&device, Rights::ReadWrite).number();
    let length = pieces.length();
    for (offset, bytes) in [
        (length, 1),
        (length - 7, 8),
        (0, length as u32 + 1),
        (u64::MAX, 1),
        (u64::MAX - 6, 8),
        (1 << 63, 8),
    ] {
        ends_with(
            &mut queue,
            fill(window, offset, bytes),
            Status::OUT_OF_BOUNDS,
        );
    }
    pieces.check();
}

fn closed_window_is_bad() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    let pieces = Pieces::new(&device);
    let window = pieces.open(&device, Rights::Write);
    let number = window.number();
    let again = pieces.open(&device, Rights::Write);

    window.close().unwrap();
    ends_with(&mut queue, fill(number, 0, 8), Status::BAD_WINDOW);
    pieces.check();
    refused(device.close_window(number.into()), Errno::NXIO);
    // Neither another window on the same nor those of the buffers went with it.
    succeed(&mut queue, fill(again.number(), 0, 8));
    succeed(&mut queue, fill(pieces.buffers[0].window(), 0, 8));
}

fn only_an_opened_window_can_be_closed() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    let buffer = device.create_buffer(PAGE, Rights::Write).unwrap();
    let number = u32::from(buffer.window());
    for number in [number, number | 1 << 16, 0, u32::MAX] {
        refused(device.close_window(number), Errno::NXIO);
    }
    succeed(&mut queue, fill(buffer.window(), 0, 8));
}

fn destroyed_buffer_takes_its_windows() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    let kept = device.create_buffer(PAGE, Rights::Write).unwrap();
    let buffer = device.create_buffer(PAGE, Rights::Write).unwrap();
    let alone = device.open_window(&[buffer.part(0..8)], Rights::Write);
    let both = device.open_window(&[kept.part(0..8), buffer.part(0..8)], Rights::Write);
    let other = device.open_window(&[kept.part(0..8)], Rights::Write);
    let [alone, both, other] = [alone, both, other].map(|window| window.unwrap().number());
    let own = buffer.window();

    buffer.close().unwrap();

    for gone in [own, alone, both] {
        ends_with(&mut queue, fill(gone, 0, 8), Status::BAD_WINDOW);
    }
    refused(device.close_window(both.into()), Errno::NXIO);
    assert_eq!(kept.mapping().read::<u64>(0), 0);
    succeed(&mut queue, fill(other, 0, 8));
    succeed(&mut queue, fill(kept.window(), 8, 8));
    assert_eq!(kept.mapping().read_bytes(0, 16), [0xff; 16]);
}

/// Whether a process that touches the mapping now dies of it.
#[track_caller]
fn assert_gone(mapping: &Mapping) {
    let status = fork::run(|| {
        mapping.read::<u8>(0);
        true
    });
    assert_eq!(status.signal(), Some(SIGBUS), "{status}");
}

/// Destroys what `mapping` shows while this process and a child have it mapped and have touched it.
fn gone_everywhere(mapping: &Mapping, destroy: impl FnOnce()) {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    mapping.read::<u8>(0);
    let child = fork::start(|| {
        mapping.read::<u8>(0);
        (&theirs).write_all(b"touched").unwrap();
        (&theirs).read_exact(&mut [0]).unwrap();
        mapping.read::<u8>(0);
        true
    });
    // A child that ends too early is not waited for.
    drop(theirs);
    ours.read_exact(&mut [0; 7]).unwrap();
    destroy();
    ours.write_all(b"!").unwrap();
    let status = child.end();
    assert_eq!(status.signal(), Some(SIGBUS), "{status}");
    // The pages of this process are what a child of now inherits.
    assert_gone(mapping);
}

fn mapping_of_a_destroyed_buffer() {
    let device = open();
    let neighbours = [(); 2].map(|()| device.create_buffer(PAGE, Rights::Read).unwrap());
    let buffer = device.create_buffer(3 * PAGE, Rights::Read).unwrap();
    let part = map(&device, buffer.offset() + 2 * PAGE as u64);
    gone_everywhere(&part, || {
        assert_eq!(fork::run(|| part.read::<u8>(0) == 0).code(), Some(0));
        buffer.close().unwrap();
    });
    for neighbour in neighbours {
        assert_eq!(neighbour.mapping().read::<u8>(0), 0);
    }
}

fn mapping_of_destroyed_device_memory() {
    for part in DEVICE_PARTS {
        let device = open();
        let neighbour = device
            .create_device_memory(part, PAGE, Rights::Read)
            .unwrap();
        let memory = device
            .create_device_memory(part, PAGE, Rights::Read)
            .unwrap();
        let mapping = map(&device, memory.offset());
        gone_everywhere(&mapping, || memory.close().unwrap());
        assert_eq!(neighbour.mapping().read::<u8>(0), 0);
    }
}

/// One page of the device's file, mapped.
fn map(device: &Device, offset: u64) -> Mapping {
    Mapping::new(device.file().clone(), offset, PAGE, true).unwrap()
}

fn destroyed_buffer_is_unknown() {
    let device = open();
    let buffer = device.create_buffer(PAGE, Rights::Read).unwrap();
    let (window, offset, part) = (buffer.window(), buffer.offset(), buffer.part(0..8));
    buffer.close().unwrap();
    let mapped = Mapping::new(device.file().clone(), offset, PAGE, true);
    refused(mapped, Errno::PERM);
    refused(device.destroy_buffer(window.into()), Errno::NXIO);
    refused(device.open_window(&[part], Rights::Read), Errno::NXIO);
}

fn next_owner_finds_zeros() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    for part in [None, Some(0), Some(1), Some(2)] {
        let own = match part {
            None => Own::buffer(&device),
            Some(part) => Own::memory(&device, DEVICE_PARTS[part]),
        };
        let number = own.window();
        succeed(&mut queue, fill(number, 0, LARGEST as u32 / 4));
        own.close();
        // Somebody else gets the number, and what may be the same memory.
        let other = open();
        let next = match part {
            None => Own::buffer(&other),
            Some(part) => Own::memory(&other, DEVICE_PARTS[part]),
        };
        assert_eq!(next.window(), number);
        assert!(next.is_zero(), "{part:?}");
        ends_with(&mut queue, fill(number, 0, 8), Status::BAD_WINDOW);
        assert!(next.is_zero(), "{part:?}");
    }
}

/// What a file can own and give back, a quarter of the largest buffer in size.
enum Own {
    Buffer(Buffer),
    Memory(DeviceMemory),
}

impl Own {
    const SIZE: usize = LARGEST / 4;

    fn buffer(device: &Device) -> Self {
        Self::Buffer(device.create_buffer(Self::SIZE, Rights::ReadWrite).unwrap())
    }

    fn memory(device: &Device, part: Part) -> Self {
        let memory = device.create_device_memory(part, Self::SIZE, Rights::ReadWrite);
        Self::Memory(memory.unwrap())
    }

    fn window(&self) -> u16 {
        match self {
            Self::Buffer(buffer) => buffer.window(),
            Self::Memory(memory) => memory.window(),
        }
    }

    fn mapping(&self) -> &Mapping {
        match self {
            Self::Buffer(buffer) => buffer.mapping(),
            Self::Memory(memory) => memory.mapping(),
        }
    }

    fn is_zero(&self) -> bool {
        let bytes = self.mapping().read_bytes(0, Self::SIZE);
        bytes.iter().all(|byte| *byte == 0)
    }

    fn close(self) {
        match self {
            Self::Buffer(buffer) => buffer.close().unwrap(),
            Self::Memory(memory) => memory.close().unwrap(),
        }
    }
}

fn destroyed_during_a_long_copy() {
    let device = open();
    let mut queue = device.create_queue(16).unwrap();
    let mut broken_off = 0;
    for round in 0..20 {
        let buffer = device.create_buffer(LARGEST, Rights::ReadWrite).unwrap();
        let whole = buffer.part(0..LARGEST as u64);
        let window = device.open_window(&[whole; 4], Rights::Write).unwrap();
        for tag in 0..8 {
            let fill = fill(window.number(), 0, LONGEST);
            queue.push(Descriptor { tag, ..fill }).unwrap();
        }
        queue.submit();
        if round % 2 == 0 {
            // With the first done, the others are on their way.
            queue.wait(1, PATIENCE).unwrap();
        }
        buffer.close().unwrap();

        // What was its memory is somebody else's from here on, and is not written.
        let next = [(); 2].map(|()| device.create_buffer(LARGEST, Rights::Read).unwrap());
        queue.wait(8, PATIENCE).unwrap();
        let completions: Vec<Completion> = (0..8)
            .map(|_| queue.pop().unwrap().expect("it was waited for"))
            .collect();
        // First those that were carried out, then one at most that was not to its end, then those
        // that had no window any more, or under its number a new buffer's, which is too short.
        let statuses: Vec<_> = completions.iter().map(|done| Status(done.status)).collect();
        let rest = statuses.iter().skip_while(|status| **status == Status::OK);
        let rest: Vec<_> = rest.collect();
        let (aborted, closed) = match rest.split_first() {
            Some((first, others)) if **first == Status::ABORTED => (1, others),
            _ => (0, &rest[..]),
        };
        assert!(
            closed
                .iter()
                .all(|status| matches!(**status, Status::BAD_WINDOW | Status::OUT_OF_BOUNDS)),
            "{statuses:?}"
        );
        broken_off += aborted;
        for buffer in next {
            let bytes = buffer.mapping().read_bytes(0, LARGEST);
            assert!(bytes.iter().all(|byte| *byte == 0));
            buffer.close().unwrap();
        }
    }
    println!("# {broken_off} of 20 broken off while they were carried out");
}

fn made_and_destroyed_without_end() {
    let device = open();
    // More often than the device has windows.
    let before = usage();
    for _ in 0..2000 {
        let buffer = device.create_buffer(PAGE, Rights::ReadWrite).unwrap();
        let window = device.open_window(&[buffer.part(1..9)], Rights::Read);
        window.unwrap().close().unwrap();
        device
            .open_window(&[buffer.part(1..9)], Rights::Write)
            .unwrap();
        buffer.close().unwrap();
    }
    assert_eq!(usage(), before);
}

fn usage() -> String {
    fs::read_to_string("/sys/kernel/debug/ringbar0/usage").expect("debugfs is mounted")
}

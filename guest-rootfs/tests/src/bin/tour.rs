// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A tour for people, from the first register to an interrupt. Each case reads its facts back from
//! the device, the kernel or the process's own mappings, and fails if they are wrong.

use ringbar_client::{descriptors, Buffer, Device, Mapping, Part, Queue, Rights};
use ringbar_spec::regs::{IDENT, SCRATCH};
use ringbar_spec::ring::{Completion, Descriptor, Opcode, Status};
use ringbar_spec::{ids, pattern};
use ringbar_tests::{
    case, debugfs, hex, open, page_size, pattern_bytes, run, seed, with_event, Chapter,
    PciFunction, PATIENCE,
};
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use zerocopy::FromBytes;

const ENTRIES: u32 = 8;
/// Range that the device writes, within [`SHOWN`].
const WRITTEN: Range<usize> = 0x104..0x11c;
/// Range of the buffer in the dump, with untouched bytes on both sides.
const SHOWN: Range<usize> = 0x100..0x120;
/// Range of the buffer that the device copies its memory to.
const COPIED: Range<usize> = 0x200..0x210;
/// Tag of the descriptor. The completion must have it, too.
const TAG: u32 = 0x5eed;

fn main() -> ExitCode {
    run()
}

#[case]
fn register_keeps_stores_through_the_mapping() {
    let mut chapter = Chapter::new("registers");
    let registers = open()
        .map_public_registers()
        .expect("root may map the public registers");
    let bar = PciFunction::under_test().bar(0);
    mapped(
        &mut chapter,
        &registers,
        &format!("BAR 0, {:#x} on the bus", bar.start()),
    );

    let ident: u32 = registers.read(IDENT::INFO.offset);
    let bytes = ident.to_le_bytes();
    let name = String::from_utf8_lossy(&bytes);
    chapter.tell(format_args!(
        "IDENT    reads {ident:#010x}, the bytes {name}"
    ));
    assert_eq!(ident, ids::IDENT, "this is not the device's identity");

    let place = SCRATCH::INFO.offset;
    let before: u64 = registers.read(place);
    let stored = pattern::word(seed(), 0);
    registers.write(place, stored);
    let after: u64 = registers.read(place);
    chapter.tell(format_args!("SCRATCH  read  {before:#018x}"));
    chapter.tell(format_args!("         reads {after:#018x} after a store"));
    assert_eq!(
        after, stored,
        "SCRATCH reads {after:#x} after a store of {stored:#x}"
    );
}

#[case]
fn device_memory_keeps_stores_through_the_mapping() {
    let mut chapter = Chapter::new("device memory");
    let memory = open()
        .create_device_memory(Part::Uncached, page_size(), Rights::Read)
        .expect("device memory is free");
    let mapping = memory.mapping();
    let bar = PciFunction::under_test().bar(2);
    let on_bus = format!("in BAR 2, {:#x} on the bus", bar.start());
    mapped(&mut chapter, mapping, &on_bus);

    let stored = pattern_bytes(seed(), 16);
    chapter.dump("before", 0, &mapping.read_bytes(0, stored.len()));
    mapping.write_bytes(0, &stored);
    let after = mapping.read_bytes(0, stored.len());
    chapter.dump("after", 0, &after);
    assert_eq!(after, stored, "device memory lost what the process stored");
}

#[case]
fn mapping_shows_bytes_that_the_device_writes_by_dma() {
    let mut chapter = Chapter::new("DMA");
    let device = open();
    let mut queue = device.create_queue(ENTRIES).expect("a queue is free");
    let rings = Rings::map(&queue);
    let buffer = buffer(&device);
    mapped(&mut chapter, &rings.submission, "");
    mapped(&mut chapter, &rings.completion, "");
    mapped(
        &mut chapter,
        buffer.mapping(),
        &format!("window {} to the device", buffer.window()),
    );

    let before = buffer.mapping().read_bytes(0, page_size());
    let seed = seed();
    queue
        .push(descriptors::pattern(
            TAG,
            seed,
            (buffer.window(), WRITTEN.start as u64),
            WRITTEN.len() as u32,
        ))
        .expect("the ring has room");
    let descriptor = rings.descriptor(0);
    chapter.tell(format_args!(
        "descriptor 0: {} of seed {}, {} bytes to window {} at +{:#x}",
        name(Opcode::ALL, Opcode(descriptor.opcode)),
        descriptor.operand,
        descriptor.length,
        descriptor.destination_window,
        descriptor.destination_offset
    ));
    chapter.dump("before", SHOWN.start, &before[SHOWN]);

    queue.submit();
    let waited = queue.wait(1, PATIENCE);
    waited.expect("the device completes the descriptor");
    let after = buffer.mapping().read_bytes(0, page_size());
    chapter.dump("after", SHOWN.start, &after[SHOWN]);
    rings.completed(&mut chapter);

    let pattern = pattern_bytes(seed, WRITTEN.len());
    assert_written(&before, &after, &pattern, WRITTEN);
}

#[case]
fn interrupt_announces_a_copy_out_of_device_memory() {
    let mut chapter = Chapter::new("interrupt");
    let device = open();
    let (mut queue, event) = with_event(&device);
    let rings = Rings::map(&queue);
    let memory = device
        .create_device_memory(Part::Uncached, page_size(), Rights::Read)
        .expect("device memory is free");
    let buffer = buffer(&device);
    let stored = pattern_bytes(seed(), COPIED.len());
    memory.mapping().write_bytes(0, &stored);
    let before = buffer.mapping().read_bytes(0, page_size());
    let copy = descriptors::copy(
        TAG,
        (memory.window(), 0),
        (buffer.window(), COPIED.start as u64),
        COPIED.len() as u32,
    );

    queue.push(copy).expect("the ring has room");
    let descriptor = rings.descriptor(0);
    chapter.tell(format_args!(
        "descriptor 0: {}, {} bytes of device memory to window {} at +{:#x}",
        name(Opcode::ALL, Opcode(descriptor.opcode)),
        descriptor.length,
        descriptor.destination_window,
        descriptor.destination_offset
    ));
    chapter.dump("before", COPIED.start, &before[COPIED]);
    // Armed before the device knows of the descriptor, so that the interrupt comes in any case.
    assert!(queue.arm(1).expect("the queue runs"));
    let interrupts = Interrupts::now();
    queue.submit();
    let signals = signals(&event);
    let grown = Interrupts::now().since(interrupts);
    let after = buffer.mapping().read_bytes(0, page_size());
    chapter.dump("after", COPIED.start, &after[COPIED]);
    rings.completed(&mut chapter);
    for (row, before, after) in &grown {
        chapter.tell(format_args!(
            "/proc/interrupts {row}: {before} before, {after} after"
        ));
    }
    chapter.tell(format_args!(
        "eventfd of the queue: signalled, count {signals}"
    ));

    assert!(
        !grown.is_empty(),
        "no row of ringbar in /proc/interrupts has grown"
    );
    assert_written(&before, &after, &stored, COPIED);
}

/// Shows the address of a mapping, and its kind and policy from driver and page table.
fn mapped(chapter: &mut Chapter, mapping: &Mapping, what: &str) {
    let address = mapping.as_ptr().addr();
    let (owner, kind, policy) = debugfs::RINGBAR.line(address);
    assert_eq!(owner, std::process::id(), "another process's mapping");
    let separator = if what.is_empty() { "" } else { ": " };
    chapter.tell(format_args!(
        "mapped   {address:#x}  {kind}, {policy}{separator}{what}"
    ));
}

/// Makes a buffer that the device may write.
fn buffer(device: &Device) -> Buffer {
    let buffer = device.create_buffer(page_size(), Rights::Write);
    buffer.expect("there is memory for a buffer")
}

/// Fails unless the device changed `range` to `expected`, and no other byte of the buffer.
#[track_caller]
fn assert_written(before: &[u8], after: &[u8], expected: &[u8], range: Range<usize>) {
    let Range { start, end } = range;
    let seen = &after[range.clone()];
    assert!(
        seen == expected || seen != &before[range],
        "the device did not write: bytes {start:#x}..{end:#x} of the buffer are still {}, although the \
         completion says that they were written",
        hex(seen)
    );
    assert_eq!(
        seen, expected,
        "the device wrote other bytes to {start:#x}..{end:#x} than it was told to"
    );
    let untouched = before[..start] == after[..start] && before[end..] == after[end..];
    assert!(
        untouched,
        "the device wrote outside of {start:#x}..{end:#x}"
    );
}

/// The rings of a queue, in this program's own mappings.
struct Rings {
    submission: Mapping,
    completion: Mapping,
}

impl Rings {
    fn map(queue: &Queue) -> Self {
        let map = |offset, entry| {
            let size = queue.entries() as usize * entry;
            let file = queue.device().file().clone();
            Mapping::new(file, offset, size, false).expect("a ring can be mapped again")
        };
        let offsets = queue.offsets();
        Self {
            submission: map(offsets.submission_ring, size_of::<Descriptor>()),
            completion: map(offsets.completion_ring, size_of::<Completion>()),
        }
    }

    fn descriptor(&self, slot: usize) -> Descriptor {
        entry(&self.submission, slot)
    }

    /// Shows the first completion. Fails unless it reports success.
    fn completed(&self, chapter: &mut Chapter) {
        let completion: Completion = entry(&self.completion, 0);
        let status = Status(completion.status);
        chapter.tell(format_args!(
            "completion 0 in the ring: tag {:#x}, status {}",
            completion.tag,
            name(Status::ALL, status)
        ));
        assert_eq!(
            (completion.tag, status),
            (TAG, Status::OK),
            "{completion:?}"
        );
    }
}

fn entry<T: FromBytes>(ring: &Mapping, slot: usize) -> T {
    let bytes = ring.read_bytes(slot * size_of::<T>(), size_of::<T>());
    T::read_from_bytes(&bytes).expect("as many bytes as it has")
}

/// Returns the name of a value in the data sheet.
fn name<T: Copy + PartialEq + std::fmt::Debug>(all: &[(T, &str)], value: T) -> String {
    let known = all.iter().find(|(known, _)| *known == value);
    known.map_or_else(|| format!("{value:?}"), |(_, name)| (*name).to_owned())
}

/// Waits until an eventfd is signalled, and returns its count.
fn signals(event: &OwnedFd) -> u64 {
    let patience = Timespec::try_from(PATIENCE).expect("a short time");
    let mut files = [PollFd::new(event, PollFlags::IN)];
    let ready = poll(&mut files, Some(&patience)).expect("an eventfd can be polled");
    assert!(
        ready > 0,
        "no interrupt: no signal of the queue's eventfd within {PATIENCE:?}"
    );
    let mut count = [0; 8];
    rustix::io::read(event, &mut count).expect("it was signalled");
    u64::from_ne_bytes(count)
}

/// The driver's rows of `/proc/interrupts`, with the sum of each row over all processors.
struct Interrupts(BTreeMap<String, u64>);

impl Interrupts {
    fn now() -> Self {
        let table = fs::read_to_string("/proc/interrupts").expect("procfs is mounted");
        let rows = table.lines().filter(|line| line.ends_with("ringbar"));
        Self(rows.filter_map(row).collect())
    }

    /// Returns the rows that have grown: their text, and their counts before and now.
    fn since(self, before: Self) -> Vec<(String, u64, u64)> {
        let rows = self.0.into_iter().map(|(row, now)| {
            let before = before.0.get(&row).copied().unwrap_or_default();
            (row, before, now)
        });
        rows.filter(|(_, before, now)| now > before).collect()
    }
}

/// Returns the text of a row of `/proc/interrupts`, and the sum of its counts.
fn row(line: &str) -> Option<(String, u64)> {
    let (number, rest) = line.trim_start().split_once(':')?;
    let mut count = 0;
    let mut words = rest.split_whitespace().peekable();
    while let Some(more) = words.peek().and_then(|word| word.parse::<u64>().ok()) {
        count += more;
        words.next();
    }
    let what: Vec<_> = words.collect();
    Some((format!("row {number}, {}", what.join(" ")), count))
}

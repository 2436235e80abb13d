// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A second thread. It changes memory while the device reads it.
//!
//! It writes no value that gives the device a right. However old and new values mix, no window
//! shows a guard for writing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use ringbar_spec::layout::{PAGE_STRIDE, STATUS_PAGES};
use ringbar_spec::pages::{inline_completion, inline_descriptor};
use ringbar_spec::ring::Descriptor;
use ringbar_spec::setup::{WindowKind, RIGHT_READ};
use ringbar_spec::wake::Word;

use super::guest::{Guest, BASE, DEVICE_MEMORY_GUARD, ENTRIES, GUARDS, OPEN, PAGE, SETUP};
use super::{descriptor, QUEUES};
use crate::input::Input;

/// Words that the driver side writes, by their offset in BAR 0 for queue 0.
const DRIVER_WORDS: [usize; 7] = [
    Word::SubmissionTail.offset(0),
    Word::SubmissionInline.offset(0),
    inline_descriptor(0),
    inline_descriptor(0) + 8,
    Word::CompletionHead.offset(0),
    Word::InterruptAt.offset(0),
    Word::DriverInterruptAt.offset(0),
];
/// Words that only the device writes and that it does not read.
const DEVICE_WORDS: [usize; 6] = [
    Word::CompletionTail.offset(0),
    inline_completion(0),
    Word::Sleeping.offset(0),
    Word::QueueState.offset(0),
    Word::Generation.offset(0),
    Word::Heartbeat.offset(0),
];

/// The changes that the second thread repeats.
pub(super) struct Race(Vec<Change>);

/// A change of memory.
#[derive(Clone, Copy, Debug)]
enum Change {
    /// Takes all completions and submits `ahead` descriptors, whatever the ring holds.
    Submit { queue: u16, ahead: u32 },
    /// Stores two values in turn in a shared word, by its offset.
    Word { offset: usize, values: [u32; 2] },
    /// Writes two descriptors in turn to an entry of a submission ring.
    Entry {
        queue: u16,
        index: u32,
        descriptors: [Descriptor; 2],
    },
    /// Stores two values in turn in eight bytes of the guest, by DMA address.
    Memory { address: u64, values: [u64; 2] },
    /// Stores two values in turn in eight bytes of the device memory.
    DeviceMemory { offset: usize, values: [u64; 2] },
}

impl Race {
    /// Makes a race. One input in four has none.
    pub(super) fn new(input: &mut Input<'_>) -> Self {
        let count = match input.byte() {
            0..=63 => 0,
            byte => byte % 4 + 1,
        };
        let mut changes: Vec<Change> = (0..count).map(|_| change(input)).collect();
        if !changes.is_empty() && input.byte() < 192 {
            changes.push(submissions(input));
        }
        Self(changes)
    }

    /// Returns whether there is no race.
    pub(super) fn is_off(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether set-up blocks change. The target then does not know the device's values.
    pub(super) fn has_set_up(&self) -> bool {
        let set_up = SETUP..SETUP + PAGE;
        self.0
            .iter()
            .any(|it| matches!(it, Change::Memory { address, .. } if set_up.contains(address)))
    }

    /// Returns whether the race writes words that only the device should write. They then prove
    /// nothing.
    pub(super) fn scribbles(&self) -> bool {
        self.0
            .iter()
            .any(|it| matches!(it, Change::Word { offset, .. } if *offset >= STATUS_PAGES))
    }

    /// Runs `work` while the second thread makes its changes.
    pub(super) fn during<T>(&self, guest: &Guest, work: impl FnOnce() -> T) -> T {
        if self.is_off() {
            return work();
        }
        let (begun, stop) = (AtomicBool::new(false), AtomicBool::new(false));
        thread::scope(|scope| {
            scope.spawn(|| {
                for turn in (0..=1).cycle() {
                    self.0.iter().for_each(|change| change.make(guest, turn));
                    begun.store(true, Ordering::Relaxed);
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    // Otherwise the device would get no time on a host with one processor.
                    thread::yield_now();
                }
            });
            // Stops the thread even if the work panics.
            let _stop = Stop(&stop);
            while !begun.load(Ordering::Relaxed) {
                thread::yield_now();
            }
            work()
        })
    }
}

struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Change {
    fn make(&self, guest: &Guest, turn: usize) {
        match *self {
            Self::Submit { queue, ahead } => {
                let done = guest.word(Word::CompletionTail, queue);
                guest.set_word(Word::CompletionHead, queue, done);
                let tail = done.wrapping_add(ahead);
                guest.set_word(Word::SubmissionTail, queue, tail);
            }
            Self::Word { offset, values } => guest.store_at(offset, values[turn]),
            Self::Entry {
                queue,
                index,
                descriptors,
            } => guest.put(queue, index, &descriptors[turn]),
            Self::Memory { address, values } => guest.store(address, values[turn]),
            Self::DeviceMemory { offset, values } => {
                guest.store_device_memory(offset, values[turn]);
            }
        }
    }
}

fn change(input: &mut Input<'_>) -> Change {
    let queue = u16::from(input.byte()) % QUEUES;
    match input.byte() {
        0..=79 => submissions(input),
        80..=87 => Change::Word {
            offset: input.one_of(&DRIVER_WORDS) + usize::from(queue) * PAGE_STRIDE,
            values: [input.field32(), input.field32()],
        },
        88..=95 => Change::Word {
            offset: input.one_of(&DEVICE_WORDS) + usize::from(queue) * PAGE_STRIDE,
            values: [input.field32(), input.field32()],
        },
        96..=191 => Change::Entry {
            queue,
            index: u32::from(input.byte()) % (ENTRIES / 4),
            descriptors: alike(input),
        },
        192..=207 => Change::Memory {
            address: input.one_of(&OPEN) + u64::from(input.byte()) * 8,
            values: [input.number(), input.field()],
        },
        208..=223 => Change::DeviceMemory {
            offset: usize::from(input.byte()) * 8 % DEVICE_MEMORY_GUARD,
            values: [input.number(), input.field()],
        },
        _ => set_up(input),
    }
}

fn submissions(input: &mut Input<'_>) -> Change {
    Change::Submit {
        queue: u16::from(input.byte()) % QUEUES,
        ahead: u32::from(input.byte()) % (ENTRIES + 1),
    }
}

/// Returns two descriptors that differ in one field. A device that reads a field twice may check
/// one and use the other.
fn alike(input: &mut Input<'_>) -> [Descriptor; 2] {
    let (one, another) = (descriptor(input), descriptor(input));
    let mut other = one;
    match input.byte() {
        0..=63 => other.source_window = another.source_window,
        64..=159 => other.destination_window = u16::from(input.byte() % 5),
        160..=183 => other.source_offset = another.source_offset,
        184..=207 => other.destination_offset = another.destination_offset,
        208..=231 => other.length = another.length,
        232..=247 => other.opcode = another.opcode,
        _ => other = another,
    }
    [one, other]
}

/// Returns a change of the set-up block or of the list behind it. Lengths and offsets only get
/// smaller, and addresses move to an open page. So any mix of values shows open pages at worst.
fn set_up(input: &mut Input<'_>) -> Change {
    let place = u64::from(input.byte() % 12);
    let head = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    let small = |input: &mut Input<'_>| u32::from(input.byte() % 4);
    let mut value = || match place {
        // Number and domain.
        0 => head(small(input) + 1, small(input)),
        // Address of a submission ring, which the device only reads, or kind and rights of a
        // window.
        1 => match input.byte() % 2 {
            0 => head(WindowKind::SEGMENTS.0 + small(input), RIGHT_READ),
            _ => input.one_of(&GUARDS),
        },
        // Address of a completion ring, or length of a window: no window is that long.
        2 => input.one_of(&OPEN),
        // Numbers of entries, or offset of a window: none is that large.
        3 => head(small(input), small(input)),
        // Vector, or number of segments.
        4 => head(small(input), 0),
        // Reserved fields, or the list.
        5..=7 => u64::from(small(input)),
        place if place % 2 == 0 => input.one_of(&OPEN),
        _ => u64::from(small(input)),
    };
    Change::Memory {
        values: [value(), value()],
        address: BASE + place * 8,
    }
}

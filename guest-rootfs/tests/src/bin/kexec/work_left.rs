// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The work that the device still has when the second kernel comes. Nothing changes it before the
//! driver is loaded.

use ringbar_spec::layout::REGISTER_BAR_SIZE;
use ringbar_spec::pages::QUEUE_RUNNING;
use ringbar_spec::wake::Word;
use ringbar_tests::raw::RawMapping;
use rustix::mm::{MapFlags, ProtFlags};
use std::fs::{self, File};

/// The number of queues that had work left when the canaries were planted.
const LEFT: &str = "/tmp/queues-with-work";
/// BAR 0 of the first device, without its driver.
const REGISTERS: &str = "/sys/bus/pci/devices/0000:01:00.0/resource0";
/// Queues of the first kernel.
const QUEUES: usize = 8;

/// Notes the number of queues with work for the cases, which run when the driver is there.
pub(crate) fn note() {
    let left = queues_at_work().to_string();
    fs::write(LEFT, left).expect("a file can be written");
}

/// Returns the number of queues that had work left before the driver was loaded.
pub(crate) fn queues() -> usize {
    let left = fs::read_to_string(LEFT).expect("it was noted with the canaries");
    left.parse().expect("a number")
}

/// Returns the number of queues that run and have descriptors to carry out, by the shared words.
fn queues_at_work() -> usize {
    let file = File::open(REGISTERS).expect("the device is there");
    let bar = RawMapping::new(
        &file,
        0,
        REGISTER_BAR_SIZE,
        ProtFlags::READ,
        MapFlags::SHARED,
    );
    let bar = bar.expect("the BAR can be mapped");
    let works = |queue: &usize| {
        let word = |word: Word| bar.read(word.offset(*queue));
        let waits = word(Word::SubmissionTail) != word(Word::CompletionTail);
        waits && word(Word::QueueState) == QUEUE_RUNNING
    };
    (0..QUEUES).filter(works).count()
}

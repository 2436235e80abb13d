// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! QEMU's device `edu` with the driver of `guest-driver/edu`: its registers, its interrupt, and DMA
//! in both directions, as a process sees them in its own mappings. QEMU's `docs/specs/edu.rst`
//! describes the device.

use ringbar_examples::node::Node;
use ringbar_examples::uapi::edu::{
    StartCopy, Wait, BUFFER, BUFFER_SIZE, COPY, FROM_DEVICE, IDENTIFICATION, LENGTH, REGISTERS,
    TO_DEVICE, WAIT,
};
use ringbar_tests::raw::RawMapping;
use ringbar_tests::rules::{self, Debugger, Driver, Kind};
use ringbar_tests::signals::{Handler, Timer};
use ringbar_tests::{case, child, expect_bytes, page_size, run, PATIENCE};
use rustix::io::Errno;
use std::iter;
use std::process::ExitCode;
use std::time::{Duration, Instant};

const NODE: &str = "/dev/ringbar-edu0";
/// Value of the identification register: version 1.0.
const EDU: u32 = 0x0100_00ed;
/// Bytes of a word.
const WORD: usize = size_of::<u32>();
/// What a buffer holds before a copy.
const UNTOUCHED: u32 = 0x5a5a_5a5a;

fn main() -> ExitCode {
    run()
}

fn driver() -> Driver {
    Driver {
        module: "ringbar_edu",
        node: NODE,
        kinds: vec![
            Kind {
                name: "registers",
                make: rules::fixed(NODE, REGISTERS, page_size()),
                flags: "io pf de dd dc",
                policy: "uncached",
                writable: false,
                inherited: false,
                debugger: Debugger::Refused,
                behind: Errno::OVERFLOW,
                for_everybody: true,
            },
            Kind {
                name: "dma-buffer",
                make: rules::fixed(NODE, BUFFER, BUFFER_SIZE),
                flags: "io dma de dd",
                policy: "cached",
                writable: true,
                inherited: true,
                debugger: Debugger::Writes,
                behind: Errno::OVERFLOW,
                for_everybody: true,
            },
        ],
    }
}

/// The rules of the mapping layer, for each kind.
#[case(rules::each_kind)]
fn mappings() -> Driver {
    driver()
}

/// The rules about a device that leaves: for its node, and for each kind.
#[case(rules::removal)]
fn removal() -> Driver {
    driver()
}

/// An open device. All open files share it.
struct Edu {
    node: Node,
    registers: RawMapping,
    buffer: RawMapping,
}

impl Edu {
    fn open() -> Self {
        let node = Node::open(NODE);
        Self {
            registers: node.map_read_only(REGISTERS, page_size()),
            buffer: node.map(BUFFER, BUFFER_SIZE),
            node,
        }
    }

    /// Fills the buffer with a word.
    fn fill(&self, word: u32) {
        self.write(0, iter::repeat_n(word, BUFFER_SIZE / WORD));
    }

    /// Writes words into the buffer from `offset` on. Returns their bytes.
    fn write(&self, offset: usize, words: impl Iterator<Item = u32>) -> Vec<u8> {
        let places = (offset..).step_by(WORD);
        let write = |(place, word): (usize, u32)| {
            self.buffer.write(place, word);
            word.to_le_bytes()
        };
        places.zip(words).flat_map(write).collect()
    }

    /// Compares bytes of the buffer from `offset` on.
    #[track_caller]
    fn expect(&self, what: &str, offset: usize, expected: &[u8]) {
        expect_bytes(what, &self.buffer.bytes(offset, expected.len()), expected);
    }

    /// Returns how many interrupts the driver has handled.
    fn interrupts(&self) -> u64 {
        self.wait(0, 0).expect("so many have come")
    }

    /// Waits for so many interrupts in all. Returns how many came.
    fn wait(&self, interrupts: u64, milliseconds: u32) -> Result<u64, Errno> {
        let mut wait = Wait {
            interrupts,
            milliseconds,
            ..Wait::default()
        };
        self.node.call(WAIT, &mut wait)?;
        Ok(wait.interrupts)
    }

    /// Copies between the buffer and the device, and waits for the end. Asserts that exactly one
    /// interrupt comes.
    fn copy(&self, direction: u32, buffer_offset: usize, device_offset: usize, length: usize) {
        let mut copy = StartCopy {
            direction,
            length: length as u32,
            buffer_offset: buffer_offset as u32,
            device_offset: device_offset as u32,
        };
        let before = self.interrupts();
        self.node.call(COPY, &mut copy).expect("the device is idle");
        let after = self.wait(before + 1, PATIENCE.as_millis() as u32);
        assert_eq!(after, Ok(before + 1), "interrupts");
    }
}

#[case]
fn identification_register_is_in_the_mapping() {
    let edu = Edu::open();

    assert_eq!(edu.registers.read(IDENTIFICATION), EDU);
}

#[case]
fn length_of_a_copy_is_in_the_mapped_register_after_one_interrupt() {
    let edu = Edu::open();

    for length in [12, 3072] {
        edu.copy(TO_DEVICE, 0, 0, length);
        assert_eq!(edu.registers.read(LENGTH), length as u32);
    }
}

#[case]
fn bytes_that_the_device_writes_are_in_the_mapping() {
    let edu = Edu::open();
    let sent = edu.write(0x100, (0..16).map(|number| 0x1234_0000 + number));
    edu.copy(TO_DEVICE, 0x100, 0x40, sent.len());
    // Otherwise these bytes could be those that the process wrote itself.
    edu.fill(UNTOUCHED);

    edu.copy(FROM_DEVICE, 0x800, 0x40, sent.len());

    let untouched = UNTOUCHED.to_le_bytes().repeat(4);
    edu.expect("the copy", 0x800, &sent);
    edu.expect("before the copy", 0x7f0, &untouched);
    edu.expect("behind the copy", 0x840, &untouched);
    edu.expect("where they came from", 0x100, &untouched);
}

#[case]
fn whole_buffer_is_copied_both_ways() {
    let edu = Edu::open();
    let words = 0..(BUFFER_SIZE / WORD) as u32;
    let sent = edu.write(0, words.map(|number| number.wrapping_mul(0x9e37_79b9)));
    edu.copy(TO_DEVICE, 0, 0, BUFFER_SIZE);
    edu.fill(0);

    edu.copy(FROM_DEVICE, 0, 0, BUFFER_SIZE);

    edu.expect("the buffer", 0, &sent);
}

#[case]
fn another_process_sees_the_devices_bytes_in_a_mapping_of_its_own() {
    let edu = Edu::open();
    edu.fill(0xabcd_ef01);
    edu.copy(TO_DEVICE, 0, 0, 64);
    edu.fill(UNTOUCHED);
    edu.copy(FROM_DEVICE, 0, 0, 64);

    let status = child::run(|| {
        let other = Edu::open();
        let sent = 0xabcd_ef01_u32.to_le_bytes();
        other.expect("the copy", 0, &sent.repeat(16));
        other.expect("behind the copy", 64, &UNTOUCHED.to_le_bytes());
    });

    assert!(status.success(), "{status}");
}

#[case]
fn copy_outside_of_the_memory_is_refused() {
    let edu = Edu::open();
    let good = StartCopy {
        direction: TO_DEVICE,
        length: 4,
        buffer_offset: 0,
        device_offset: 0,
    };
    let size = BUFFER_SIZE as u32;
    for (what, mut wrong) in [
        ("no byte", StartCopy { length: 0, ..good }),
        (
            "a byte too many",
            StartCopy {
                length: size + 1,
                ..good
            },
        ),
        (
            "beyond the buffer",
            StartCopy {
                buffer_offset: size - 3,
                ..good
            },
        ),
        (
            "beyond the device",
            StartCopy {
                device_offset: size - 3,
                ..good
            },
        ),
        (
            "an overflow",
            StartCopy {
                buffer_offset: u32::MAX - 1,
                ..good
            },
        ),
        (
            "no direction",
            StartCopy {
                direction: 2,
                ..good
            },
        ),
    ] {
        let refused = edu.node.call(COPY, &mut wrong);
        assert_eq!(refused, Err(Errno::INVAL), "{what}");
    }
}

/// The device takes 100 ms for a copy, so the second call finds it at work, unless this process had
/// to wait for a processor.
#[case]
fn busy_device_takes_no_other_copy() {
    const ATTEMPTS: usize = 100;
    let edu = Edu::open();
    let busy = || {
        let before = edu.interrupts();
        let mut copy = StartCopy {
            direction: TO_DEVICE,
            length: 4,
            ..StartCopy::default()
        };
        edu.node.call(COPY, &mut copy).expect("the device is idle");
        let second = edu.node.call(COPY, &mut copy);
        let all = before + 1 + u64::from(second.is_ok());
        let waited = edu.wait(all, PATIENCE.as_millis() as u32);
        assert_eq!(waited, Ok(all), "interrupts");
        second == Err(Errno::BUSY)
    };

    assert!((0..ATTEMPTS).any(|_| busy()), "never busy");
}

#[case]
fn wait_for_an_interrupt_that_does_not_come_times_out() {
    let edu = Edu::open();

    let waited = edu.wait(edu.interrupts() + 1, 10);

    assert_eq!(waited, Err(Errno::TIMEDOUT));
}

#[case]
fn wait_among_signals_lasts_as_long_as_its_timeout() {
    const TIMEOUT: Duration = Duration::from_millis(500);
    let edu = Edu::open();
    for handler in [Handler::Restarts, Handler::Interrupts] {
        let given = Wait {
            interrupts: edu.interrupts() + 1,
            milliseconds: TIMEOUT.as_millis() as u32,
            began: 0,
        };
        let mut wait = given;
        let start = Instant::now();
        let timer = Timer::start(Duration::from_millis(30), handler);
        let mut interrupted = 0;
        let outcome = loop {
            match edu.node.call(WAIT, &mut wait) {
                Err(Errno::INTR) => interrupted += 1,
                outcome => break outcome,
            }
            let same = (wait.interrupts, wait.milliseconds);
            assert_eq!(same, (given.interrupts, given.milliseconds));
            assert_ne!(wait.began, 0);
        };
        assert_eq!(outcome, Err(Errno::TIMEDOUT), "{handler:?}");
        assert!(start.elapsed() >= TIMEOUT, "{:?}", start.elapsed());
        assert!(timer.ticks() > 0, "{handler:?}");
        assert_eq!(interrupted > 0, handler == Handler::Interrupts);
    }
}

#[case]
fn unknown_ioctl_is_refused() {
    let edu = Edu::open();
    // The number behind the last one, with an argument of the same size.
    let refused = edu.node.call(WAIT + 1, &mut Wait::default());

    assert_eq!(refused, Err(Errno::NOTTY));
}

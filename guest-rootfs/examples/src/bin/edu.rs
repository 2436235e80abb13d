// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! QEMU's device `edu` with the driver of `guest-driver/edu`: its registers, its interrupt, and DMA in
//! both directions, as a process sees them in its own mappings. QEMU's `docs/specs/edu.rst` describes
//! the device.

use ringbar_examples::node::Node;
use ringbar_examples::uapi::edu::{
    Factorial, StartCopy, Wait, BUFFER, BUFFER_SIZE, COPY, FACTORIAL, FROM_DEVICE, IDENTIFICATION,
    REGISTERS, RESULT, TO_DEVICE, WAIT,
};
use ringbar_tests::raw::RawMapping;
use ringbar_tests::rules::{self, open_node, Debugger, Driver, Kind, Region, PAGE};
use ringbar_tests::{case, child, debugfs, run, PATIENCE};
use rustix::io::Errno;
use std::process::ExitCode;
use std::rc::Rc;

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
    let region = |offset, size| -> Rc<dyn Fn(bool) -> Region> {
        Rc::new(move |read_only| Region {
            file: open_node(NODE, read_only),
            offset,
            size,
        })
    };
    Driver {
        module: "ringbar_edu",
        node: NODE,
        debugfs: debugfs::Folder("ringbar-edu0"),
        sysfs: "/sys/bus/pci/drivers/ringbar_edu",
        kinds: vec![
            Kind {
                name: "registers",
                make: region(REGISTERS, PAGE),
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
                make: region(BUFFER, BUFFER_SIZE),
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

/// The rules about a device that leaves, for each kind.
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
            registers: node.map_read_only(REGISTERS, PAGE),
            buffer: node.map(BUFFER, BUFFER_SIZE),
            node,
        }
    }

    /// Fills the buffer with a word.
    fn fill(&self, word: u32) {
        for offset in (0..BUFFER_SIZE).step_by(WORD) {
            self.buffer.write(offset, word);
        }
    }

    /// Returns `count` words of the buffer from `offset` on.
    fn words(&self, offset: usize, count: usize) -> Vec<u32> {
        let word = |number| self.buffer.read(offset + number * WORD);
        (0..count).map(word).collect()
    }

    /// Returns how many interrupts the driver has handled.
    fn interrupts(&self) -> u64 {
        self.wait(0, 0).expect("so many have come")
    }

    /// Waits for so many interrupts in all. Returns how many came.
    fn wait(&self, interrupts: u64, milliseconds: u64) -> Result<u64, Errno> {
        let mut wait = Wait {
            interrupts,
            milliseconds,
        };
        self.node.call(WAIT, &mut wait)?;
        Ok(wait.interrupts)
    }

    /// Carries out an operation, and waits for its interrupt. Asserts that exactly one comes.
    fn finish(&self, start: impl FnOnce(&Node) -> Result<(), Errno>) {
        let before = self.interrupts();
        start(&self.node).expect("the device is idle");
        let after = self.wait(before + 1, PATIENCE.as_millis() as u64);
        assert_eq!(after, Ok(before + 1), "interrupts");
    }

    /// Copies between the buffer and the device, and waits for the end.
    fn copy(&self, direction: u32, buffer_offset: usize, device_offset: usize, length: usize) {
        let mut copy = StartCopy {
            direction,
            length: length as u32,
            buffer_offset: buffer_offset as u32,
            device_offset: device_offset as u32,
        };
        self.finish(|node| node.call(COPY, &mut copy));
    }
}

#[case]
fn identification_register_is_in_the_mapping() {
    let edu = Edu::open();

    assert_eq!(edu.registers.read(IDENTIFICATION), EDU);
}

#[case]
fn factorial_is_in_the_mapped_register_after_one_interrupt() {
    let edu = Edu::open();

    for (number, factorial) in [(5, 120), (10, 3_628_800)] {
        edu.finish(|node| node.call(FACTORIAL, &mut Factorial { number }));
        assert_eq!(edu.registers.read(RESULT), factorial, "{number}!");
    }
}

#[case]
fn bytes_that_the_device_writes_are_in_the_mapping() {
    let edu = Edu::open();
    let sent: Vec<u32> = (0..16).map(|number| 0x1234_0000 + number).collect();
    for (number, word) in sent.iter().enumerate() {
        edu.buffer.write(0x100 + number * WORD, *word);
    }
    edu.copy(TO_DEVICE, 0x100, 0x40, sent.len() * WORD);
    // Otherwise these words could be those that the process wrote itself.
    edu.fill(UNTOUCHED);

    edu.copy(FROM_DEVICE, 0x800, 0x40, sent.len() * WORD);

    assert_eq!(edu.words(0x800, sent.len()), sent);
    assert_eq!(edu.words(0x7f0, 4), [UNTOUCHED; 4], "before the copy");
    assert_eq!(edu.words(0x840, 4), [UNTOUCHED; 4], "behind the copy");
    assert_eq!(edu.words(0x100, 4), [UNTOUCHED; 4], "where they came from");
}

#[case]
fn whole_buffer_is_copied_both_ways() {
    let edu = Edu::open();
    let pattern = |number: usize| (number as u32).wrapping_mul(0x9e37_79b9);
    for number in 0..BUFFER_SIZE / WORD {
        edu.buffer.write(number * WORD, pattern(number));
    }
    edu.copy(TO_DEVICE, 0, 0, BUFFER_SIZE);
    edu.fill(0);

    edu.copy(FROM_DEVICE, 0, 0, BUFFER_SIZE);

    let expected: Vec<_> = (0..BUFFER_SIZE / WORD).map(pattern).collect();
    assert_eq!(edu.words(0, expected.len()), expected);
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
        assert_eq!(other.words(0, 16), [0xabcd_ef01; 16]);
        assert_eq!(other.words(64, 1), [UNTOUCHED]);
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
fn busy_device_takes_no_other_work() {
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
        let factorial = edu.node.call(FACTORIAL, &mut Factorial { number: 3 });
        let started = [second, factorial]
            .iter()
            .filter(|call| call.is_ok())
            .count();
        let all = before + 1 + started as u64;
        let waited = edu.wait(all, PATIENCE.as_millis() as u64);
        assert_eq!(waited, Ok(all), "interrupts");
        (second, factorial) == (Err(Errno::BUSY), Err(Errno::BUSY))
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
fn unknown_ioctl_is_refused() {
    let edu = Edu::open();
    // The number behind the last one, with an argument of the same size.
    let refused = edu.node.call(FACTORIAL + 2, &mut Factorial::default());

    assert_eq!(refused, Err(Errno::NOTTY));
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The machine sleeps while the device is in use, in each way that Linux has. Sleepers, pollers,
//! copies and mappings afterwards are as the driver's README says, and the device works.

mod chipset;

use chipset::Chipset;
use ringbar_client::{Buffer, Device, Error, Queue, Rights};
use ringbar_spec::wake::Word;
use ringbar_tests::{
    assert_device_works, copy, expect_bytes, has_iommu, interrupts, nop, open, parameter,
    pattern_bytes, poller, run_all, seed, sleeper, steps, succeed, until, Case, LongCopies, Runner,
    Skip, PATIENCE, READABLE, SHORT,
};
use rustix::event::PollFlags;
use rustix::io::Errno;
use std::cell::RefCell;
use std::process::ExitCode;
use std::rc::Rc;
use std::thread::{self, JoinHandle};
use std::{fs, io};

/// The state that a write to this file brings the machine into (Linux
/// `Documentation/admin-guide/pm/sleep-states.rst`).
const STATE: &str = "/sys/power/state";
/// What the state `mem` is.
const MEMORY_STATE: &str = "/sys/power/mem_sleep";
/// Where a test of going to sleep ends (Linux `Documentation/power/basic-pm-debugging.rst`).
const TEST: &str = "/sys/power/pm_test";
/// Seconds for which the machine stays there.
const TEST_SECONDS: &str = "/sys/module/suspend/parameters/pm_test_delay";
/// Level at which the kernel has prepared the platform for the sleep.
const PLATFORM: &str = "platform";
/// Files that have copies in flight, of a gigabyte in all for each.
const COPIERS: usize = 4;

/// Bytes of a buffer in use.
const BYTES: usize = 12_000;

fn main() -> ExitCode {
    let story = Rc::new(RefCell::new(None));
    let cases = WAYS.into_iter().flat_map(|way| cases(way, &story));
    run_all(cases.collect())
}

/// How the machine sleeps.
#[derive(Clone, Copy)]
enum Kind {
    /// Suspend to RAM, which QEMU ends when the runner tells it to.
    Memory,
    /// Suspend to idle, which a line of the runner ends. An alarm of the clock cannot: QEMU 11.1
    /// raises its event only for a machine that sleeps in S3.
    Idle,
    /// As to RAM, up to a level of `pm_test`.
    Test,
}

/// A way to sleep.
#[derive(Clone, Copy)]
struct Way {
    name: &'static str,
    kind: Kind,
}

const fn test(name: &'static str) -> Way {
    Way {
        name,
        kind: Kind::Test,
    }
}

const WAYS: [Way; 7] = [
    test("freezer"),
    test("devices"),
    test(PLATFORM),
    test("processors"),
    test("core"),
    Way {
        name: "s2idle",
        kind: Kind::Idle,
    },
    Way {
        name: "mem",
        kind: Kind::Memory,
    },
];

impl Way {
    /// Returns whether QEMU resets the device. It resets the machine when it wakes from S3.
    fn resets(self) -> bool {
        matches!(self.kind, Kind::Memory)
    }

    /// Sleeps once.
    fn sleep(self, runner: &mut Runner) {
        match self.kind {
            Kind::Memory => {
                runner.must("wake");
                put(MEMORY_STATE, "deep");
                let chipset = Chipset::save();
                put(STATE, "mem");
                if chipset.restore() {
                    // What the kernel wrote to the ports of ACPI when it woke was lost. It writes
                    // it again after a test up to the platform.
                    sleep_up_to(PLATFORM);
                }
            }
            Kind::Idle => runner.knocking(|| {
                // A knock that comes too early ends the sleep before it begins.
                until("the machine sleeps", || fs::write(STATE, "freeze").is_ok());
            }),
            Kind::Test => sleep_up_to(self.name),
        }
    }

    /// Returns why the machine cannot sleep in this way.
    fn missing(self) -> Result<(), Skip> {
        let lists = |file: &str, word: &str| -> Result<(), Skip> {
            let listed = fs::read_to_string(file).unwrap_or_default();
            match listed
                .split_whitespace()
                .any(|found| found.trim_matches(|c| c == '[' || c == ']') == word)
            {
                true => Ok(()),
                false => Err(Skip(format!("the kernel's {file} has no {word}").into())),
            }
        };
        match self.kind {
            // QEMU loads the segments of a kernel without an image as ROM. It writes them again at
            // each reset of the machine, also at the one that wakes it. So the kernel would find
            // its memory as before its boot at its wake-up vector.
            Kind::Memory if parameter::number("ringbar.image") != Some(1) => Err(Skip(
                "QEMU overwrites a kernel that it loaded itself when the machine wakes: IMAGE=1"
                    .into(),
            )),
            // A reset makes QEMU's IOMMU take all mappings from its devices. When the kernel turns
            // translation on again, QEMU tells them the mappings made from then on, and no older one.
            Kind::Memory if has_iommu() => Err(Skip(
                "QEMU's IOMMU forgets the DMA mappings when the machine wakes: IOMMU=0".into(),
            )),
            Kind::Memory => lists(STATE, "mem")
                .and_then(|()| lists(MEMORY_STATE, "deep"))
                .and_then(|()| lists(TEST, PLATFORM)),
            Kind::Idle => lists(STATE, "freeze"),
            Kind::Test => lists(TEST, self.name).and_then(|()| lists(MEMORY_STATE, "deep")),
        }
    }
}

/// Goes to sleep up to a level of `pm_test`, and wakes at once.
fn sleep_up_to(level: &str) {
    put(TEST_SECONDS, "0");
    put(TEST, level);
    put(MEMORY_STATE, "deep");
    let slept = fs::write(STATE, "mem");
    put(TEST, "none");
    slept.expect("the test of going to sleep succeeds");
}

#[track_caller]
fn put(file: &str, text: &str) {
    let done: io::Result<()> = fs::write(file, text);
    done.unwrap_or_else(|error| panic!("{text:?} into {file}: {error}"));
}

/// A case, after the machine has slept.
type Step = fn(&mut Story);

/// Returns the cases of a way. They look at one sleep. All ways share one story, so that the next one
/// has the device's queues.
fn cases(way: Way, story: &Rc<RefCell<Option<Story>>>) -> Vec<Case> {
    let steps = steps![Step:
        call_sleeps_on_or_gets_eio,
        poller_waits_on_or_gets_pollerr,
        copies_end_or_the_reset_is_seen,
        memory_keeps_its_bytes,
        pages_of_the_device_stay_mapped,
        same_file_works_with_new_objects,
        new_file_is_woken_by_an_interrupt,
    ];
    let case = |(name, step): (&str, Step)| {
        let story = Rc::clone(story);
        Case::new(format!("{}/{name}", way.name), move || {
            let mut story = story.borrow_mut();
            if story
                .as_ref()
                .is_none_or(|story| story.way.name != way.name)
            {
                // First: what it has is given back.
                *story = None;
                *story = Some(Story::of(way)?);
            }
            step(story.as_mut().expect("the machine has slept"));
            Ok(())
        })
    };
    steps.into_iter().map(case).collect()
}

/// All that was in use while the machine slept.
struct Story {
    way: Way,
    runner: Runner,
    device: Device,
    /// A queue for which a call waits.
    awaited: Queue,
    sleeper: Option<JoinHandle<Result<(), Error>>>,
    /// A file that a process polls, and a queue of that file.
    polled: (Device, Queue),
    poller: Option<JoinHandle<PollFlags>>,
    copies: Vec<LongCopies>,
    /// A buffer, and its bytes.
    buffer: Buffer,
    bytes: Vec<u8>,
}

impl Story {
    /// Uses the device, and lets the machine sleep.
    fn of(way: Way) -> Result<Self, Skip> {
        way.missing()?;
        let runner = Runner::find();
        let runner = runner.ok_or(Skip("the machine has no runner that can wake it".into()))?;
        let device = open();
        let polled = open();
        let polled_queue = polled.create_queue(4).expect("a queue");
        let copies = (0..COPIERS).map(|_| LongCopies::prepare(&open()).expect("there is memory"));
        let buffer = device.create_buffer(BYTES, Rights::ReadWrite);
        let (buffer, bytes) = (buffer.expect("a buffer"), pattern_bytes(seed(), BYTES));
        buffer.mapping().write_bytes(0, &bytes);
        let awaited = device.create_queue(4).expect("a queue");
        let mut story = Self {
            way,
            runner,
            sleeper: Some(sleeper(&device, &awaited, 1)),
            poller: Some(poller(&polled)),
            polled: (polled, polled_queue),
            awaited,
            device,
            buffer,
            bytes,
            copies: copies.collect(),
        };
        thread::sleep(SHORT);
        let copies = &mut story.copies;
        copies
            .iter_mut()
            .for_each(|copies| copies.start().expect("the ring has room"));
        story.way.sleep(&mut story.runner);
        Ok(story)
    }
}

impl Drop for Story {
    /// Lets the threads end whose cases were not chosen. They would keep their queues.
    fn drop(&mut self) {
        let waiting = [
            (self.sleeper.take().map(|_| ()), &mut self.awaited),
            (self.poller.take().map(|_| ()), &mut self.polled.1),
        ];
        for (thread, queue) in waiting {
            // After a reset the queue is dead, and the thread has ended.
            if thread.is_some() && queue.push(nop(0)).is_ok() {
                queue.submit();
            }
        }
    }
}

/// Waits for a thread.
#[track_caller]
fn end<T>(what: &str, thread: Option<JoinHandle<T>>) -> T {
    let thread = thread.expect("the machine has slept");
    until(what, || thread.is_finished());
    thread.join().expect("the thread does not panic")
}

fn call_sleeps_on_or_gets_eio(story: &mut Story) {
    let sleeper = story.sleeper.take();
    if story.way.resets() {
        let woken = end("the sleeper wakes", sleeper).expect_err("the device was reset");
        assert_eq!(woken.errno(), Some(Errno::IO));
        return;
    }
    assert!(sleeper
        .as_ref()
        .is_some_and(|sleeper| !sleeper.is_finished()));
    story.awaited.push(nop(1)).expect("the ring has room");
    story.awaited.submit();
    end("the sleeper wakes", sleeper).expect("its completion is there");
    assert_eq!(story.awaited.run(PATIENCE).expect("it is there").tag, 1);
}

fn poller_waits_on_or_gets_pollerr(story: &mut Story) {
    let poller = story.poller.take();
    if story.way.resets() {
        assert_eq!(end("the poller wakes", poller), PollFlags::ERR);
        return;
    }
    assert!(poller.as_ref().is_some_and(|poller| !poller.is_finished()));
    let queue = &mut story.polled.1;
    queue.push(nop(2)).expect("the ring has room");
    queue.submit();
    assert_eq!(end("the poller wakes", poller), READABLE);
}

fn copies_end_or_the_reset_is_seen(story: &mut Story) {
    // They end with this case, as the device has few queues.
    for mut copies in std::mem::take(&mut story.copies) {
        let outcome = copies.finish();
        println!("# {outcome:?}");
        match (story.way.resets(), outcome) {
            // A fast device may have ended them before.
            (_, Ok(())) | (true, Err(Error::Reset { .. })) => {}
            (_, Err(error)) => panic!("{error}"),
        }
    }
}

fn memory_keeps_its_bytes(story: &mut Story) {
    let seen = story.buffer.mapping().read_bytes(0, BYTES);
    expect_bytes("the buffer", &seen, &story.bytes);
}

fn pages_of_the_device_stay_mapped(story: &mut Story) {
    let old = story.awaited.word(Word::Generation);
    let new = open().create_queue(2).expect("a queue");
    assert_eq!(old, new.word(Word::Generation));
}

fn same_file_works_with_new_objects(story: &mut Story) {
    assert_device_works(&story.device);
    let [source, destination] = [Rights::Read, Rights::Write]
        .map(|rights| story.device.create_buffer(BYTES, rights).expect("a buffer"));
    let mut queue = story.device.create_queue(4).expect("a queue");
    source.mapping().write_bytes(0, &story.bytes);
    succeed(&mut queue, copy(&source, &destination, BYTES));
    let seen = destination.mapping().read_bytes(0, BYTES);
    expect_bytes("the copy", &seen, &story.bytes);
}

fn new_file_is_woken_by_an_interrupt(_: &mut Story) {
    let device = open();
    assert_device_works(&device);
    // By an interrupt, not by the watchdog alone.
    let before = interrupts();
    let mut queue = device.create_queue(4).expect("a queue");
    let sleeper = sleeper(&device, &queue, 1);
    thread::sleep(SHORT);
    queue.push(nop(3)).expect("the ring has room");
    queue.submit();
    end("the sleeper wakes", Some(sleeper)).expect("its completion is there");
    until("an interrupt is counted", || interrupts() > before);
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Lies as a driver sees them, without a machine.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use ringbar_driver_side::ring::Ring;
use ringbar_driver_side::{admin, blocks, bring_up, descriptors, Function, QueueMemory};
use ringbar_driver_side::{Registers, RingError, Shared};
use ringbar_endpoint::memory::SharedMemory;
use ringbar_endpoint::region_files::RegionFiles;
use ringbar_endpoint::{config_space, Worker};
use ringbar_liar::config::Lying;
use ringbar_liar::liar::Liar;
use ringbar_liar::state::State;
use ringbar_lies::{Lie, IDENT, ORDER, SEED, TRUTH};
use ringbar_mapped::Mapped;
use ringbar_server::events::Events;
use ringbar_server::Options;
use ringbar_spec::error::ErrorCode;
use ringbar_spec::ids;
use ringbar_spec::layout::{
    DEVICE_MEMORY_BAR, DEVICE_MEMORY_MIN, DOORBELL_PAGES, REGISTER_BAR, REGISTER_BAR_SIZE,
};
use ringbar_spec::ring::Completion;
use ringbar_spec::wake::{Word, Words};
use ringbar_spec::{pages, regs};
use ringbar_vfio_user::device::{Device as _, DmaMap, DmaRange};
use ringbar_vfio_user::Errno;
use vm_memory::{FileOffset, MmapRegion};

/// Bytes of guest memory, and the DMA address of the first.
const MEMORY: usize = 1 << 20;
const BASE: u64 = 0x1000_0000;
/// Offset of the rings.
const RINGS: u64 = 0x1_0000;
/// Offset of its rings when it is started again.
const OTHER_RINGS: u64 = 0x2_0000;
/// Entries of a ring.
const ENTRIES: u32 = 16;
/// Tag of the first descriptor.
const TAG: u32 = 0x7a60;
/// Longest time until the device has answered. No busy machine reaches it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A device that lies, and the driver's side of its queue.
struct Bench {
    device: Behind,
    shared: Mapped,
    ring: Ring<QueueMemory<Mapped>>,
}

/// The device's registers and configuration space, without a connection.
struct Behind(Lying);

/// Makes a device that tells these lies from the start.
fn device(lies: &[Lie]) -> Lying {
    let options = Options::new("none");
    let state = State::new(lies.iter().copied(), 1);
    let files = RegionFiles::default();
    let device = Liar::endpoint(&options, Events::default(), &files, state.clone()).unwrap();
    Lying::new(Worker::start(device).unwrap(), state)
}

impl Bench {
    /// Makes a device that tells the truth so far, with a queue that runs.
    fn new() -> Self {
        let mut lying = device(&[]);
        let memory = SharedMemory::new("liars-guest", MEMORY).unwrap();
        let file = memory.file().try_clone().unwrap();
        let map = DmaMap {
            range: DmaRange::new(BASE, MEMORY as u64).unwrap(),
            read: true,
            write: true,
            file: Some((file.into(), 0)),
        };
        lying.dma_map(map).unwrap();
        let registers = &lying.regions()[REGISTER_BAR as usize];
        let shared = Mapped {
            registers: mapped(
                registers.shared.as_ref().unwrap().file.as_fd(),
                registers.size as usize,
            ),
            memory: mapped(memory.file().as_fd(), MEMORY),
            base: BASE,
        };
        let mut device = Behind(lying);
        bring_up::begin(&mut device).unwrap();
        let ring = start(&mut device, &shared, BASE + RINGS);
        Self {
            device,
            shared,
            ring,
        }
    }

    /// Starts the queue, which was stopped, with rings at this address.
    fn start(&mut self, rings: u64) {
        self.ring = start(&mut self.device, &self.shared, rings);
    }

    /// Stops the queue, as the driver sees it.
    fn stop(&mut self) {
        let stop = regs::QUEUE_STOP::INFO.offset;
        self.device.write_register(stop, &[0; 4]).unwrap();
    }

    fn order(&mut self, order: u32) {
        let bytes = order.to_le_bytes();
        self.device.write_config(ORDER.into(), &bytes).unwrap();
    }

    fn lie(&mut self, lie: Lie) {
        self.order(lie as u32);
    }

    /// Returns how many lies were told.
    fn told(&mut self) -> u32 {
        self.config(ORDER)
    }

    fn config(&mut self, offset: u16) -> u32 {
        let mut bytes = [0; 4];
        self.device.read_config(offset.into(), &mut bytes).unwrap();
        u32::from_le_bytes(bytes)
    }

    fn register(&mut self, offset: usize) -> u32 {
        let mut bytes = [0; 4];
        self.device.read_register(offset, &mut bytes).unwrap();
        u32::from_le_bytes(bytes)
    }

    /// Reads IDENT and VERSION in one access.
    fn identification(&mut self) -> (u32, u32) {
        let mut bytes = [0; 8];
        let offset = regs::IDENT::INFO.offset;
        self.device.read_register(offset, &mut bytes).unwrap();
        let both = u64::from_le_bytes(bytes);
        (both as u32, (both >> 32) as u32)
    }

    /// Hands NOPs over, with tags from `TAG` on.
    fn submit(&mut self, count: u32) {
        for tag in (TAG..).take(count as usize) {
            self.ring.push(&descriptors::nop(tag)).unwrap();
        }
        if self.ring.submit() {
            self.device.kick(0).unwrap();
        }
    }

    /// Takes the next completion, when it comes.
    fn completion(&mut self) -> Result<Completion, RingError> {
        let mut popped = Ok(None);
        within("a completion", || {
            popped = self.ring.pop();
            !matches!(popped, Ok(None))
        });
        popped.map(|completion| completion.expect("there is one"))
    }

    fn word(&self, word: Word) -> u32 {
        self.ring.memory().load(word)
    }

    fn reset(&mut self) {
        let key = regs::RESET_KEY.to_le_bytes();
        let offset = regs::RESET::INFO.offset;
        self.device.write_register(offset, &key).unwrap();
    }

    /// Has a completion torn, in a ring that is full of ones.
    fn tear(&mut self) {
        self.shared.write(Self::ring_place(), &[0xff; 16]);
        self.lie(Lie::TornCompletion);
        self.submit(1);
        assert_eq!(self.completion().unwrap().tag, TAG);
    }

    /// Returns the second half of the first completion.
    fn second_half(&self) -> [u8; 8] {
        let mut bytes = [0; 8];
        self.shared.read(Self::ring_place() + 8, &mut bytes);
        bytes
    }

    fn ring_place() -> u64 {
        blocks::queue(BASE + RINGS, ENTRIES).completion_ring
    }
}

/// Starts queue 0 with rings at this address.
fn start(device: &mut Behind, shared: &Mapped, rings: u64) -> Ring<QueueMemory<Mapped>> {
    let setup = blocks::queue(rings, ENTRIES);
    let queue = admin::start_queue(device, shared.clone(), BASE, &setup).unwrap();
    Ring::new(queue, ENTRIES, true)
}

/// Waits until a condition holds.
fn within(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "{what} does not come");
        thread::yield_now();
    }
}

fn mapped(file: BorrowedFd<'_>, size: usize) -> Arc<MmapRegion> {
    let file = FileOffset::new(file.try_clone_to_owned().unwrap().into(), 0);
    Arc::new(MmapRegion::from_file(file, size).unwrap())
}

impl Registers for Behind {
    type Error = Errno;

    fn read_register(&mut self, offset: usize, bytes: &mut [u8]) -> Result<(), Errno> {
        self.0.read(REGISTER_BAR, offset as u64, bytes)
    }

    fn write_register(&mut self, offset: usize, bytes: &[u8]) -> Result<(), Errno> {
        self.0.write(REGISTER_BAR, offset as u64, bytes)
    }
}

impl Function for Behind {
    fn read_config(&mut self, offset: usize, bytes: &mut [u8]) -> Result<(), Errno> {
        self.0.read(config_space::REGION, offset as u64, bytes)
    }

    fn write_config(&mut self, offset: usize, bytes: &[u8]) -> Result<(), Errno> {
        self.0.write(config_space::REGION, offset as u64, bytes)
    }
}

#[test]
fn device_without_an_order_tells_the_truth() {
    let mut bench = Bench::new();
    bench.submit(2);

    let tags = [(); 2].map(|()| bench.completion().unwrap().tag);

    assert_eq!(tags, [TAG, TAG + 1]);
    assert_eq!((bench.told(), bench.config(SEED)), (0, IDENT));
}

#[test]
fn completion_has_a_foreign_tag() {
    let mut bench = Bench::new();
    bench.lie(Lie::ForeignTag);
    bench.submit(1);

    let tag = bench.completion().unwrap().tag;

    assert_ne!(tag, TAG);
    assert_eq!(bench.told(), 1);
}

#[test]
fn completion_repeats_the_one_before() {
    let mut bench = Bench::new();
    bench.submit(1);
    bench.completion().unwrap();
    bench.lie(Lie::CompletionTwice);
    bench.ring.push(&descriptors::nop(TAG + 7)).unwrap();
    bench.submit(0);

    assert_eq!(bench.completion().unwrap().tag, TAG);
}

#[test]
fn torn_completion_is_completed_with_the_next_one() {
    let mut bench = Bench::new();
    bench.tear();
    let before = bench.second_half();

    bench.submit(1);
    bench.completion().unwrap();

    assert_eq!((before, bench.second_half()), ([0xff; 8], [0; 8]));
}

#[test]
fn torn_completion_is_not_completed_in_the_ring_of_a_queue_that_was_stopped() {
    let mut bench = Bench::new();
    bench.tear();
    bench.stop();

    bench.start(BASE + OTHER_RINGS);
    bench.submit(1);
    bench.completion().unwrap();

    assert_eq!(bench.second_half(), [0xff; 8]);
}

#[test]
fn torn_completion_is_not_completed_in_the_ring_of_a_queue_that_the_driver_takes_for_stopped() {
    let mut bench = Bench::new();
    bench.tear();
    bench.lie(Lie::AdminDropped);
    bench.stop();

    bench.submit(1);
    bench.completion().unwrap();

    assert_eq!(bench.second_half(), [0xff; 8]);
}

#[test]
fn limits_in_the_report_page_lie_with_the_registers_until_the_truth() {
    let mut bench = Bench::new();
    let offset = pages::REPORTED_QUEUE_LIMITS;
    let honest = bench.shared.load(offset);
    let mut told = Vec::new();
    for order in [Lie::LimitsZero as u32, TRUTH, Lie::LimitsHuge as u32, TRUTH] {
        bench.order(order);
        told.push((
            bench.shared.load(offset),
            bench.register(regs::QUEUE_LIMITS::INFO.offset),
        ));
    }

    let lies = [0, honest, u32::MAX, honest].map(|limits| (limits, limits));
    assert_eq!(told, lies);
    assert_ne!(honest, 0);
}

#[test]
fn outcome_that_a_register_lies_about_is_not_in_the_report_page() {
    let mut bench = Bench::new();
    let before = bench.shared.load(pages::OUTCOME);
    bench.lie(Lie::AdminOnes);
    bench.stop();
    let silent = bench.shared.load(pages::OUTCOME);
    bench.order(TRUTH);
    bench.stop();
    let stopped = ErrorCode::QUEUE_STOPPED.0.into();

    let after = bench.shared.load(pages::OUTCOME);

    assert_eq!((silent, after & 0xffff), (before, stopped));
}

#[test]
fn tail_that_jumps_is_no_tail() {
    let mut bench = Bench::new();
    bench.lie(Lie::TailJumps);
    bench.submit(1);

    let error = bench.completion().unwrap_err();

    assert!(
        matches!(error, RingError::BadCompletionTail { .. }),
        "{error:?}"
    );
}

#[test]
fn truth_brings_generation_and_registers_back() {
    let mut bench = Bench::new();
    let honest = (
        bench.word(Word::Generation),
        bench.register(regs::IDENT::INFO.offset),
    );
    bench.lie(Lie::GenerationSteps);
    bench.lie(Lie::IdentWrong);
    let lies = (
        bench.word(Word::Generation),
        bench.register(regs::IDENT::INFO.offset),
    );
    assert!(
        lies.0 != honest.0 && lies.1 != honest.1,
        "{lies:x?} {honest:x?}"
    );

    bench.order(TRUTH);

    let told = (
        bench.word(Word::Generation),
        bench.register(regs::IDENT::INFO.offset),
    );
    assert_eq!(told, honest);
}

#[test]
fn generation_flickers_from_the_first_moment_on() {
    let mut bench = Bench::new();
    let honest = bench.word(Word::Generation);

    bench.lie(Lie::GenerationFlickers);

    assert_ne!(bench.word(Word::Generation), honest);
}

#[test]
fn lies_of_a_seed_are_the_same_again() {
    let lies = |seed: u32| {
        let mut bench = Bench::new();
        bench
            .device
            .write_config(SEED.into(), &seed.to_le_bytes())
            .unwrap();
        bench.lie(Lie::LimitsChange);
        [(); 4].map(|()| {
            let told = bench.register(regs::QUEUE_LIMITS::INFO.offset);
            // Meanwhile the device changes the limits in the report page, again and again.
            thread::sleep(Duration::from_millis(3));
            told
        })
    };

    assert_eq!(lies(7), lies(7));
    assert_ne!(lies(7), lies(8));
}

#[test]
fn dropped_command_is_reported_as_done() {
    let mut bench = Bench::new();
    bench.lie(Lie::AdminDropped);
    bench
        .device
        .write_register(regs::QUEUE_STOP::INFO.offset, &[0; 4])
        .unwrap();

    let outcome = bench.register(regs::ADMIN_STATUS::INFO.offset);

    assert_eq!(outcome, 0);
    bench.submit(1);
    assert_eq!(bench.completion().unwrap().tag, TAG, "the queue runs");
}

#[test]
fn refusal_never_says_that_it_is_done_already() {
    let mut bench = Bench::new();
    bench.lie(Lie::AdminRefuses);
    for _ in 0..1000 {
        bench
            .device
            .write_register(regs::QUEUE_STOP::INFO.offset, &[0; 4])
            .unwrap();
        let outcome = bench.register(regs::ADMIN_STATUS::INFO.offset);

        let done = [
            ErrorCode::NONE,
            ErrorCode::QUEUE_STOPPED,
            ErrorCode::WINDOW_IS_CLOSED,
        ];
        assert!(!done.contains(&ErrorCode(outcome as u16)), "{outcome}");
    }
}

#[test]
fn ignored_reset_steps_no_generation() {
    let mut bench = Bench::new();
    let before = bench.word(Word::Generation);
    bench.lie(Lie::ResetIgnored);
    bench.reset();

    assert_eq!(bench.word(Word::Generation), before);
    assert_eq!(bench.told(), 1);
}

#[test]
fn late_reset_comes_with_the_truth_at_the_latest() {
    let mut bench = Bench::new();
    let before = bench.word(Word::Generation);
    bench.lie(Lie::ResetLate);
    bench.reset();

    bench.order(TRUTH);

    assert_eq!(bench.word(Word::Generation), before + 1);
}

#[test]
fn shape_lies_change_the_bars_from_the_start_on() {
    let size = |lies: &[Lie], bar| device(lies).regions()[bar as usize].size;

    assert_eq!(size(&[], REGISTER_BAR), REGISTER_BAR_SIZE as u64);
    assert_eq!(
        size(&[Lie::RegistersShort], REGISTER_BAR),
        DOORBELL_PAGES as u64
    );
    let least = DEVICE_MEMORY_MIN as u64;
    assert_eq!(size(&[Lie::MemoryShort], DEVICE_MEMORY_BAR), least / 2);
    assert_eq!(size(&[Lie::MemoryAbsent], DEVICE_MEMORY_BAR), 0);
}

#[test]
fn short_bar_still_answers_and_is_counted_as_a_lie() {
    let mut device = Behind(device(&[Lie::RegistersShort]));
    let [mut ident, mut told] = [[0; 4]; 2];
    device
        .read_register(regs::IDENT::INFO.offset, &mut ident)
        .unwrap();
    device.read_config(ORDER.into(), &mut told).unwrap();

    assert_eq!(u32::from_le_bytes(ident), ids::IDENT);
    assert_eq!(u32::from_le_bytes(told), 1);
}

#[test]
fn old_version_is_told_in_place_of_the_device_s() {
    let mut bench = Bench::new();
    let honest = bench.register(regs::VERSION::INFO.offset);

    bench.lie(Lie::VersionOld);

    assert_ne!(honest, 0x2_0004);
    assert_eq!(bench.register(regs::VERSION::INFO.offset), 0x2_0004);
}

#[test]
fn identification_that_is_read_at_once_lies_in_the_part_that_the_lie_is_about() {
    let mut bench = Bench::new();
    let honest = bench.identification();
    let told = [Lie::IdentWrong, Lie::VersionOld].map(|lie| {
        bench.order(TRUTH);
        bench.lie(lie);
        bench.identification()
    });

    assert_eq!(told[0], (honest.0 ^ 0x2020_2020, honest.1));
    assert_eq!(told[1], (honest.0, 0x2_0004));
}

#[test]
fn unknown_order_is_ignored() {
    let mut bench = Bench::new();
    bench.order(u32::MAX);
    bench.submit(1);

    assert_eq!(bench.completion().unwrap().tag, TAG);
}

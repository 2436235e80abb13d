// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A small driver for the device on a [`FakeHost`].
//!
//! For tests and benchmarks. It works as a driver does, by registers, set-up blocks and rings.
//! Device and host stay within reach of the test.

use crate::fake::FakeHost;
use crate::{Config, Device, DmaAddress, Effects, Host as _, Location, LoggedError, Vectors};
use ringbar_driver_side::ring::RingMemory as _;
use ringbar_driver_side::{admin, blocks, QueueMemory, Registers, Shared};
use ringbar_spec::error::ErrorCode;
use ringbar_spec::pages::inline_descriptor;
use ringbar_spec::regs::{Register, ERROR_LAST, KICK};
use ringbar_spec::ring::{slot, Completion, Descriptor, INLINE_LENGTH};
use ringbar_spec::setup::{QueueSetup, Segment, WindowSetup};
use ringbar_spec::wake::{Waiter, Word, Words as _};
use std::convert::Infallible;
use std::rc::Rc;
use zerocopy::IntoBytes;

/// Start of guest memory, so that small numbers are no addresses.
const FIRST_ADDRESS: DmaAddress = 0x1_0000_0000;
/// Unmapped bytes between two allocations.
const GAP: u64 = 1 << 20;

/// A device, its memory, and the effects of it so far.
pub struct TestDriver {
    /// The device.
    pub device: Device,
    /// The memory around it.
    pub host: Rc<FakeHost>,
    /// The time, in nanoseconds.
    pub now: u64,
    /// Interrupts since they were last taken.
    interrupts: Vectors,
    /// Errors since they were last taken.
    errors: Vec<LoggedError>,
    work: bool,
    awake: bool,
    deadline: Option<u64>,
    free: DmaAddress,
}

impl TestDriver {
    /// Makes a device at power-on, with bus mastering on.
    pub fn new(config: Config) -> Self {
        let mut driver = Self {
            device: Device::new(config).expect("a valid configuration"),
            host: Rc::new(FakeHost::new(config.device_memory_size as usize)),
            now: 1_000_000,
            interrupts: Vectors::NONE,
            errors: Vec::new(),
            work: false,
            awake: false,
            deadline: None,
            free: FIRST_ADDRESS,
        };
        driver.device.show(&*driver.host);
        driver.set_bus_master(true);
        driver
    }

    /// Reads `width` bytes at an offset of BAR 0.
    pub fn read(&mut self, offset: u64, width: usize) -> u64 {
        // Not 0, so that a read that fills nothing in is noticed.
        let mut data = [0xaa; 8];
        let effects = self.device.read(offset, &mut data[..width], self.now);
        self.note(effects);
        let mut value = [0; 8];
        value[..width].copy_from_slice(&data[..width]);
        u64::from_le_bytes(value)
    }

    /// Writes `width` bytes at an offset of BAR 0.
    pub fn write(&mut self, offset: u64, width: usize, value: u64) {
        let data = value.to_le_bytes();
        let effects = self
            .device
            .write(offset, &data[..width], self.now, &*self.host);
        self.note(effects);
    }

    /// Reads a register as a whole.
    pub fn get(&mut self, register: Register) -> u64 {
        Registers::get(self, register).unwrap_or_else(|never| match never {})
    }

    /// Writes a register as a whole.
    pub fn set(&mut self, register: Register, value: u64) {
        Registers::set(self, register, value).unwrap_or_else(|never| match never {});
    }

    /// Switches bus mastering.
    pub fn set_bus_master(&mut self, on: bool) {
        let effects = self.device.set_bus_master(on);
        self.note(effects);
    }

    /// Resets the function, as configuration space does.
    pub fn reset(&mut self) {
        let effects = self.device.reset(self.now, &*self.host);
        self.note(effects);
    }

    /// Takes the errors that went into the log since the last call, the oldest first.
    pub fn take_errors(&mut self) -> Vec<LoggedError> {
        std::mem::take(&mut self.errors)
    }

    /// Runs one step of the device. Returns whether it has more to do.
    pub fn step(&mut self) -> bool {
        self.host.set_time(self.now);
        let effects = self.device.step(&*self.host);
        self.note(effects);
        self.work
    }

    /// Steps until the device has nothing to do. Returns the number of steps.
    pub fn run(&mut self) -> usize {
        let mut steps = 0;
        while self.work {
            self.step();
            steps += 1;
        }
        steps
    }

    /// Runs one polling pass of the device. Returns whether it found something to do.
    pub fn poll(&mut self) -> bool {
        self.host.set_time(self.now);
        let effects = self.device.poll(&*self.host);
        self.note(effects);
        self.work
    }

    /// Ends the polling time. Returns whether all queues sleep.
    pub fn sleep(&mut self) -> bool {
        let effects = self.device.sleep(&*self.host);
        self.note(effects);
        !self.awake
    }

    /// Polls and steps until there is nothing to do, then lets the queues sleep.
    pub fn rest(&mut self) {
        loop {
            self.run();
            if !self.poll() && self.sleep() {
                break;
            }
        }
    }

    /// Returns whether the device wants to be polled.
    pub fn is_awake(&self) -> bool {
        self.awake
    }

    /// Returns whether the device asked for a step.
    pub fn has_work(&self) -> bool {
        self.work
    }

    /// Returns the time at which the device wants to be polled at the latest.
    pub fn deadline(&self) -> Option<u64> {
        self.deadline
    }

    /// Takes the interrupt vectors that were raised since the last call.
    pub fn take_interrupts(&mut self) -> Vec<u16> {
        std::mem::take(&mut self.interrupts).iter().collect()
    }

    /// Maps zeroed guest memory with unmapped memory around it.
    pub fn allocate(&mut self, length: usize) -> DmaAddress {
        let address = self.free;
        self.host.map(address, vec![0; length], true);
        self.free = (address + length as u64 + GAP).next_multiple_of(4096);
        address
    }

    /// Writes an admin command. Returns its outcome.
    pub fn admin(&mut self, command: Register, value: u64) -> ErrorCode {
        self.set(command, value);
        ErrorCode(self.get(Register::ADMIN_STATUS) as u16)
    }

    /// Returns the newest error: its code, the queue concerned, the value that caused it.
    pub fn last_error(&mut self) -> (ErrorCode, u16, u64) {
        let last = ERROR_LAST::from_raw(self.get(Register::ERROR_LAST) as u32);
        let value = self.get(Register::ERROR_VALUE);
        (ErrorCode(last.code() as u16), last.queue() as u16, value)
    }

    /// Writes a block and starts the queue that it describes. Returns the outcome.
    pub fn queue_start(&mut self, setup: &QueueSetup) -> ErrorCode {
        let block = self.allocate(size_of::<QueueSetup>());
        self.host.poke(Location::Guest(block), setup.as_bytes());
        self.admin(Register::QUEUE_START, block)
    }

    /// Writes a block with segments and opens the window that it describes. Returns the outcome.
    pub fn window_open(&mut self, setup: &WindowSetup, segments: &[Segment]) -> ErrorCode {
        let bytes = [setup.as_bytes(), segments.as_bytes()].concat();
        let block = self.allocate(bytes.len());
        self.host.poke(Location::Guest(block), &bytes);
        self.admin(Register::WINDOW_OPEN, block)
    }

    /// Opens a window on segments.
    ///
    /// # Panics
    ///
    /// Panics if the device refuses.
    pub fn open_segments(&mut self, window: u16, domain: u32, rights: u32, segments: &[Segment]) {
        let setup = WindowSetup {
            window: window.into(),
            domain,
            ..blocks::segments(rights, segments)
        };
        assert_eq!(self.window_open(&setup, segments), ErrorCode::NONE);
    }

    /// Opens a window on a range of device memory.
    ///
    /// # Panics
    ///
    /// Panics if the device refuses.
    pub fn open_device_memory(
        &mut self,
        window: u16,
        domain: u32,
        rights: u32,
        offset: u64,
        length: u64,
    ) {
        let setup = WindowSetup {
            window: window.into(),
            domain,
            ..blocks::device_memory(rights, offset, length)
        };
        assert_eq!(self.window_open(&setup, &[]), ErrorCode::NONE);
    }

    /// Starts a queue with rings of `entries`.
    ///
    /// # Panics
    ///
    /// Panics if the device refuses.
    pub fn start_ring(&mut self, queue: u16, domain: u32, entries: u32, vector: u16) -> Ring {
        let setup = QueueSetup {
            queue: queue.into(),
            domain,
            submission_ring: self.allocate(entries as usize * size_of::<Descriptor>()),
            completion_ring: self.allocate(entries as usize * size_of::<Completion>()),
            submission_entries: entries,
            completion_entries: entries,
            vector: vector.into(),
            ..QueueSetup::default()
        };
        let block = self.allocate(size_of::<QueueSetup>());
        let started = admin::start_queue(self, self.host.clone(), block, &setup);
        started.expect("the device starts the queue");
        Ring {
            queue,
            setup,
            submitted: 0,
            taken: 0,
        }
    }

    /// Takes over the effects of a call.
    fn note(&mut self, effects: Effects) {
        self.errors.extend(effects.errors);
        self.interrupts |= effects.interrupts;
        self.work = effects.work;
        self.awake = effects.awake;
        self.deadline = effects.deadline;
    }
}

impl Registers for TestDriver {
    type Error = Infallible;

    fn read_register(&mut self, offset: usize, bytes: &mut [u8]) -> Result<(), Infallible> {
        let value = self.read(offset as u64, bytes.len()).to_le_bytes();
        bytes.copy_from_slice(&value[..bytes.len()]);
        Ok(())
    }

    fn write_register(&mut self, offset: usize, bytes: &[u8]) -> Result<(), Infallible> {
        let effects = self
            .device
            .write(offset as u64, bytes, self.now, &*self.host);
        self.note(effects);
        Ok(())
    }
}

impl Shared for FakeHost {
    fn load(&self, offset: usize) -> u32 {
        self.word(offset)
    }

    fn store(&self, offset: usize, value: u32) {
        self.set_word(offset, value);
    }

    fn read_page(&self, offset: usize, bytes: &mut [u8]) {
        self.read_shared(offset, bytes);
    }

    fn write_page(&self, offset: usize, bytes: &[u8]) {
        self.set_shared(offset, bytes);
    }

    fn read(&self, address: u64, bytes: &mut [u8]) {
        bytes.copy_from_slice(&self.peek(Location::Guest(address), bytes.len()));
    }

    fn write(&self, address: u64, bytes: &[u8]) {
        self.poke(Location::Guest(address), bytes);
    }
}

/// The driver's side of a queue, which may break any rule of the rings.
pub struct Ring {
    /// Number of the queue.
    pub queue: u16,
    /// Block that the queue was started with.
    pub setup: QueueSetup,
    /// Number of descriptors submitted.
    pub submitted: u32,
    /// Number of completions taken.
    pub taken: u32,
}

impl Ring {
    /// Writes a descriptor to the ring, and leaves the doorbell as it is.
    pub fn push(&mut self, driver: &TestDriver, descriptor: &Descriptor) {
        let slot = slot(self.submitted, self.setup.submission_entries);
        self.memory(driver).put(slot, descriptor);
        self.submitted = self.submitted.wrapping_add(1);
    }

    /// Rings the doorbell and kicks.
    pub fn kick(&self, driver: &mut TestDriver) {
        self.ring(driver);
        let kick = KICK::INFO.offset_of(self.queue.into());
        driver.write(kick.expect("a queue that the layout has") as u64, 4, 0);
    }

    /// Writes a descriptor beside the doorbell, and marks it as valid.
    pub fn put_inline(&self, driver: &TestDriver, descriptor: &Descriptor) {
        let place = inline_descriptor(self.queue.into());
        let bytes = &descriptor.as_bytes()[..INLINE_LENGTH];
        driver.host.set_shared(place, bytes);
        self.say_inline(driver, true);
    }

    /// Stores whether a descriptor stands beside the doorbell.
    pub fn say_inline(&self, driver: &TestDriver, valid: bool) {
        let words = self.memory(driver);
        words.store(Word::SubmissionInline, valid.into());
    }

    /// Returns the completion that the device shows beside its tail.
    pub fn inline_completion(&self, driver: &TestDriver) -> Completion {
        self.memory(driver).get_inline()
    }

    /// Rings the doorbell: stores the submission tail and the completion head.
    pub fn ring(&self, driver: &TestDriver) {
        let words = self.memory(driver);
        words.store(Word::SubmissionTail, self.submitted);
        words.store(Word::CompletionHead, self.taken);
    }

    /// Asks for an interrupt when completion `index` is posted.
    pub fn arm(&self, driver: &TestDriver, waiter: Waiter, index: u32) {
        self.memory(driver).store(waiter.word(), index);
    }

    /// Asks for no interrupt: names a completion that was posted long ago.
    pub fn disarm(&self, driver: &TestDriver) {
        for waiter in [Waiter::Process, Waiter::Driver] {
            self.arm(driver, waiter, self.taken.wrapping_sub(1));
        }
    }

    /// Returns the completion tail that the device shows.
    pub fn completion_tail(&self, driver: &TestDriver) -> u32 {
        self.word(driver, Word::CompletionTail)
    }

    /// Returns a shared word of the queue.
    pub fn word(&self, driver: &TestDriver, word: Word) -> u32 {
        self.memory(driver).load(word)
    }

    /// Takes a completion, if there is one.
    pub fn take(&mut self, driver: &TestDriver) -> Option<Completion> {
        if self.taken == self.completion_tail(driver) {
            return None;
        }
        let slot = slot(self.taken, self.setup.completion_entries);
        self.taken = self.taken.wrapping_add(1);
        Some(self.memory(driver).get(slot))
    }

    /// Takes all completions.
    pub fn take_all(&mut self, driver: &TestDriver) -> Vec<Completion> {
        std::iter::from_fn(|| self.take(driver)).collect()
    }

    /// Takes all completions and returns their tags.
    pub fn take_tags(&mut self, driver: &TestDriver) -> Vec<u32> {
        self.take_all(driver).iter().map(|it| it.tag).collect()
    }

    /// Submits one descriptor, runs the device and takes the completion.
    ///
    /// # Panics
    ///
    /// Panics if there is no completion then.
    pub fn carry_out(&mut self, driver: &mut TestDriver, descriptor: &Descriptor) -> Completion {
        self.push(driver, descriptor);
        self.kick(driver);
        driver.run();
        self.take(driver).expect("a completion")
    }

    /// Returns the queue's words and entries.
    fn memory<'a>(&self, driver: &'a TestDriver) -> QueueMemory<&'a FakeHost> {
        QueueMemory::new(&driver.host, &self.setup)
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Bring-up, set-up blocks and the error log against the device model, in one process.

use ringbar_driver_side::descriptors::{copy, fill, nop};
use ringbar_driver_side::ring::Ring;
use ringbar_driver_side::{
    admin, blocks, bring_up, error_log, Error, Function, QueueMemory, Registers, Shared,
};
use ringbar_model::fake::FakeHost;
use ringbar_model::test_driver::TestDriver;
use ringbar_model::Config;
use ringbar_spec::error::ErrorCode;
use ringbar_spec::ids::{DEVICE_ID, VENDOR_ID};
use ringbar_spec::regs::{Register, ERROR_LOG_ENTRIES};
use ringbar_spec::ring::{Completion, Descriptor, Status};
use ringbar_spec::setup::{QueueSetup, Segment, WindowSetup, RIGHT_READ, RIGHT_WRITE};
use ringbar_spec::wake::{Waiter, Word, Words};
use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;

const ENTRIES: u32 = 4;
const BOTH: u32 = RIGHT_READ | RIGHT_WRITE;

/// An access of the driver side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    ReadConfig(usize),
    WriteConfig(usize, u16),
    ReadRegister(usize),
    WriteRegister(usize),
    StoreWord(usize),
    WriteMemory(u64),
}

/// A function with the device model behind it. It records each access.
struct Machine {
    driver: TestDriver,
    shared: Recorded,
    ids: [u16; 2],
    memory_space: bool,
    /// Each byte that is read where no device answers.
    nothing: u8,
    block: u64,
}

/// Shared memory of a [`Machine`].
#[derive(Clone)]
struct Recorded {
    host: Rc<FakeHost>,
    accesses: Rc<RefCell<Vec<Access>>>,
}

type Queue = Ring<QueueMemory<Recorded>>;

impl Machine {
    /// Makes a device that is off, as after power-on.
    fn new() -> Self {
        let mut driver = TestDriver::new(Config {
            queues: 2,
            vectors: 3,
            device_memory_size: 1 << 20,
            boot_number: 1,
        });
        driver.set_bus_master(false);
        let shared = Recorded {
            host: driver.host.clone(),
            accesses: Rc::default(),
        };
        let block = driver.allocate(4096);
        Self {
            driver,
            shared,
            ids: [VENDOR_ID, DEVICE_ID],
            memory_space: false,
            nothing: 0xff,
            block,
        }
    }

    /// Makes a device that another driver left as it was, with a queue that has work.
    fn used() -> Self {
        let mut this = Self::new();
        this.driver.set_bus_master(true);
        let mut ring = this.driver.start_ring(0, 7, ENTRIES, 1);
        ring.arm(&this.driver, Waiter::Driver, 0);
        (0..ENTRIES).for_each(|tag| ring.push(&this.driver, &nop(tag)));
        ring.kick(&mut this.driver);
        ring.say_inline(&this.driver, true);
        this.driver.set_bus_master(false);
        this.driver.take_interrupts();
        this
    }

    /// Makes a device that is up.
    fn up() -> (Self, Queue) {
        let mut this = Self::new();
        bring_up::begin(&mut this).unwrap();
        let (queue, _) = this.start_queue().unwrap();
        (this, queue)
    }

    fn start_queue(&mut self) -> Result<(Queue, QueueSetup), Error<Infallible>> {
        let rings = self.driver.allocate(blocks::ring_bytes(ENTRIES));
        let setup = QueueSetup {
            vector: 1,
            ..blocks::queue(rings, ENTRIES)
        };
        let (shared, block) = (self.shared.clone(), self.block);
        let memory = admin::start_queue(self, shared, block, &setup)?;
        Ok((Ring::new(memory, ENTRIES, true), setup))
    }

    fn open_window(&mut self, window: u32, setup: WindowSetup, list: &[Segment]) {
        let setup = WindowSetup { window, ..setup };
        let (shared, block) = (self.shared.clone(), self.block);
        admin::open_window(self, shared, block, &setup, list).unwrap();
    }

    fn carry_out(&mut self, queue: &mut Queue, descriptor: &Descriptor) -> Completion {
        queue.push(descriptor).unwrap();
        if queue.submit() {
            self.kick(0).unwrap();
        }
        self.driver.rest();
        queue.pop().unwrap().expect("a completion")
    }

    fn note(&self, access: Access) {
        self.shared.accesses.borrow_mut().push(access);
    }
}

impl Registers for Machine {
    type Error = Infallible;

    fn read_register(&mut self, offset: usize, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.note(Access::ReadRegister(offset));
        // No device answers where memory space is off.
        bytes.fill(self.nothing);
        match self.memory_space {
            true => self.driver.read_register(offset, bytes),
            false => Ok(()),
        }
    }

    fn write_register(&mut self, offset: usize, bytes: &[u8]) -> Result<(), Infallible> {
        self.note(Access::WriteRegister(offset));
        match self.memory_space {
            true => self.driver.write_register(offset, bytes),
            false => Ok(()),
        }
    }
}

impl Function for Machine {
    fn read_config(&mut self, offset: usize, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.note(Access::ReadConfig(offset));
        let [vendor, device] = self.ids.map(u16::to_le_bytes);
        bytes.copy_from_slice(&[vendor, device].concat());
        Ok(())
    }

    fn write_config(&mut self, offset: usize, bytes: &[u8]) -> Result<(), Infallible> {
        let command = u16::from_le_bytes(bytes.try_into().expect("the command register"));
        self.note(Access::WriteConfig(offset, command));
        self.memory_space = command & 2 != 0;
        self.driver.set_bus_master(command & 4 != 0);
        // The device is faster than the driver's next access.
        self.driver.rest();
        Ok(())
    }
}

impl Shared for Recorded {
    fn load(&self, offset: usize) -> u32 {
        self.host.load(offset)
    }

    fn store(&self, offset: usize, value: u32) {
        self.accesses.borrow_mut().push(Access::StoreWord(offset));
        self.host.store(offset, value);
    }

    fn read_page(&self, offset: usize, bytes: &mut [u8]) {
        self.host.read_page(offset, bytes);
    }

    fn write_page(&self, offset: usize, bytes: &[u8]) {
        self.host.write_page(offset, bytes);
    }

    fn read(&self, address: u64, bytes: &mut [u8]) {
        Shared::read(&self.host, address, bytes);
    }

    fn write(&self, address: u64, bytes: &[u8]) {
        let mut accesses = self.accesses.borrow_mut();
        accesses.push(Access::WriteMemory(address));
        Shared::write(&self.host, address, bytes);
    }
}

#[test]
fn steps_have_the_order_of_the_data_sheet() {
    let mut machine = Machine::new();

    bring_up::begin(&mut machine).unwrap();
    machine.start_queue().unwrap();

    let register = |register: Register| register.info().offset;
    let word = |word: Word| Access::StoreWord(word.offset(0));
    let accesses = machine.shared.accesses.borrow();
    assert_eq!(
        *accesses,
        [
            // Step 1.
            Access::WriteConfig(4, 2),
            // Step 2.
            Access::ReadConfig(0),
            Access::ReadRegister(register(Register::VERSION)),
            Access::ReadRegister(register(Register::IDENT)),
            Access::WriteRegister(register(Register::RESET)),
            Access::WriteConfig(4, 6),
            // Step 4.
            word(Word::SubmissionTail),
            word(Word::SubmissionInline),
            word(Word::CompletionHead),
            word(Word::InterruptAt),
            word(Word::DriverInterruptAt),
            Access::WriteMemory(machine.block),
            Access::WriteRegister(register(Register::QUEUE_START)),
            Access::ReadRegister(register(Register::ADMIN_STATUS)),
            Access::ReadRegister(register(Register::IDENT)),
        ]
    );
}

#[test]
fn device_that_was_used_before_works_after_bring_up() {
    let mut machine = Machine::used();

    bring_up::begin(&mut machine).unwrap();
    let (mut queue, _) = machine.start_queue().unwrap();

    let completion = machine.carry_out(&mut queue, &nop(5));
    assert_eq!((completion.tag, completion.status), (5, Status::OK.0));
    assert_eq!(
        machine.driver.take_interrupts(),
        [],
        "nobody asked for an interrupt"
    );
}

#[test]
fn work_that_a_former_driver_left_never_goes_on() {
    let mut machine = Machine::used();
    let memory = machine.driver.host.snapshot();

    bring_up::begin(&mut machine).unwrap();

    machine.driver.rest();
    assert_eq!(machine.driver.host.snapshot(), memory);
    assert_eq!(machine.driver.take_interrupts(), []);
}

#[test]
fn words_of_a_queue_that_was_used_are_cleared_before_it_starts_again() {
    let (mut machine, mut queue) = Machine::up();
    for tag in 0..3 {
        machine.carry_out(&mut queue, &nop(tag));
    }
    admin::command(&mut machine, Register::QUEUE_STOP, 0).unwrap();

    let (mut queue, _) = machine.start_queue().unwrap();

    let words = [
        Word::SubmissionTail,
        Word::SubmissionInline,
        Word::CompletionHead,
        Word::InterruptAt,
        Word::DriverInterruptAt,
    ];
    let words = words.map(|word| queue.memory().load(word));
    assert_eq!(words, [0, 0, 0, u32::MAX, u32::MAX]);
    assert_eq!(machine.carry_out(&mut queue, &nop(9)).tag, 9);
}

#[test]
fn rings_of_a_queue_stand_one_behind_the_other() {
    let setup = blocks::queue(0x1000, ENTRIES);

    assert_eq!(setup.submission_ring, 0x1000);
    assert_eq!(setup.completion_ring, 0x1000 + 4 * 64);
    assert_eq!(blocks::ring_bytes(ENTRIES), 4 * 64 + 4 * 16);
}

#[test]
fn other_device_is_refused_and_not_reset() {
    let mut machine = Machine::used();
    machine.ids[1] ^= 1;

    let error = bring_up::begin(&mut machine).unwrap_err();

    let found = u64::from(DEVICE_ID ^ 1) << 16 | u64::from(VENDOR_ID);
    assert!(
        matches!(error, Error::WrongDevice { property: "vendor and device", found: it, .. } if it == found),
        "{error}"
    );
    assert_eq!(machine.driver.get(Register::RESET_GENERATION), 1);
}

#[test]
fn refused_command_is_named_with_its_code() {
    let (mut machine, _queue) = Machine::up();

    let error = machine.start_queue().map(|_| ()).unwrap_err();

    assert_eq!(error.to_string(), "QUEUE_START was refused: QUEUE_RUNS");
}

#[test]
fn windows_of_both_kinds_show_their_memory() {
    let (mut machine, mut queue) = Machine::up();
    let list = [100, 28].map(|length| Segment {
        address: machine.driver.allocate(length),
        length: length as u64,
    });
    machine.open_window(1, blocks::segments(BOTH, &list), &list);
    machine.open_window(2, blocks::device_memory(BOTH, 4096, 128), &[]);

    for descriptor in [
        fill(1, 0x0101_0101_0101_0101, (2, 0), 128),
        copy(2, (2, 0), (1, 0), 128),
    ] {
        let completion = machine.carry_out(&mut queue, &descriptor);
        assert_eq!(Status(completion.status), Status::OK);
    }

    for segment in list {
        let mut bytes = vec![0; segment.length as usize];
        Shared::read(&machine.shared, segment.address, &mut bytes);
        assert_eq!(bytes, vec![1; bytes.len()]);
    }
    let past = fill(3, 0, (2, 0), 129);
    let completion = machine.carry_out(&mut queue, &past);
    assert_eq!(Status(completion.status), Status::OUT_OF_BOUNDS);
}

#[test]
fn error_log_is_taken_once_with_the_newest_errors() {
    let (mut machine, _queue) = Machine::up();
    let windows = 1..=ERROR_LOG_ENTRIES as u64 + 4;
    for window in windows.clone() {
        let closed = admin::command(&mut machine, Register::WINDOW_CLOSE, window);
        assert!(closed.is_err());
    }

    let logged = error_log::take(&mut machine).unwrap();

    let values: Vec<u64> = logged.iter().map(|it| it.value).collect();
    assert_eq!(values, windows.skip(4).collect::<Vec<_>>());
    assert!(logged.iter().all(|it| it.queue == u16::MAX));
    assert!(logged.iter().all(|it| it.code != ErrorCode::NONE));
    assert_eq!(error_log::take(&mut machine).unwrap(), []);
}

#[test]
fn command_to_a_bar_that_is_not_there_fails_whatever_is_read() {
    for nothing in [0, 0xff] {
        let (mut machine, _queue) = Machine::up();
        machine.memory_space = false;
        machine.nothing = nothing;

        let stopped = admin::command(&mut machine, Register::QUEUE_STOP, 0);

        let found = u64::from(u32::from_ne_bytes([nothing; 4]));
        let silent = matches!(stopped, Err(Error::WrongDevice { found: is, .. }) if is == found);
        assert!(silent, "{stopped:?}");
    }
}

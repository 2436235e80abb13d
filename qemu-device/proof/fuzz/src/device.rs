// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The device in the server's surroundings: accesses to registers and configuration space, rings,
//! windows and DMA mappings. In most inputs a second thread changes all shared memory at the same
//! time.
//!
//! Invariants: the device writes only bytes that a window shows for writing. Completions and shared
//! words have values of the data sheet. A step posts at most as many completions as it may. Without
//! the second thread, each descriptor gets exactly one completion, in order.

mod guest;
mod race;

use std::collections::VecDeque;

use ringbar_driver_side::bring_up::{COMMAND, COMMAND_ON};
use ringbar_endpoint::{config_space, Endpoint};
use ringbar_server::events::Events;
use ringbar_server::ringbar::{self, Ringbar};
use ringbar_server::Options;
use ringbar_spec::ids::IDENT;
use ringbar_spec::layout::{
    ADMIN_PAGE, DEVICE_MEMORY_BAR, DOORBELL_PAGES, KICK_PAGES, REGISTER_BAR, REPORT_PAGE,
    STATUS_PAGES,
};
use ringbar_spec::pages::{QUEUE_RUNNING, QUEUE_STOPPED};
use ringbar_spec::regs::{Register, KICK, RESET_KEY, STATUS};
use ringbar_spec::ring::{Descriptor, Opcode};
use ringbar_spec::setup::{QueueSetup, Segment, WindowKind, WindowSetup, RIGHT_READ, RIGHT_WRITE};
use ringbar_spec::wake::Word;
use ringbar_vfio_user::Device as _;
use zerocopy::{FromBytes as _, IntoBytes as _};

use crate::input::Input;
use guest::{
    completion_ring, submission_ring, Guest, BASE, DEVICE_MEMORY, DEVICE_MEMORY_GUARD, ENTRIES,
    GUARDS, OPEN, PAGE, PAGES, SETUP,
};
use race::Race;

/// Most actions per input.
const MOST: usize = 256;
/// Queues of the device.
const QUEUES: u16 = 2;
/// Most descriptors per step.
const STEP: u32 = 64;
/// Steps after which the target stops to run a device that always has work.
const STEPS: usize = 8;
/// First page of a DMA mapping of its own, which is unmapped and mapped again.
const MOVABLE: u64 = 7;
/// Segments that a block has room for.
const SEGMENTS: usize = 3;

/// A device and its guest.
struct World<'a> {
    device: Endpoint<Ringbar>,
    guest: &'a Guest,
    queues: [Queue; QUEUES as usize],
    /// Whether no second thread changes memory while the device works.
    quiet: bool,
    /// Whether set-up blocks stay unchanged.
    set_up_holds: bool,
    /// Whether only the device writes its words.
    own_words: bool,
    done: u64,
}

/// A queue, as the guest knows it.
struct Queue {
    completion_ring: u64,
    /// 0 if the second thread may have changed the device's value.
    completion_entries: u32,
    submitted: u32,
    /// Tags of the descriptors in the submission ring, by slot.
    slots: [u8; ENTRIES as usize],
    /// Tags of submitted and uncompleted descriptors; `None` if the second thread may have changed
    /// them.
    tags: Option<VecDeque<u8>>,
}

/// Runs the target. Returns the number of descriptors that the input made.
pub fn run(data: &[u8]) -> u64 {
    let mut input = Input::new(data);
    let mut options = Options::new("none");
    options.queues = QUEUES;
    options.device_memory = DEVICE_MEMORY;
    let device = ringbar::endpoint(&options, Events::default()).expect("a device");
    let guest = Guest::new(&device);
    let race = Race::new(&mut input);
    let mut world = World {
        device,
        guest: &guest,
        queues: Queue::all(),
        quiet: race.is_off(),
        set_up_holds: !race.has_set_up(),
        own_words: !race.scribbles(),
        done: 0,
    };
    world.bring_up(&mut input);
    race.during(&guest, || {
        let mut actions = 0;
        while input.more() && actions < MOST {
            world.act(&mut input);
            world.check();
            actions += 1;
        }
    });
    guest.check_guards();
    world.done
}

impl World<'_> {
    /// Brings the device up, as a driver does.
    fn bring_up(&mut self, input: &mut Input<'_>) {
        self.guest.map(&mut self.device, 0, MOVABLE);
        self.guest.map(&mut self.device, MOVABLE, PAGES - MOVABLE);
        self.config(COMMAND as u64, &COMMAND_ON.to_le_bytes());
        for number in 0..QUEUES {
            self.start_queue(&queue_setup(number));
        }
        for window in 1..=3 {
            let (setup, list) = window_setup(input);
            self.open_window(&WindowSetup { window, ..setup }, &list);
        }
    }

    fn act(&mut self, input: &mut Input<'_>) {
        match input.byte() {
            0..=63 => self.submit(input),
            64..=119 => self.submit_again(input),
            120..=159 => self.run(),
            160..=167 => self.step(),
            168..=175 => self.device.run(Ringbar::sleep),
            176..=191 => self.take(u16::from(input.byte()) % QUEUES),
            192..=199 => self.read(input),
            200..=207 => self.write(input),
            208..=215 => self.start_queue(&any_queue_setup(input)),
            216..=231 => {
                let (setup, list) = window_setup(input);
                self.open_window(&setup, &list);
            }
            232..=235 => {
                let window = u32::from(input.byte() % 8);
                self.command(Register::WINDOW_CLOSE, window.into());
            }
            236..=239 => {
                let queue = u16::from(input.byte() % 4);
                self.command(Register::QUEUE_STOP, queue.into());
                self.forget();
            }
            240..=243 => match input.byte() % 2 {
                0 => Guest::unmap(&mut self.device, MOVABLE, PAGES - MOVABLE),
                _ => self.guest.map(&mut self.device, MOVABLE, PAGES - MOVABLE),
            },
            244..=251 => {
                let at = COMMAND as u64;
                match input.byte() {
                    0..=63 => self.config(at, &0_u16.to_le_bytes()),
                    64..=191 => self.config(at, &COMMAND_ON.to_le_bytes()),
                    byte => {
                        self.forget();
                        self.config(input.field() % 256, &vec![byte; (byte % 5).into()]);
                    }
                }
            }
            252..=253 => {
                self.forget();
                self.device.reset().expect("a reset is never refused");
            }
            _ => {
                self.forget();
                self.command(Register::RESET, RESET_KEY.into());
            }
        }
    }

    /// Puts descriptors into a ring, as far as there is room.
    fn submit(&mut self, input: &mut Input<'_>) {
        let number = u16::from(input.byte()) % QUEUES;
        let count = u32::from(input.byte() % 16) + 1;
        let count = match self.quiet {
            true => count.min(self.room(number)),
            false => count,
        };
        let queue = &mut self.queues[usize::from(number)];
        for index in (queue.submitted..).take(count as usize) {
            let descriptor = descriptor(input);
            self.guest.put(number, index, &descriptor);
            // The completion has the whole tag, but this byte is enough to distinguish descriptors.
            queue.slots[(index % ENTRIES) as usize] = descriptor.tag as u8;
        }
        self.ring(input, number, count);
    }

    /// Takes all completions, and submits the ring's old entries again, as far as there is room.
    fn submit_again(&mut self, input: &mut Input<'_>) {
        let number = u16::from(input.byte()) % QUEUES;
        self.take(number);
        self.ring(input, number, self.room(number));
    }

    /// Submits the ring's entries, and kicks in most cases.
    fn ring(&mut self, input: &mut Input<'_>, number: u16, count: u32) {
        let queue = &mut self.queues[usize::from(number)];
        for _ in 0..count {
            let slot = queue.submitted % ENTRIES;
            queue.submitted = queue.submitted.wrapping_add(1);
            if let Some(tags) = queue.tags.as_mut() {
                tags.push_back(queue.slots[slot as usize]);
            }
        }
        let tail = queue.submitted;
        let byte = input.byte();
        // Every other time, a single descriptor in flight is also copied beside the tail.
        let last = tail.wrapping_sub(1);
        let single = byte.is_multiple_of(2)
            && count == 1
            && self.guest.word(Word::CompletionTail, number) == last
            && self.guest.put_inline(number, last);
        self.guest
            .set_word(Word::SubmissionInline, number, single.into());
        self.guest.set_word(Word::SubmissionTail, number, tail);
        if byte < 224 {
            let kick = KICK::INFO.offset_of(number.into());
            let kick = kick.expect("a queue of the device") as u64;
            self.put(REGISTER_BAR, kick, &[0; 4]);
        }
    }

    /// Returns the number of free slots in the submission ring.
    fn room(&self, queue: u16) -> u32 {
        let done = self.guest.word(Word::CompletionTail, queue);
        let submitted = self.queues[usize::from(queue)].submitted;
        ENTRIES.saturating_sub(submitted.wrapping_sub(done))
    }

    /// Takes all completions of a queue.
    fn take(&self, queue: u16) {
        let tail = self.guest.word(Word::CompletionTail, queue);
        self.guest.set_word(Word::CompletionHead, queue, tail);
    }

    /// Works like the server's thread.
    fn run(&mut self) {
        let mut steps = 0;
        self.device.run(Ringbar::poll);
        while self.device.function().has_steps() && steps < STEPS {
            self.step();
            self.device.run(Ringbar::poll);
            steps += 1;
        }
        if steps < STEPS {
            self.check_all_done();
        }
    }

    /// Runs one step and checks its effects.
    fn step(&mut self) {
        let tail = |number| self.guest.word(Word::CompletionTail, number);
        let before: Vec<u32> = (0..QUEUES).map(tail).collect();
        self.device.run(Ringbar::step);
        if !self.own_words {
            return;
        }
        let mut all = 0;
        for (number, before) in (0..).zip(before) {
            let posted = tail(number).wrapping_sub(before);
            all += posted;
            assert!(all <= STEP, "{all} completions in a step");
            let queue = &mut self.queues[usize::from(number)];
            for index in 0..posted {
                if queue.completion_entries == 0 {
                    continue;
                }
                let tag = self.guest.completion(queue, before.wrapping_add(index));
                if let Some(tags) = queue.tags.as_mut() {
                    assert_eq!(tags.pop_front(), Some(tag as u8), "tag of a completion");
                }
            }
        }
        self.done += u64::from(all);
    }

    /// Fails if an awake queue without work and with room for completions has not completed
    /// everything.
    fn check_all_done(&self) {
        if self.device.function().has_steps() || !self.device.function().is_awake() {
            return;
        }
        for (number, queue) in (0..).zip(&self.queues) {
            let word = |info| self.guest.word(info, number);
            let done = word(Word::CompletionTail);
            let full = done.wrapping_sub(word(Word::CompletionHead)) >= queue.completion_entries;
            let waits = word(Word::Sleeping) != 0 || full;
            if let Some(tags) = queue.tags.as_ref().filter(|_| !waits)
                && word(Word::QueueState) == QUEUE_RUNNING
            {
                assert_eq!(tags.len(), 0, "descriptors left behind in queue {number}");
            }
        }
    }

    fn read(&mut self, input: &mut Input<'_>) {
        let (region, at) = any_place(input);
        let mut data = vec![0; width(input)];
        self.get(region, at, &mut data);
    }

    fn write(&mut self, input: &mut Input<'_>) {
        let (region, at) = any_place(input);
        let width = width(input);
        let data = input.bytes(width).to_vec();
        if region == DEVICE_MEMORY_BAR {
            // The guest may write its own guard.
            return;
        }
        self.forget();
        if region == REGISTER_BAR && at >= STATUS_PAGES as u64 {
            self.own_words = false;
            self.quiet = false;
        }
        self.put(region, at, &data);
    }

    /// Forgets the state of all queues, which an access may have changed.
    fn forget(&mut self) {
        for queue in &mut self.queues {
            queue.tags = None;
        }
    }

    /// Writes to a region, as far as the session lets a client.
    fn put(&mut self, region: u32, at: u64, data: &[u8]) {
        if self.holds(region, at, data.len()) {
            let written = self.device.write(region, at, data);
            written.expect("an access inside is not refused");
        }
    }

    /// Reads from a region, as far as the session lets a client.
    fn get(&mut self, region: u32, at: u64, data: &mut [u8]) {
        if self.holds(region, at, data.len()) {
            let read = self.device.read(region, at, data);
            read.expect("an access inside is not refused");
        }
    }

    fn holds(&self, region: u32, at: u64, length: usize) -> bool {
        let region = self.device.regions().get(region as usize);
        region.is_some_and(|region| region.holds(at, length as u64))
    }

    fn config(&mut self, at: u64, data: &[u8]) {
        self.put(config_space::REGION, at, data);
    }

    /// Gives a command. Returns whether an admin command was carried out.
    fn command(&mut self, register: Register, value: u64) -> bool {
        let info = register.info();
        let at = info.offset as u64;
        let value = value.to_le_bytes();
        let bytes = value.get(..info.width).unwrap_or_default();
        self.put(REGISTER_BAR, at, bytes);
        self.register(Register::ADMIN_STATUS) == 0
    }

    fn register(&mut self, register: Register) -> u32 {
        let mut value = [0; 4];
        let at = register.info().offset as u64;
        self.get(REGISTER_BAR, at, &mut value);
        u32::from_le_bytes(value)
    }

    /// Writes a block, and clears the rest of an older one behind it.
    fn set_up(&self, block: &[u8], list: &[Segment]) {
        let mut bytes = block.to_vec();
        bytes.extend_from_slice(list.as_bytes());
        bytes.resize(block.len() + SEGMENTS * size_of::<Segment>(), 0);
        self.guest.write(SETUP, &bytes);
    }

    fn start_queue(&mut self, setup: &QueueSetup) {
        self.set_up(setup.as_bytes(), &[]);
        let number = setup.queue as u16;
        if number < QUEUES && self.guest.word(Word::QueueState, number) != QUEUE_RUNNING {
            self.guest.set_word(Word::SubmissionTail, number, 0);
            self.guest.set_word(Word::SubmissionInline, number, 0);
            self.guest.set_word(Word::CompletionHead, number, 0);
        }
        let started = self.command(Register::QUEUE_START, SETUP);
        if !self.set_up_holds {
            self.queues = Queue::all();
        } else if started && let Some(queue) = self.queues.get_mut(usize::from(number)) {
            // The guest may overwrite completions on an open page.
            let kept = setup.completion_ring < GUARDS[0];
            *queue = Queue {
                completion_ring: setup.completion_ring,
                completion_entries: if kept { setup.completion_entries } else { 0 },
                submitted: 0,
                slots: queue.slots,
                tags: (self.quiet && ordinary(setup)).then(VecDeque::new),
            };
        }
    }

    fn open_window(&mut self, setup: &WindowSetup, list: &[Segment]) {
        self.set_up(setup.as_bytes(), list);
        self.command(Register::WINDOW_OPEN, SETUP);
    }

    /// Checks the invariants that hold at any time.
    fn check(&mut self) {
        if !self.own_words {
            return;
        }
        if self.register(Register::IDENT) != IDENT {
            // A reset of the function, and memory space has not been switched on since.
            let mut command = [0; 2];
            self.get(config_space::REGION, COMMAND as u64, &mut command);
            assert_eq!(
                u16::from_le_bytes(command) & config_space::COMMAND_MEMORY,
                0
            );
            return;
        }
        let status = STATUS::from_raw(self.register(Register::STATUS));
        let generation = self.register(Register::RESET_GENERATION);
        let mut running = 0;
        let mut awake = false;
        for queue in 0..QUEUES {
            let word = |info| self.guest.word(info, queue);
            let (state, sleeps) = (word(Word::QueueState), word(Word::Sleeping));
            assert!(
                matches!(state, QUEUE_STOPPED | QUEUE_RUNNING | 48..=51),
                "state {state}"
            );
            assert!(sleeps <= u32::from(state == QUEUE_RUNNING), "{sleeps}");
            assert_eq!(word(Word::Generation), generation);
            running += u32::from(state == QUEUE_RUNNING);
            awake |= state == QUEUE_RUNNING && sleeps == 0;
        }
        assert_eq!(status.running_queues(), running);
        assert_eq!(
            self.device.function().is_awake(),
            awake && status.bus_master()
        );
    }
}

impl Queue {
    /// Returns queues without any known state.
    fn all() -> [Self; QUEUES as usize] {
        [(); QUEUES as usize].map(|()| Self {
            completion_ring: 0,
            completion_entries: 0,
            submitted: 0,
            slots: [0; ENTRIES as usize],
            tags: None,
        })
    }
}

/// Returns whether the queue has its own submission ring, and a completion ring before the guards.
fn ordinary(setup: &QueueSetup) -> bool {
    setup.submission_ring == submission_ring(setup.queue as u16)
        && setup.submission_entries == ENTRIES
        && setup.completion_ring < GUARDS[0]
}

fn queue_setup(queue: u16) -> QueueSetup {
    QueueSetup {
        queue: queue.into(),
        domain: 0,
        submission_ring: submission_ring(queue),
        completion_ring: completion_ring(queue),
        submission_entries: ENTRIES,
        completion_entries: ENTRIES,
        vector: u32::from(queue) + 1,
        ..QueueSetup::default()
    }
}

/// Returns a set-up block of a queue, valid in most cases. Its completions reach no guard.
fn any_queue_setup(input: &mut Input<'_>) -> QueueSetup {
    let mut setup = queue_setup(u16::from(input.byte()) % (QUEUES + 1));
    match input.byte() {
        0..=15 => setup.completion_ring = input.one_of(&OPEN),
        // This ring begins in the last page and passes its end.
        16..=31 => setup.completion_ring = BASE + PAGES * PAGE - 512,
        32..=47 => setup.completion_ring = u64::MAX - 63,
        48..=63 => setup.submission_ring = input.field(),
        64..=79 => setup.submission_entries = input.field32(),
        80..=95 => setup.completion_entries = 1 << (input.byte() % 6),
        96..=103 => setup.vector = input.field32(),
        104..=111 => setup.domain = 1,
        112..=119 => setup.reserved[usize::from(input.byte() % 7)] = input.field32(),
        _ => {}
    }
    setup
}

/// Returns a window that shows only open pages for writing, and any for reading. A segment stays in
/// its page wherever [`Race`] moves it.
fn window_setup(input: &mut Input<'_>) -> (WindowSetup, Vec<Segment>) {
    let decision = input.byte();
    let mut setup = WindowSetup {
        window: u32::from(decision % 8),
        domain: u32::from(decision >= 240),
        kind: WindowKind::SEGMENTS.0,
        rights: [RIGHT_READ | RIGHT_WRITE, RIGHT_WRITE, RIGHT_READ][usize::from(decision / 8 % 3)],
        ..WindowSetup::default()
    };
    let writes = setup.rights & RIGHT_WRITE != 0;
    let mut list = Vec::new();
    match input.byte() {
        0..=127 => {
            for _ in 0..=input.byte() % 2 {
                let page = match writes {
                    true => input.one_of(&OPEN),
                    false => input.one_of(&GUARDS),
                };
                list.push(Segment {
                    address: page + u64::from(input.byte()),
                    length: (u64::from(input.byte()) * 16).clamp(1, PAGE - 256),
                });
            }
            setup.segments = list.len() as u32;
            setup.length = list.iter().map(|segment| segment.length).sum();
        }
        128..=223 => {
            setup.kind = WindowKind::DEVICE_MEMORY.0;
            setup.offset = u64::from(input.byte()) * 16;
            setup.length = match writes {
                true => DEVICE_MEMORY_GUARD as u64 - setup.offset,
                false => DEVICE_MEMORY as u64 - setup.offset,
            };
        }
        _ => {
            setup.rights = RIGHT_READ;
            setup.kind = u32::from(input.byte() % 4);
            setup.length = input.field();
            setup.offset = input.field();
            setup.segments = u32::from(input.byte());
        }
    }
    (setup, list)
}

/// Returns a descriptor that is valid in most cases.
fn descriptor(input: &mut Input<'_>) -> Descriptor {
    let decision = input.byte();
    let place = |input: &mut Input<'_>| match input.byte() {
        byte @ 0..=223 => u64::from(byte) * 4,
        _ => input.field(),
    };
    let tag = u32::from(input.byte());
    let opcode = match decision % 8 {
        0 => return noticed(input, tag),
        1..=3 => Opcode::COPY,
        4 => Opcode::FILL,
        5 => Opcode::PATTERN,
        6 => Opcode::VERIFY,
        _ => Opcode::CRC32C,
    };
    let windows = input.byte();
    let mut descriptor = Descriptor {
        opcode: opcode.0,
        tag,
        length: match input.byte() {
            byte @ 0..=239 => u32::from(byte) * 2 + 1,
            _ => input.field32(),
        },
        ..Descriptor::default()
    };
    if !matches!(opcode, Opcode::FILL | Opcode::PATTERN) {
        descriptor.source_window = u16::from(windows % 8 / 2) + 1;
        descriptor.source_offset = place(input);
    }
    if !matches!(opcode, Opcode::VERIFY | Opcode::CRC32C) {
        descriptor.destination_window = u16::from(windows / 8 % 8 / 2) + 1;
        descriptor.destination_offset = place(input);
    }
    if opcode != Opcode::COPY {
        descriptor.operand = u64::from(input.byte());
    }
    descriptor
}

/// Returns a descriptor that does nothing, or one of random bytes.
fn noticed(input: &mut Input<'_>, tag: u32) -> Descriptor {
    if input.byte() < 192 {
        return Descriptor {
            tag,
            ..Descriptor::default()
        };
    }
    let mut bytes = [0; size_of::<Descriptor>()];
    let some = input.bytes(bytes.len() / 2);
    bytes
        .iter_mut()
        .zip(some)
        .for_each(|(to, from)| *to = *from);
    Descriptor::read_from_bytes(&bytes).unwrap_or_default()
}

/// Returns a region and an offset in it, in most cases that of a register.
fn any_place(input: &mut Input<'_>) -> (u32, u64) {
    let page = input.one_of(&[
        0,
        ADMIN_PAGE,
        KICK_PAGES,
        REPORT_PAGE,
        DOORBELL_PAGES,
        STATUS_PAGES,
    ]);
    match input.byte() {
        byte @ 0..=191 => (REGISTER_BAR, page as u64 + u64::from(byte) * 4),
        192..=207 => (REGISTER_BAR, input.field()),
        208..=223 => (config_space::REGION, input.field()),
        _ => (u32::from(input.byte() % 10), input.field()),
    }
}

fn width(input: &mut Input<'_>) -> usize {
    match input.byte() {
        byte @ 0..=239 => 1 << (byte % 4),
        byte => usize::from(byte - 240),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringbar_spec::ring::Completion;

    #[test]
    fn queue_setup_has_no_completions_on_a_guard() {
        for bytes in 0..=u16::MAX {
            let [queue, decision] = bytes.to_le_bytes();
            for ring in 0..OPEN.len() as u8 {
                let setup = any_queue_setup(&mut Input::new(&[queue, decision, ring]));
                let first = setup.completion_ring;
                let entries = u64::from(setup.completion_entries.min(ENTRIES));
                let last = first.saturating_add(entries * size_of::<Completion>() as u64 - 1);
                for guard in GUARDS {
                    assert!(
                        last < guard || first >= guard + PAGE,
                        "{setup:x?} reaches {guard:#x}"
                    );
                }
            }
        }
    }
}

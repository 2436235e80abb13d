// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A guest, and the memory that the device may touch.

use crate::action::{Action, ARENA, ARENAS, MEMORY};
use ringbar_model::fake::Touch;
use ringbar_model::test_driver::{Ring, TestDriver};
use ringbar_model::{Config, Location};
use ringbar_spec::access::Access;
use ringbar_spec::error::ErrorCode;
use ringbar_spec::pages::{inline_completion, QUEUE_RUNNING, QUEUE_STOPPED};
use ringbar_spec::regs::{Register, KICK, STATUS};
use ringbar_spec::ring::{Completion, Descriptor};
use ringbar_spec::setup::{Segment, WindowSetup, RIGHT_READ, RIGHT_WRITE};
use ringbar_spec::wake::Word;
use std::collections::BTreeMap;

const QUEUES: u16 = 3;
const VECTORS: u16 = 3;

/// Bytes that the device may touch.
#[derive(Clone, Copy)]
struct Allowed {
    place: Location,
    length: u64,
    write: bool,
}

pub(crate) struct World {
    pub(crate) driver: TestDriver,
    /// Accesses of the device during the last action.
    touches: Vec<Touch>,
    windows: BTreeMap<u32, Vec<Allowed>>,
    rings: BTreeMap<u16, Ring>,
}

impl World {
    pub(crate) fn new() -> Self {
        let driver = TestDriver::new(Config {
            queues: QUEUES,
            vectors: VECTORS,
            device_memory_size: MEMORY,
            boot_number: 1,
        });
        for arena in ARENAS {
            driver.host.map(arena, vec![0; ARENA as usize], true);
        }
        driver.host.start_recording();
        Self {
            driver,
            touches: Vec::new(),
            windows: BTreeMap::new(),
            rings: BTreeMap::new(),
        }
    }

    /// Performs an action. Returns the accesses of the device during it.
    pub(crate) fn act(&mut self, action: &Action) -> &[Touch] {
        self.carry_out(action);
        self.touches = self.driver.host.take_record();
        &self.touches
    }

    fn carry_out(&mut self, action: &Action) {
        match action {
            Action::Read(offset, width) => {
                self.driver.read(*offset, *width);
            }
            Action::Write(offset, width, value) => {
                self.driver.write(*offset, *width, *value);
            }
            Action::StartQueue(setup) => {
                let outcome = self.driver.queue_start(setup);
                if outcome == ErrorCode::NONE {
                    let queue = setup.queue as u16;
                    let ring = Ring {
                        queue,
                        setup: *setup,
                        submitted: 0,
                        taken: 0,
                    };
                    ring.ring(&self.driver);
                    self.rings.insert(queue, ring);
                }
            }
            Action::StopQueue(queue) => {
                self.driver.admin(Register::QUEUE_STOP, *queue);
                self.rings.remove(&(*queue as u16));
            }
            Action::OpenWindow(setup, list) => {
                let outcome = self.driver.window_open(setup, list);
                if outcome == ErrorCode::NONE {
                    self.windows.insert(setup.window, allowed(setup, list));
                }
            }
            Action::CloseWindow(window) => {
                self.driver.admin(Register::WINDOW_CLOSE, *window);
                self.windows.remove(&(*window as u32));
            }
            Action::Submit(queue, descriptor) => self.submit(*queue, descriptor),
            Action::Doorbell(queue, tail, head, kick) => {
                let host = &self.driver.host;
                let queue = usize::from(*queue);
                host.set_word(Word::SubmissionTail.offset(queue), *tail);
                host.set_word(Word::CompletionHead.offset(queue), *head);
                if *kick {
                    let offset = KICK::INFO.offset + queue * KICK::INFO.stride;
                    self.driver.write(offset as u64, 4, 0);
                }
            }
            Action::Take(queue) => {
                if let Some(ring) = self.rings.get_mut(queue) {
                    ring.taken = ring.completion_tail(&self.driver);
                    ring.kick(&mut self.driver);
                }
            }
            Action::BusMaster(on) => self.driver.set_bus_master(*on),
            Action::Step => {
                self.driver.step();
            }
            Action::Run => {
                self.driver.run();
            }
            Action::Poll => {
                self.driver.poll();
            }
            Action::Sleep => {
                self.driver.sleep();
            }
            Action::Reset => {
                self.driver.reset();
                self.windows.clear();
                self.rings.clear();
            }
            Action::Map(arena, on) => self.map(ARENAS[*arena], *on),
            Action::FailAfter(accesses) => self.driver.host.fail_after(*accesses),
        }
    }

    /// Checks the promises of the data sheet after an action.
    pub(crate) fn check(&mut self, action: &Action) {
        let status = STATUS::from_raw(self.driver.get(Register::STATUS) as u32);
        let works = matches!(action, Action::Step | Action::Run);
        for touch in &self.touches {
            // Set-up blocks are read when a command is given, all else in steps.
            let fine = match works {
                true => self.may_touch(touch),
                false => !touch.write,
            };
            assert!(fine, "{touch:x?} is in no window and in no ring");
        }
        assert!(status.running_queues() <= QUEUES.into());
        let wants = self.driver.has_work() || self.driver.is_awake();
        assert!(status.bus_master() || !wants);
        self.check_words(status);
        let vectors = self.driver.take_interrupts();
        assert!(
            vectors.iter().all(|&vector| vector < VECTORS),
            "{vectors:?}"
        );
        for register in readable() {
            let beyond = self.driver.get(register) & !register.info().field_mask();
            assert_eq!(beyond, 0, "{register:?}");
        }
    }

    /// Checks that the words of the status pages agree with the registers.
    fn check_words(&mut self, status: STATUS) {
        let generation = self.driver.get(Register::RESET_GENERATION);
        let mut running = 0;
        let mut awake = false;
        for queue in 0..QUEUES.into() {
            let shown = |word: Word| self.driver.host.word(word.offset(queue));
            let state = shown(Word::QueueState);
            let sleeps = shown(Word::Sleeping) != 0;
            assert!(matches!(state, QUEUE_STOPPED | QUEUE_RUNNING | 48..=51));
            if state == QUEUE_RUNNING {
                running += 1;
                awake |= !sleeps;
            } else {
                assert!(!sleeps, "queue {queue} sleeps in state {state}");
            }
            assert_eq!(u64::from(shown(Word::Generation)), generation);
        }
        assert_eq!(status.running_queues(), running);
        assert_eq!(self.driver.is_awake(), awake && status.bus_master());
    }

    /// Returns the words of all status pages, which the device writes.
    pub(crate) fn status_words(&self) -> Vec<u32> {
        let places = (0..QUEUES.into()).flat_map(|queue| {
            let device = Word::ALL.into_iter().filter(|word| !word.is_in_doorbell());
            let words = device.map(move |word| word.offset(queue));
            words.chain(inline_words(queue))
        });
        places.map(|at| self.driver.host.word(at)).collect()
    }

    /// Checks that a reset leaves nothing of the state before it (data sheet 12).
    pub(crate) fn check_reset(&mut self, generation: u64, bus_master: bool) {
        for register in readable().filter(|it| *it != Register::STATUS) {
            let value = self.driver.get(register);
            let documented = register.reset_value().unwrap_or(value);
            assert_eq!(value, documented, "{register:?}");
        }
        let status = STATUS::zeroed()
            .with_ready(true)
            .with_bus_master(bus_master);
        let read = self.driver.get(Register::STATUS);
        assert_eq!(read, status.into_raw().into());
        assert_eq!(self.driver.get(Register::RESET_GENERATION), generation);
        assert!(!self.driver.has_work());
        for queue in 0..QUEUES.into() {
            for word in Word::ALL {
                let shown = u64::from(self.driver.host.word(word.offset(queue)));
                let documented = if word == Word::Generation {
                    generation
                } else {
                    0
                };
                assert_eq!(shown, documented, "{word:?}");
            }
            let inline = inline_words(queue).map(|at| self.driver.host.word(at));
            assert_eq!(inline, [0; 4]);
        }
        for window in 1..6 {
            let outcome = self.driver.admin(Register::WINDOW_CLOSE, window);
            assert_eq!(outcome, ErrorCode::WINDOW_IS_CLOSED);
        }
    }

    /// Writes to the ring as a process would: whether or not the queue runs, or has room.
    fn submit(&mut self, queue: u16, descriptor: &Descriptor) {
        let Some(ring) = self.rings.get_mut(&queue) else {
            return;
        };
        let last = ring.setup.submission_ring
            + u64::from(ring.setup.submission_entries) * size_of::<Descriptor>() as u64;
        let end = |arena: u64| ring.setup.submission_ring >= arena && last <= arena + ARENA;
        let Some(&arena) = ARENAS.iter().find(|&&arena| end(arena)) else {
            return;
        };
        self.map(arena, true);
        let ring = self.rings.get_mut(&queue).expect("the ring from above");
        ring.push(&self.driver, descriptor);
        ring.kick(&mut self.driver);
    }

    fn map(&mut self, arena: u64, on: bool) {
        let host = &self.driver.host;
        let mapped = host.snapshot().iter().any(|&(address, _)| address == arena);
        if mapped && !on {
            host.unmap(arena);
        }
        if !mapped && on {
            host.map(arena, vec![0; ARENA as usize], true);
        }
    }

    fn may_touch(&self, touch: &Touch) -> bool {
        let rings = self.rings.values().flat_map(|ring| {
            let setup = &ring.setup;
            let submission = u64::from(setup.submission_entries) * size_of::<Descriptor>() as u64;
            let completion = u64::from(setup.completion_entries) * size_of::<Completion>() as u64;
            [
                Allowed {
                    place: Location::Guest(setup.submission_ring),
                    length: submission,
                    write: false,
                },
                Allowed {
                    place: Location::Guest(setup.completion_ring),
                    length: completion,
                    write: true,
                },
            ]
        });
        let windows = self.windows.values().flatten().copied();
        rings.chain(windows).any(|it| it.covers(touch))
    }
}

impl Allowed {
    fn covers(&self, touch: &Touch) -> bool {
        let (start, at) = match (self.place, touch.place) {
            (Location::Guest(start), Location::Guest(at)) => (start, at),
            (Location::DeviceMemory(start), Location::DeviceMemory(at)) => (start, at),
            _ => return false,
        };
        let inside = at.checked_sub(start);
        self.write == touch.write
            && inside.is_some_and(|inside| inside + touch.length <= self.length)
    }
}

/// Returns the bytes that a window lets the device touch.
fn allowed(setup: &WindowSetup, list: &[Segment]) -> Vec<Allowed> {
    let device = [(Location::DeviceMemory(setup.offset), setup.length)];
    let guest = list
        .iter()
        .map(|it| (Location::Guest(it.address), it.length));
    let places = guest.chain(device.into_iter().filter(|_| setup.segments == 0));
    let rights = [(RIGHT_READ, false), (RIGHT_WRITE, true)];
    places
        .flat_map(|(place, length)| {
            let granted = rights.iter().filter(|(right, _)| setup.rights & right != 0);
            granted.map(move |&(_, write)| Allowed {
                place,
                length,
                write,
            })
        })
        .collect()
}

/// Returns the offsets of the words of a queue's inline completion.
fn inline_words(queue: usize) -> [usize; 4] {
    [0, 4, 8, 12].map(|byte| inline_completion(queue) + byte)
}

fn readable() -> impl Iterator<Item = Register> {
    let all = Register::ALL.iter().copied();
    all.filter(|it| {
        matches!(
            it.access(),
            Access::ReadOnly | Access::ReadWrite | Access::WriteOneToClear
        )
    })
}

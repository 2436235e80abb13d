// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Life of each operation: doorbell, duration in the device, interrupt, and reaction to it.

use std::collections::BTreeMap;

use ringbar_records::record::{Access, What};

use crate::run::{Happening, Moment, Run};

/// An operation that the device completed.
#[derive(Debug)]
pub(crate) struct Operation<'a> {
    /// Length in bytes.
    pub(crate) length: u32,
    /// Last write of the submission tail before the device fetched the descriptor.
    pub(crate) rung: Option<&'a Moment>,
    /// Kick after that, if the device slept.
    pub(crate) kicked: Option<&'a Moment>,
    pub(crate) fetched: &'a Moment,
    pub(crate) completed: &'a Moment,
    /// First interrupt after that, if no other operation was completed before it.
    pub(crate) interrupt: Option<&'a Moment>,
    /// First access of the driver after the interrupt.
    pub(crate) answered: Option<&'a Moment>,
    /// First read of a changed completion tail.
    pub(crate) seen: Option<&'a Moment>,
}

impl<'a> Operation<'a> {
    /// Returns the duration in the device, in nanoseconds.
    pub(crate) fn took(&self) -> u64 {
        let (from, to) = (self.fetched.time(), self.completed.time());
        to.saturating_sub(from)
    }

    /// Returns the nanoseconds from the first to the last known step.
    pub(crate) fn lasted(&self) -> u64 {
        let steps = self.steps();
        let times = || steps.iter().map(|(_, moment)| moment.time());
        let (first, last) = (times().min(), times().max());
        last.zip(first)
            .map_or(0, |(last, first)| last.saturating_sub(first))
    }

    /// Returns the descriptor in words.
    pub(crate) fn words(&self) -> String {
        self.fetched.words().replace("descriptor ", "")
    }

    /// Returns the known steps in order, each with a description.
    pub(crate) fn steps(&self) -> Vec<(&'static str, &'a Moment)> {
        let steps = [
            ("rings the doorbell", self.rung),
            ("kicks the device, which sleeps", self.kicked),
            ("fetches the descriptor", Some(self.fetched)),
            ("completes it", Some(self.completed)),
            ("raises an interrupt", self.interrupt),
            ("reads the cause of the interrupt", self.answered),
            ("sees that the completion tail has moved", self.seen),
        ];
        let mut steps: Vec<_> = steps
            .into_iter()
            .filter_map(|(what, moment)| Some((what, moment?)))
            .collect();
        steps.sort_by_key(|(_, moment)| moment.time());
        steps
    }
}

/// Returns all completed operations, in the order of completion.
pub(crate) fn of(run: &Run) -> Vec<Operation<'_>> {
    let mut story = Story::default();
    for moment in &run.moments {
        match &moment.what {
            Happening::Access(access) => story.access(access, moment),
            Happening::Event(event) => story.event(&event.what, moment),
            Happening::Sum(_) => {}
        }
    }
    story.operations
}

/// State of a queue.
#[derive(Default)]
struct Queue<'a> {
    rung: Option<&'a Moment>,
    kicked: Option<&'a Moment>,
    /// Descriptor that the device works on.
    fetched: Option<(&'a Moment, u32)>,
    /// Last value read from the completion tail.
    tail: Option<u128>,
    /// Operations whose completion no code has read yet.
    unseen: Vec<usize>,
}

#[derive(Default)]
struct Story<'a> {
    queues: BTreeMap<u16, Queue<'a>>,
    operations: Vec<Operation<'a>>,
    /// Last completed operation, as long as the next interrupt may be its own.
    uninterrupted: Option<usize>,
    /// Operation whose interrupt the driver has not handled yet.
    unanswered: Option<usize>,
}

impl<'a> Story<'a> {
    /// Takes an access of the guest.
    fn access(&mut self, access: &Access, moment: &'a Moment) {
        if moment.site.owner == "driver" {
            let operation = self.unanswered.take();
            let operation = operation.and_then(|index| self.operations.get_mut(index));
            if let Some(operation) = operation {
                operation.answered = Some(moment);
            }
        }
        let Some(number) = access.place.index() else {
            return;
        };
        let queue = self.queues.entry(number).or_default();
        match (access.place.register(), access.write) {
            ("submission_tail", true) => {
                queue.rung = Some(moment);
                queue.kicked = None;
            }
            ("KICK", true) => queue.kicked = Some(moment),
            ("completion_tail", false) => {
                let tail = access.value.map(|value| value.0);
                if queue.tail.replace(tail.unwrap_or_default()) != tail {
                    for index in queue.unseen.drain(..) {
                        if let Some(operation) = self.operations.get_mut(index) {
                            operation.seen = Some(moment);
                        }
                    }
                }
            }
            _ => {}
        }
    }

    /// Takes an event of the device.
    fn event(&mut self, what: &What, moment: &'a Moment) {
        match what {
            What::Descriptor { queue, length, .. } => {
                let queue = self.queues.entry(*queue).or_default();
                queue.fetched = Some((moment, *length));
                self.uninterrupted = None;
            }
            What::Completion { queue: number, .. } => {
                let queue = self.queues.entry(*number).or_default();
                let Some((fetched, length)) = queue.fetched.take() else {
                    return;
                };
                let index = self.operations.len();
                queue.unseen.push(index);
                self.uninterrupted = Some(index);
                self.operations.push(Operation {
                    length,
                    rung: queue.rung.filter(|rung| rung.case == fetched.case),
                    kicked: queue.kicked.filter(|kicked| kicked.case == fetched.case),
                    fetched,
                    completed: moment,
                    interrupt: None,
                    answered: None,
                    seen: None,
                });
            }
            What::Interrupt { .. } => {
                let Some(index) = self.uninterrupted.take() else {
                    return;
                };
                if let Some(operation) = self.operations.get_mut(index) {
                    operation.interrupt = Some(moment);
                    self.unanswered = Some(index);
                }
            }
            What::Register { .. } | What::Error { .. } => {}
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::names::Site;
    use ringbar_records::place::Place;
    use ringbar_records::record::{Event, Hex};

    fn moment(owner: &str, what: Happening) -> Moment {
        Moment {
            case: 0,
            phase: None,
            site: Site {
                owner: owner.to_owned(),
                ..Site::default()
            },
            what,
        }
    }

    fn access(owner: &str, time: u64, offset: u64, write: bool, value: u128) -> Moment {
        let access = Access {
            time,
            cpu: 0,
            pc: Hex(0),
            callers: vec![],
            place: Place::in_bar(0, offset),
            width: 4,
            write,
            value: Some(Hex(value)),
            trapped: false,
            count: 1,
            until: None,
        };
        moment(owner, Happening::Access(access))
    }

    fn event(time: u64, what: What) -> Moment {
        let duration = None;
        let event = Event {
            time,
            duration,
            what,
        };
        moment("device", Happening::Event(event))
    }

    /// Returns a run with an operation that has all steps but a kick.
    pub(crate) fn example() -> Run {
        let tag = Hex(7);
        Run {
            moments: vec![
                access("dma", 5, 0xc0_0000, false, 0),
                access("dma", 10, 0x80_0000, true, 1),
                access("dma", 20, 0x3f_0000, true, 1),
                event(
                    30,
                    What::Descriptor {
                        queue: 0,
                        opcode: 1,
                        tag,
                        length: 64,
                    },
                ),
                event(
                    50,
                    What::Completion {
                        queue: 0,
                        tag,
                        status: 0,
                        result: Hex(0),
                    },
                ),
                event(60, What::Interrupt { vector: 1 }),
                access("driver", 70, 0xc0_0044, false, 1),
                access("dma", 80, 0xc0_0000, false, 1),
            ],
            ..Run::default()
        }
    }

    #[test]
    fn operation_has_its_whole_life() {
        let run = example();

        let operations = of(&run);

        let [operation] = operations.as_slice() else {
            panic!("{operations:?}");
        };
        assert_eq!((operation.took(), operation.length), (20, 64));
        let times: Vec<u64> = operation
            .steps()
            .iter()
            .map(|(_, moment)| moment.time())
            .collect();
        assert_eq!(times, [10, 20, 30, 50, 60, 70, 80]);
    }

    #[test]
    fn interrupt_after_another_descriptor_is_not_its_own() {
        let descriptor = |time, tag| {
            let what = What::Descriptor {
                queue: 0,
                opcode: 0,
                tag: Hex(tag),
                length: 0,
            };
            event(time, what)
        };
        let completion = |time, tag| {
            let what = What::Completion {
                queue: 0,
                tag: Hex(tag),
                status: 0,
                result: Hex(0),
            };
            event(time, what)
        };
        let run = Run {
            moments: vec![
                descriptor(1, 1),
                completion(2, 1),
                descriptor(3, 2),
                completion(4, 2),
                event(5, What::Interrupt { vector: 1 }),
            ],
            ..Run::default()
        };

        let interrupted: Vec<bool> = of(&run)
            .iter()
            .map(|operation| operation.interrupt.is_some())
            .collect();

        assert_eq!(interrupted, [false, true]);
    }
}

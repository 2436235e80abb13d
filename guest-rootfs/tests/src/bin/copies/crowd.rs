// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Several processes with several queues each, which copy and check without a pause.

use crate::side::{Direction, Side};
use fastrand::Rng;
use ringbar_client::{Device, Queue};
use ringbar_spec::ring::{Completion, Descriptor, Opcode, Status};
use ringbar_test_vectors::crc32c;
use ringbar_tests::{case, fork, open, parameter, PATIENCE};

const PROCESSES: u64 = 3;
/// Queues per process. All processes together must not need more queues than the device has.
const QUEUES: usize = 2;
/// Operations of all processes, in a full run and in a short one.
const OPERATIONS: [u64; 2] = [1_000_000, 30_000];
/// Copies in flight at once on a queue. The checksum is one more operation.
const BATCH: usize = 63;
/// Bytes that each copy has for itself in the destination.
const ROOM: usize = 512;

#[case]
fn processes_with_several_queues_copy_at_once_without_a_mismatch() {
    let seed = parameter::seed();
    let [full, short] = OPERATIONS;
    let operations = parameter::count(full, short).div_ceil(PROCESSES);
    let processes: Vec<_> = (0..PROCESSES)
        .map(|number| fork::start(move || copy(operations, seed.wrapping_add(number))))
        .collect();
    for process in processes {
        let end = process.end();
        assert!(end.success(), "a process found a mismatch: {end}");
    }
}

/// A queue, and the memory that it copies from and to.
struct Lane {
    queue: Queue,
    from: Side,
    to: Side,
    batch: Vec<Descriptor>,
}

fn copy(operations: u64, seed: u64) -> bool {
    let mut random = Rng::with_seed(seed);
    let device = open();
    let mut directions = Direction::ALL.iter().cycle().skip(random.usize(..4));
    let mut lanes = [(); QUEUES].map(|()| {
        let direction = directions.next().expect("the cycle never ends");
        Lane::new(&device, *direction, &mut random)
    });
    let mut done = 0;
    while done < operations {
        for lane in &mut lanes {
            lane.submit(&mut random);
        }
        for lane in &mut lanes {
            done += lane.check();
        }
    }
    true
}

impl Lane {
    fn new(device: &Device, direction: Direction, random: &mut Rng) -> Self {
        let [from, to] = direction.sides(device, BATCH * ROOM);
        let mut bytes = vec![0; BATCH * ROOM];
        random.fill(&mut bytes);
        from.write(0, &bytes);
        Self {
            queue: device.create_queue(64).expect("a queue is free"),
            from,
            to,
            batch: Vec::new(),
        }
    }

    /// Submits a batch: copies from random offsets to one place each, and the checksum of all
    /// places.
    fn submit(&mut self, random: &mut Rng) {
        self.batch.clear();
        for slot in 0..BATCH {
            let length = random.usize(1..=ROOM);
            let source = random.usize(..=BATCH * ROOM - length);
            let destination = slot * ROOM + random.usize(..=ROOM - length);
            self.batch.push(Descriptor {
                opcode: Opcode::COPY.0,
                tag: random.u32(..),
                length: length as u32,
                source_window: self.from.window(),
                source_offset: source as u64,
                destination_window: self.to.window(),
                destination_offset: destination as u64,
                ..Descriptor::default()
            });
        }
        self.batch.push(Descriptor {
            opcode: Opcode::CRC32C.0,
            tag: random.u32(..),
            length: (BATCH * ROOM) as u32,
            source_window: self.to.window(),
            ..Descriptor::default()
        });
        for descriptor in &self.batch {
            self.queue.push(*descriptor).expect("there is room");
        }
        self.queue.submit();
    }

    /// Waits for the batch and compares all bytes. Returns the number of operations.
    fn check(&mut self) -> u64 {
        let mut last = Completion::default();
        for descriptor in &self.batch {
            last = loop {
                match self.queue.pop().expect("the queue runs") {
                    Some(completion) => break completion,
                    None => self.queue.wait(1, PATIENCE).expect("the queue runs"),
                }
            };
            assert_eq!(
                (last.tag, Status(last.status)),
                (descriptor.tag, Status::OK)
            );
        }
        let (sent, seen) = (
            self.from.read(0, BATCH * ROOM),
            self.to.read(0, BATCH * ROOM),
        );
        for descriptor in self.batch.iter().filter(|it| it.opcode == Opcode::COPY.0) {
            let range = |offset: u64| offset as usize..offset as usize + descriptor.length as usize;
            assert_eq!(
                seen[range(descriptor.destination_offset)],
                sent[range(descriptor.source_offset)]
            );
        }
        assert_eq!(last.result, u64::from(crc32c(0, &seen)));
        self.batch.len() as u64
    }
}

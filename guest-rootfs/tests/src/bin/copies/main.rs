// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Copies of every size in every direction, by one process and by several at once. Every byte must
//! arrive, and no other byte may change.
//!
//! `ringbar.full=1` on the kernel command line tries all sizes.

mod crowd;
mod side;

use fastrand::Rng;
use ringbar_client::{descriptors, Queue};
use ringbar_tests::{case, expect_bytes, open, parameter, run, succeed, Case};
use side::{Direction, Side};
use std::process::ExitCode;

/// Largest size of which each smaller one is tried, in bytes: more than two pages.
const SIZES: usize = 9000;
/// Step between sizes in a short run.
const SHORT_STEP: u64 = 97;
/// Copies of random sizes up to [`LARGEST`], in a full run and in a short one.
const LARGE: [u64; 2] = [250, 10];
const LARGEST: usize = 1 << 20;

fn main() -> ExitCode {
    run()
}

/// Makes a case for each direction.
fn each_direction(name: &'static str, body: fn(Direction)) -> Vec<Case> {
    let case = |direction: Direction| {
        Case::new(format!("{name}_{}", direction.name()), move || {
            body(direction)
        })
    };
    Direction::ALL.into_iter().map(case).collect()
}

#[case(each_direction)]
fn every_size_arrives(direction: Direction) {
    let mut random = Rng::with_seed(parameter::seed());
    let device = open();
    let mut queue = device.create_queue(2).expect("a queue is free");
    let [from, to] = direction.sides(&device, 4 * SIZES);
    let step = parameter::count(1, SHORT_STEP) as usize;
    for length in (1..=SIZES).step_by(step) {
        arrives(&mut queue, &from, &to, length, &mut random);
    }
}

#[case(each_direction)]
fn large_sizes_arrive(direction: Direction) {
    let mut random = Rng::with_seed(parameter::seed());
    let device = open();
    let mut queue = device.create_queue(2).expect("a queue is free");
    let [from, to] = direction.sides(&device, 2 * LARGEST);
    let [full, short] = LARGE;
    for _ in 0..parameter::count(full, short) {
        let length = random.usize(1..=LARGEST);
        arrives(&mut queue, &from, &to, length, &mut random);
    }
}

/// Copies `length` random bytes between random offsets. Compares them and the bytes around them.
fn arrives(queue: &mut Queue, from: &Side, to: &Side, length: usize, random: &mut Rng) {
    /// Bytes compared on each side.
    const AROUND: usize = 64;
    let source = random.usize(..=from.size() - length);
    let destination = random.usize(AROUND..=to.size() - length - AROUND);
    let mut sent = vec![0; length];
    random.fill(&mut sent);
    from.write(source, &sent);
    let mut expected = vec![!sent[0]; length + 2 * AROUND];
    to.write(destination - AROUND, &expected);
    expected[AROUND..AROUND + length].copy_from_slice(&sent);
    succeed(
        queue,
        descriptors::copy(
            0,
            (from.window(), source as u64),
            (to.window(), destination as u64),
            length as u32,
        ),
    );
    let seen = to.read(destination - AROUND, expected.len());
    let what = format_args!("{length} bytes from {source} to {destination}");
    expect_bytes(what, &seen, &expected);
}

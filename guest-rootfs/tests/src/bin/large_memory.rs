// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Memory above 4 GiB, which a machine has if it is large enough (`MEMORY_SIZE=8G`): the second file
//! range that QEMU maps, at addresses that need more than 32 bits.

use ringbar_client::{descriptors, Mapping, Rights};
use ringbar_tests::{
    case, expect_bytes, open, page_size, pages, pattern_bytes, refuses_user_windows, run, succeed,
    Skip,
};
use std::fs;
use std::process::ExitCode;

/// Address from which on 32 bits do not suffice.
const BOUNDARY: u64 = 1 << 32;
/// Bytes of each piece of memory.
const SIZE: usize = 4 << 20;
/// Number of pieces. The kernel may have few pages below the boundary at hand, and they may come first.
const PIECES: usize = 4;

fn main() -> ExitCode {
    run()
}

/// Returns whether the machine has such memory.
fn has_any() -> bool {
    let map = fs::read_to_string("/proc/iomem").expect("procfs is mounted");
    map.lines()
        .filter(|line| line.ends_with(" : System RAM"))
        .filter_map(|line| line.split_once('-'))
        .filter_map(|(first, _)| u64::from_str_radix(first.trim(), 16).ok())
        .any(|first| first >= BOUNDARY)
}

/// Returns the number of pages of a mapping above the boundary.
fn above(memory: &Mapping) -> usize {
    let frames = pages::frames(memory.as_ptr().addr(), memory.len());
    let above = frames
        .iter()
        .filter(|frame| **frame >= BOUNDARY / page_size() as u64);
    above.count()
}

#[case]
fn memory_above_4_gib_is_reached_in_both_directions() -> Result<(), Skip> {
    if !has_any() {
        return Err(Skip(
            "this machine has no memory above 4 GiB: MEMORY_SIZE=8G".into(),
        ));
    }
    if let Some(reason) = refuses_user_windows() {
        return Err(Skip(reason.into()));
    }
    let device = open();
    let mut queue = device.create_queue(4).expect("a queue is free");
    let buffer = device
        .create_buffer(SIZE, Rights::ReadWrite)
        .expect("there is memory");
    let mut reached = 0;
    for seed in 0..PIECES as u64 {
        let memory = Mapping::anonymous(SIZE).expect("there is memory");
        (0..SIZE)
            .step_by(page_size())
            .for_each(|page| memory.write(page, 0xa5_u8));
        let window = device.open_user_window(&memory, 0..SIZE, Rights::ReadWrite);
        let window = window.expect("its pages can be pinned");
        // Pinned pages do not move.
        reached += above(&memory);
        let place = (window.number(), 0);
        succeed(
            &mut queue,
            descriptors::pattern(0, seed, place, SIZE as u32),
        );
        expect_bytes(
            "the memory",
            &memory.read_bytes(0, SIZE),
            &pattern_bytes(seed, SIZE),
        );
        let to_buffer = descriptors::copy(0, place, (buffer.window(), 0), SIZE as u32);
        succeed(&mut queue, to_buffer);
        let seen = buffer.mapping().read_bytes(0, SIZE);
        expect_bytes("the buffer", &seen, &pattern_bytes(seed, SIZE));
        memory.write_bytes(0, &vec![0xa5; SIZE]);
        let back = descriptors::copy(0, (buffer.window(), 0), place, SIZE as u32);
        succeed(&mut queue, back);
        succeed(&mut queue, descriptors::verify(0, seed, place, SIZE as u32));
        window.close().expect("the window is open");
    }
    println!(
        "# {reached} of {} pages were above 4 GiB",
        PIECES * SIZE / page_size()
    );
    assert!(reached > 0);
    Ok(())
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `TRANSFER` among signals.

use crate::raw;
use ringbar_client::{Buffer, Device, KernelQueue, Rights};
use ringbar_tests::signals::{Handler, Timer};
use ringbar_tests::{case, expect_bytes, open, pattern_bytes, seed, PATIENCE};
use ringbar_uapi::ioctl::{Transfer, TRANSFER_INTO_WINDOW, TRANSFER_OUT_OF_WINDOW};
use rustix::io::Errno;
use std::time::{Duration, Instant};

const SIZE: usize = 4 << 20;
const PERIOD: Duration = Duration::from_millis(5);

fn ground() -> (Device, KernelQueue, Buffer) {
    let device = open();
    let queue = device.create_kernel_queue(4).unwrap();
    let buffer = device.create_buffer(SIZE, Rights::ReadWrite).unwrap();
    (device, queue, buffer)
}

/// Moves all bytes, with calls for the rest. Returns the number of calls.
#[track_caller]
fn move_in_parts(device: &Device, new: Transfer, bytes: &mut [u8]) -> u32 {
    let mut call = new;
    let (mut done, mut calls) = (0, 0);
    while done < bytes.len() {
        calls += 1;
        call.offset = done as u64;
        match raw::transfer(device, &mut call, &mut bytes[done..]) {
            Ok(()) => done += call.length as usize,
            Err(Errno::INTR) => {}
            Err(error) => panic!("{error} after {done} bytes"),
        }
        assert_eq!(call.status, 0);
        assert_eq!(call.began != 0, done < bytes.len(), "{call:?}");
    }
    calls
}

/// Moves bytes in one direction, until a transfer met a signal.
#[track_caller]
fn move_among_signals(direction: u32) {
    let (device, queue, buffer) = ground();
    let deadline = Instant::now() + PATIENCE;
    for round in 0.. {
        let expected = pattern_bytes(seed() + round, SIZE);
        let mut bytes = match direction {
            TRANSFER_INTO_WINDOW => {
                buffer.mapping().write_bytes(0, &vec![0; SIZE]);
                expected.clone()
            }
            _ => {
                buffer.mapping().write_bytes(0, &expected);
                vec![0; SIZE]
            }
        };
        let new = Transfer {
            queue: queue.number(),
            window: buffer.window().into(),
            direction,
            timeout_ms: raw::LONG_MS,
            ..Default::default()
        };
        let timer = Timer::start(PERIOD, Handler::Restarts);
        let calls = move_in_parts(&device, new, &mut bytes);
        drop(timer);
        expect_bytes(format_args!("round {round}"), &bytes, &expected);
        expect_bytes(
            "the window",
            &buffer.mapping().read_bytes(0, SIZE),
            &expected,
        );
        if calls > 1 {
            return;
        }
        assert!(Instant::now() < deadline, "no signal met a transfer");
    }
}

#[case]
fn transfer_into_a_window_in_parts_moves_all_bytes() {
    move_among_signals(TRANSFER_INTO_WINDOW);
}

#[case]
fn transfer_out_of_a_window_in_parts_moves_all_bytes() {
    move_among_signals(TRANSFER_OUT_OF_WINDOW);
}

#[case]
fn library_moves_bytes_among_signals() {
    let (_device, mut queue, buffer) = ground();
    let bytes = pattern_bytes(seed(), SIZE);
    let mut seen = vec![0; SIZE];
    let deadline = Instant::now() + PATIENCE;
    let timer = Timer::start(PERIOD, Handler::Interrupts);
    while timer.ticks() < 2 {
        assert!(Instant::now() < deadline, "no signals came");
        queue.write(buffer.window(), 0, &bytes, PATIENCE).unwrap();
        queue.read(buffer.window(), 0, &mut seen, PATIENCE).unwrap();
        expect_bytes("in", &buffer.mapping().read_bytes(0, SIZE), &bytes);
        expect_bytes("out", &seen, &bytes);
        seen.fill(0);
    }
}

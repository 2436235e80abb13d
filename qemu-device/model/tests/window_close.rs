// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Closing windows: no operation uses one that is closed.

mod common;

use common::{device_memory, driver, segments, BOTH, MEMORY};
use ringbar_driver_side::descriptors::{copy, crc32c, fill, pattern, verify};
use ringbar_model::Location;
use ringbar_spec::error::ErrorCode;
use ringbar_spec::regs::Register;
use ringbar_spec::ring::Status;
use ringbar_spec::setup::{Segment, WindowSetup, MAX_WINDOWS, RIGHT_READ, RIGHT_WRITE};
use zerocopy::IntoBytes;

#[test]
fn window_close_closes() {
    let mut driver = driver();
    driver.window_open(&device_memory(), &[]);
    let mut ring = driver.start_ring(0, 7, 4, 0);

    let status = driver.admin(Register::WINDOW_CLOSE, 6);
    let completion = ring.carry_out(&mut driver, &fill(0, 1, (6, 0), 8));

    assert_eq!(status, ErrorCode::NONE);
    assert_eq!(completion.status, Status::BAD_WINDOW.0);
}

#[test]
fn window_close_works_without_bus_mastering() {
    let mut driver = driver();
    driver.window_open(&device_memory(), &[]);
    driver.set_bus_master(false);

    let status = driver.admin(Register::WINDOW_CLOSE, 6);

    assert_eq!(status, ErrorCode::NONE);
}

#[test]
fn window_close_refuses_a_closed_window() {
    let mut driver = driver();

    let status = driver.admin(Register::WINDOW_CLOSE, 6);

    assert_eq!(status, ErrorCode::WINDOW_IS_CLOSED);
}

#[test]
fn window_close_refuses_numbers_that_do_not_exist() {
    let mut driver = driver();

    let closed = [0, u64::from(MAX_WINDOWS) + 1, 0x1_0001]
        .map(|window| driver.admin(Register::WINDOW_CLOSE, window));

    assert_eq!(closed, [ErrorCode::BAD_WINDOW; 3]);
}

#[test]
fn blocks_are_copied_when_the_command_is_given() {
    let mut driver = driver();
    let memory = driver.allocate(64);
    let mut ring = driver.start_ring(0, 7, 4, 0);
    let setup = WindowSetup {
        length: 64,
        segments: 1,
        ..segments(&mut driver).0
    };
    let segment = Segment {
        address: memory,
        length: 64,
    };
    let block = driver.allocate(80);
    driver.host.poke(
        Location::Guest(block),
        &[setup.as_bytes(), segment.as_bytes()].concat(),
    );
    driver.admin(Register::WINDOW_OPEN, block);

    driver.host.poke(Location::Guest(block), &[0xff; 80]);
    let completion = ring.carry_out(&mut driver, &pattern(0, 1, (5, 0), 64));

    assert_eq!(completion.status, Status::OK.0);
}

#[test]
fn closing_a_window_aborts_the_operation_that_uses_it() {
    let mut driver = driver();
    let memory = driver.allocate(1 << 20);
    let list = [Segment {
        address: memory,
        length: 1 << 20,
    }];
    driver.open_segments(1, 7, BOTH, &list);
    let mut ring = driver.start_ring(0, 7, 4, 0);
    ring.push(&driver, &fill(3, u64::MAX, (1, 0), 1 << 20));
    ring.kick(&mut driver);
    driver.step();

    driver.admin(Register::WINDOW_CLOSE, 1);
    let written = driver.host.snapshot();
    driver.run();

    let completions = ring.take_all(&driver);
    assert_eq!(completions.len(), 1);
    assert_eq!(completions[0].tag, 3);
    assert_eq!(completions[0].status, Status::ABORTED.0);
    let untouched = |(at, _): &(u64, Vec<u8>)| *at == memory;
    assert_eq!(
        driver.host.snapshot().into_iter().find(untouched),
        written.into_iter().find(untouched)
    );
    assert_eq!(driver.get(Register::ERROR_COUNT), 0);
}

#[test]
fn closing_the_source_window_aborts_too() {
    let mut driver = driver();
    let memory = driver.allocate(1 << 20);
    let list = [Segment {
        address: memory,
        length: 1 << 20,
    }];
    driver.open_segments(1, 7, RIGHT_READ, &list);
    driver.open_device_memory(2, 7, RIGHT_WRITE, 0, MEMORY);
    let mut ring = driver.start_ring(0, 7, 4, 0);
    ring.push(&driver, &copy(3, (1, 0), (2, 0), 1 << 20));
    ring.kick(&mut driver);
    driver.step();

    driver.admin(Register::WINDOW_CLOSE, 1);
    driver.run();

    assert_eq!(ring.take(&driver).unwrap().status, Status::ABORTED.0);
}

#[test]
fn closing_a_window_that_is_only_read_aborts_too() {
    for descriptor in [
        verify(3, 5, (1, 0), MEMORY as u32),
        crc32c(3, 0, (1, 0), MEMORY as u32),
    ] {
        let mut driver = driver();
        driver.open_device_memory(1, 7, BOTH, 0, MEMORY);
        let mut ring = driver.start_ring(0, 7, 4, 0);
        ring.carry_out(&mut driver, &pattern(0, 5, (1, 0), MEMORY as u32));
        ring.push(&driver, &descriptor);
        ring.kick(&mut driver);
        driver.step();

        driver.admin(Register::WINDOW_CLOSE, 1);
        driver.run();

        let completion = ring.take(&driver).unwrap();
        assert_eq!(completion.status, Status::ABORTED.0);
        assert_eq!(completion.result, 0);
    }
}

#[test]
fn window_opened_again_is_not_used_by_the_operation_that_was_aborted() {
    let mut driver = driver();
    driver.open_device_memory(1, 7, RIGHT_WRITE, 0, MEMORY);
    let mut ring = driver.start_ring(0, 7, 4, 0);
    ring.push(&driver, &fill(3, u64::MAX, (1, 0), 1 << 20));
    ring.kick(&mut driver);
    driver.step();

    driver.admin(Register::WINDOW_CLOSE, 1);
    driver.open_device_memory(1, 7, RIGHT_WRITE, 0, MEMORY);
    driver.run();

    assert_eq!(ring.take(&driver).unwrap().status, Status::ABORTED.0);
    assert_eq!(
        driver.host.peek(Location::DeviceMemory(64 << 10), 8),
        [0; 8]
    );
}

#[test]
fn closing_another_window_leaves_an_operation_alone() {
    let mut driver = driver();
    driver.open_device_memory(1, 7, RIGHT_WRITE, 0, MEMORY);
    driver.open_device_memory(2, 7, RIGHT_WRITE, 0, MEMORY);
    let mut ring = driver.start_ring(0, 7, 4, 0);
    ring.push(&driver, &fill(3, u64::MAX, (1, 0), 1 << 20));
    ring.kick(&mut driver);
    driver.step();

    driver.admin(Register::WINDOW_CLOSE, 2);
    driver.run();

    assert_eq!(ring.take(&driver).unwrap().status, Status::OK.0);
}

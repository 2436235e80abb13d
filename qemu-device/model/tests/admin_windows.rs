// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Opening windows: carried out as asked, or refused by name.

mod common;

use common::{device_memory, driver, segments, MEMORY};
use ringbar_model::Location;
use ringbar_spec::error::ErrorCode;
use ringbar_spec::regs::{Register, NO_QUEUE};
use ringbar_spec::setup::{Segment, WindowSetup, MAX_SEGMENTS, MAX_WINDOWS};
use zerocopy::IntoBytes;

/// Asserts that opening the changed window is refused with this log entry.
#[track_caller]
fn window_refused(
    change: impl FnOnce(&mut WindowSetup, &mut Vec<Segment>),
    code: ErrorCode,
    value: u64,
) {
    let mut driver = driver();
    let (mut setup, mut list) = segments(&mut driver);
    change(&mut setup, &mut list);

    let status = driver.window_open(&setup, &list);

    assert_eq!(status, code);
    assert_eq!(driver.last_error(), (code, NO_QUEUE, value));
    assert_eq!(
        driver.admin(Register::WINDOW_CLOSE, 5),
        ErrorCode::WINDOW_IS_CLOSED
    );
}

#[test]
fn window_of_segments_opens() {
    let mut driver = driver();
    let (setup, list) = segments(&mut driver);

    let status = driver.window_open(&setup, &list);

    assert_eq!(status, ErrorCode::NONE);
}

#[test]
fn window_on_device_memory_opens() {
    let mut driver = driver();

    let status = driver.window_open(&device_memory(), &[]);

    assert_eq!(status, ErrorCode::NONE);
}

#[test]
fn window_numbers_reach_from_1_to_the_limit() {
    let mut driver = driver();

    let opened = [
        0,
        1,
        u32::from(MAX_WINDOWS),
        u32::from(MAX_WINDOWS) + 1,
        0x1_0001,
    ]
    .map(|window| {
        let setup = WindowSetup {
            window,
            ..device_memory()
        };
        driver.window_open(&setup, &[])
    });

    assert_eq!(
        opened,
        [
            ErrorCode::BAD_WINDOW,
            ErrorCode::NONE,
            ErrorCode::NONE,
            ErrorCode::BAD_WINDOW,
            ErrorCode::BAD_WINDOW,
        ]
    );
}

#[test]
fn window_open_needs_bus_mastering() {
    let mut driver = driver();
    driver.set_bus_master(false);

    let status = driver.window_open(&device_memory(), &[]);

    assert_eq!(status, ErrorCode::BUS_MASTER_OFF);
}

#[test]
fn window_open_refuses_a_block_that_is_not_aligned() {
    let mut driver = driver();

    let status = driver.admin(Register::WINDOW_OPEN, 0x1001);

    assert_eq!(status, ErrorCode::MISALIGNED);
}

#[test]
fn window_open_refuses_segments_that_cannot_be_reached() {
    let mut driver = driver();
    let (setup, list) = segments(&mut driver);
    let block = driver.allocate(64 + 16);
    driver.host.poke(Location::Guest(block), setup.as_bytes());
    driver
        .host
        .poke(Location::Guest(block + 64), list[0].as_bytes());

    let status = driver.admin(Register::WINDOW_OPEN, block);

    assert_eq!(status, ErrorCode::SETUP_UNREACHABLE);
    assert_eq!(
        driver.last_error(),
        (ErrorCode::SETUP_UNREACHABLE, NO_QUEUE, block)
    );
}

#[test]
fn window_open_refuses_segments_beyond_the_last_address() {
    let mut driver = driver();
    let (setup, _) = segments(&mut driver);
    let block = u64::MAX - 63;
    driver.host.map(block, setup.as_bytes().to_vec(), true);

    let status = driver.admin(Register::WINDOW_OPEN, block);

    assert_eq!(status, ErrorCode::SETUP_UNREACHABLE);
}

#[test]
fn window_open_refuses_reserved_fields() {
    window_refused(
        |setup, _| setup.reserved[0] = 3,
        ErrorCode::RESERVED_FIELD,
        3,
    );
}

#[test]
fn window_open_refuses_an_open_window() {
    let mut driver = driver();
    let (setup, list) = segments(&mut driver);
    driver.window_open(&setup, &list);

    let status = driver.window_open(&setup, &list);

    assert_eq!(status, ErrorCode::WINDOW_IS_OPEN);
    assert_eq!(
        driver.last_error(),
        (ErrorCode::WINDOW_IS_OPEN, NO_QUEUE, 5)
    );
}

#[test]
fn window_open_refuses_unknown_kinds() {
    window_refused(|setup, _| setup.kind = 3, ErrorCode::BAD_KIND, 3);
}

#[test]
fn window_open_refuses_no_rights() {
    window_refused(|setup, _| setup.rights = 0, ErrorCode::BAD_RIGHTS, 0);
}

#[test]
fn window_open_refuses_unknown_rights() {
    window_refused(|setup, _| setup.rights = 7, ErrorCode::BAD_RIGHTS, 7);
}

#[test]
fn window_open_refuses_an_offset_for_segments() {
    window_refused(|setup, _| setup.offset = 64, ErrorCode::RESERVED_FIELD, 64);
}

#[test]
fn window_open_refuses_no_segments() {
    window_refused(|setup, _| setup.segments = 0, ErrorCode::BAD_SEGMENTS, 0);
}

#[test]
fn window_open_refuses_too_many_segments() {
    window_refused(
        |setup, _| setup.segments = MAX_SEGMENTS + 1,
        ErrorCode::BAD_SEGMENTS,
        u64::from(MAX_SEGMENTS) + 1,
    );
}

#[test]
fn window_open_refuses_an_empty_segment() {
    window_refused(|_, list| list[1].length = 0, ErrorCode::BAD_LENGTH, 0);
}

#[test]
fn window_open_refuses_a_segment_that_passes_the_last_address() {
    window_refused(
        |_, list| list[2].address = u64::MAX - 4094,
        ErrorCode::BAD_LENGTH,
        4096,
    );
}

#[test]
fn window_open_refuses_lengths_that_do_not_add_up() {
    window_refused(|setup, _| setup.length = 4198, ErrorCode::BAD_LENGTH, 4198);
}

#[test]
fn window_open_refuses_lengths_whose_sum_overflows() {
    window_refused(
        |_, list| {
            *list = vec![
                Segment {
                    address: 0,
                    length: u64::MAX,
                },
                Segment {
                    address: 0,
                    length: 2,
                },
                Segment {
                    address: 0,
                    length: 4196,
                },
            ];
        },
        ErrorCode::BAD_LENGTH,
        2,
    );
}

#[test]
fn window_may_end_with_the_last_address() {
    let mut driver = driver();
    let (setup, mut list) = segments(&mut driver);
    list[2].address = u64::MAX - 4095;

    let status = driver.window_open(&setup, &list);

    assert_eq!(status, ErrorCode::NONE);
}

#[test]
fn window_open_takes_as_many_segments_as_the_limit() {
    let mut driver = driver();
    let list = vec![
        Segment {
            address: 0x1000,
            length: 1
        };
        MAX_SEGMENTS as usize
    ];
    let setup = WindowSetup {
        segments: MAX_SEGMENTS,
        length: MAX_SEGMENTS.into(),
        ..segments(&mut driver).0
    };

    let status = driver.window_open(&setup, &list);

    assert_eq!(status, ErrorCode::NONE);
}

#[test]
fn window_open_refuses_a_range_that_leaves_the_device_memory() {
    let mut driver = driver();
    let setup = WindowSetup {
        length: 4097,
        ..device_memory()
    };

    let status = driver.window_open(&setup, &[]);

    assert_eq!(status, ErrorCode::OUT_OF_BOUNDS);
    assert_eq!(
        driver.last_error(),
        (ErrorCode::OUT_OF_BOUNDS, NO_QUEUE, MEMORY - 4096)
    );
}

#[test]
fn window_open_refuses_a_range_whose_end_overflows() {
    let mut driver = driver();
    let setup = WindowSetup {
        offset: u64::MAX,
        ..device_memory()
    };

    let status = driver.window_open(&setup, &[]);

    assert_eq!(status, ErrorCode::OUT_OF_BOUNDS);
}

#[test]
fn window_open_refuses_an_empty_range_of_device_memory() {
    let mut driver = driver();
    let setup = WindowSetup {
        length: 0,
        ..device_memory()
    };

    let status = driver.window_open(&setup, &[]);

    assert_eq!(status, ErrorCode::BAD_LENGTH);
}

#[test]
fn window_open_refuses_segments_for_device_memory() {
    let mut driver = driver();
    let setup = WindowSetup {
        segments: 1,
        ..device_memory()
    };

    let status = driver.window_open(&setup, &[]);

    assert_eq!(status, ErrorCode::RESERVED_FIELD);
}

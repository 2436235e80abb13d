// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The data path allocates nothing. A program of its own, as its allocator counts.

#[path = "common/alone.rs"]
mod alone;

use allocation_counter::measure;
use alone::{copy, work, Driver};
use ringbar_driver_side::descriptors::{crc32c, fill, nop, pattern, verify};
use ringbar_spec::layout::REGISTER_BAR;
use ringbar_spec::regs::{IDENT, SCRATCH};
use ringbar_spec::ring::Descriptor;
use ringbar_vfio_user::testing::{region_read, region_write, version};
use ringbar_vfio_user::{Action, Session};

/// Returns the number of allocations while a descriptor is carried out this many times.
fn allocations(driver: &mut Driver, descriptor: &Descriptor, count: u32) -> u64 {
    let counted = measure(|| {
        driver.side.submit(descriptor, count);
        // The device raises an interrupt as well.
        let _sleep = driver.side.0.arm(count);
        work(&mut driver.device);
    });
    assert_eq!(driver.side.0.in_flight(), count);
    while driver.side.0.in_flight() > 0 {
        driver.side.0.pop().expect("a queue that runs");
    }
    counted.count_total
}

#[test]
fn operations_allocate_nothing() {
    let mut driver = Driver::new();
    let (from, to) = ((1, 0), (2, 0));
    // Shows that descriptors are carried out at all.
    driver.side.submit(&copy(64), 1);
    work(&mut driver.device);
    assert_eq!(driver.side.take(), 1);
    for descriptor in [
        nop(0),
        copy(64),
        copy(1 << 20),
        fill(0, 7, to, 1 << 18),
        pattern(0, 7, to, 1 << 18),
        verify(0, 7, from, 1 << 18),
        crc32c(0, 0, from, 1 << 18),
    ] {
        for count in [1, 100] {
            let counted = allocations(&mut driver, &descriptor, count);
            assert_eq!(counted, 0, "{count} times {descriptor:?}");
        }
    }
}

#[test]
fn refused_descriptor_allocates_for_the_log_so_the_counter_counts() {
    let mut driver = Driver::new();
    let refused = Descriptor { flags: 1, ..nop(0) };

    assert!(allocations(&mut driver, &refused, 1) > 0);
}

#[test]
fn trapped_access_allocates_nothing() {
    let mut driver = Driver::new();
    let mut session = Session::new();
    let mut send = |message: &[u8]| {
        let counted = measure(|| {
            let received = session.receive(message, [], &mut driver.device, &mut |action| {
                assert!(matches!(action, Action::Send { .. }), "{action:?}");
            });
            received.expect("a message by the rules");
        });
        counted.count_total
    };
    let read = region_read(REGISTER_BAR, IDENT::INFO.offset as u64, 4);
    let write = region_write(REGISTER_BAR, SCRATCH::INFO.offset as u64, &[1; 8]);
    // The first messages make room for those that follow.
    for message in [&version("{}"), &read, &write] {
        send(message);
    }

    assert_eq!((send(&read), send(&write)), (0, 0));
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Reading and writing regions, and resetting the device.

use ringbar_vfio_user::testing::{
    message, region_read, region_write, Call, FakeDevice, TestSession,
};
use ringbar_vfio_user::wire::{command, FLAG_NO_REPLY, MAX_TRANSFER};
use ringbar_vfio_user::Errno;

use crate::{lengthened, outcome, outcome_of, patched, reply, shortened};

/// The region of 16 MiB.
const LARGE: u32 = 5;

#[test]
fn read_brings_the_bytes_behind_the_fields_of_the_request() {
    let mut test = TestSession::negotiated();
    let read = region_read(0, 0x18, 8);

    let (payload, file) = reply(&mut test, &read);

    assert_eq!(payload[..16], read[16..]);
    let bytes: Vec<u8> = (0x18..0x20)
        .map(|offset| FakeDevice::byte(0, offset))
        .collect();
    assert_eq!((&payload[16..], file), (&bytes[..], None));
    assert_eq!(test.device.calls, [Call::Read(0, 0x18, 8)]);
}

#[test]
fn whole_config_space_is_read_at_once() {
    let (payload, _) = reply(&mut TestSession::negotiated(), &region_read(7, 0, 4096));

    assert_eq!(payload.len(), 16 + 4096);
}

#[test]
fn write_reaches_the_device_and_is_answered_with_its_fields() {
    let mut test = TestSession::negotiated();
    let write = region_write(7, 4, &[6, 1]);

    let (payload, _) = reply(&mut test, &write);

    assert_eq!(payload, write[16..32]);
    assert_eq!(test.device.calls, [Call::Write(7, 4, vec![6, 1])]);
}

#[test]
#[cfg_attr(miri, ignore = "a megabyte, byte by byte, takes Miri an hour")]
fn longest_transfer_is_allowed() {
    let (payload, _) = reply(
        &mut TestSession::negotiated(),
        &region_read(LARGE, 0, MAX_TRANSFER as u32),
    );
    assert_eq!(payload.len(), 16 + MAX_TRANSFER);

    let write = region_write(LARGE, 16, &vec![1; MAX_TRANSFER]);
    assert_eq!(outcome(&write, 0), None);
}

#[test]
fn longer_transfer_is_refused() {
    for count in [MAX_TRANSFER as u32 + 1, 16 << 20, u32::MAX] {
        let read = region_read(LARGE, 0, count);
        assert_eq!(outcome(&read, 0), Some(Errno::INVAL));
    }
}

#[test]
fn transfer_of_nothing_does_not_reach_the_device() {
    let mut test = TestSession::negotiated();

    for access in [region_read(0, 4096, 0), region_write(0, 0, &[])] {
        assert_eq!(outcome_of(&mut test, &access, 0), None);
    }
    assert_eq!(test.device.calls, []);
}

#[test]
fn access_beyond_the_region_is_refused() {
    for (offset, length) in [
        (4096, 1),
        (4095, 2),
        (4097, 0),
        (0, 4097),
        (u64::MAX, 1),
        (u64::MAX - 3, 4),
    ] {
        let read = region_read(0, offset, length as u32);
        assert_eq!(
            outcome(&read, 0),
            Some(Errno::INVAL),
            "{offset:#x} {length}"
        );
        let write = region_write(0, offset, &vec![0; length]);
        assert_eq!(
            outcome(&write, 0),
            Some(Errno::INVAL),
            "{offset:#x} {length}"
        );
    }
}

#[test]
fn access_to_a_missing_region_is_refused() {
    for region in [6, 8, 9, u32::MAX] {
        assert_eq!(outcome(&region_read(region, 0, 4), 0), Some(Errno::INVAL));
        assert_eq!(
            outcome(&region_write(region, 0, &[0; 4]), 0),
            Some(Errno::INVAL)
        );
    }
}

#[test]
fn access_without_the_right_is_refused() {
    assert_eq!(outcome(&region_write(1, 0, &[0; 4]), 0), Some(Errno::PERM));
    assert_eq!(outcome(&region_read(3, 0, 4), 0), Some(Errno::PERM));
}

#[test]
fn read_with_another_payload_than_its_fields_is_refused() {
    let read = region_read(0, 0, 4);

    assert_eq!(outcome(&shortened(&read), 0), Some(Errno::INVAL));
    assert_eq!(outcome(&lengthened(&read), 0), Some(Errno::INVAL));
}

#[test]
fn write_with_another_payload_than_its_count_is_refused() {
    let write = region_write(0, 0, &[0; 4]);

    assert_eq!(outcome(&shortened(&write), 0), Some(Errno::INVAL));
    assert_eq!(outcome(&lengthened(&write), 0), Some(Errno::INVAL));
    assert_eq!(outcome(&patched(&write, 12, 0), 0), Some(Errno::INVAL));
    assert_eq!(
        outcome(&patched(&write, 12, u32::MAX), 0),
        Some(Errno::INVAL)
    );
}

#[test]
fn access_with_a_file_descriptor_is_refused() {
    assert_eq!(outcome(&region_read(0, 0, 4), 1), Some(Errno::INVAL));
    assert_eq!(outcome(&region_write(0, 0, &[0; 4]), 1), Some(Errno::INVAL));
}

#[test]
fn refusal_of_the_device_is_answered_with_its_error_number() {
    let mut test = TestSession::negotiated();
    test.device.refuse = Some(Errno::NODEV);

    for access in [region_read(0, 0, 4), region_write(0, 0, &[0; 4])] {
        assert_eq!(outcome_of(&mut test, &access, 0), Some(Errno::NODEV));
    }
}

#[test]
fn posted_write_is_carried_out_silently() {
    let mut test = TestSession::negotiated();
    let mut write = region_write(0, 8, &[1, 2, 3, 4]);
    write[8..12].copy_from_slice(&FLAG_NO_REPLY.to_ne_bytes());

    test.send(&write, 0).unwrap();

    assert_eq!(test.device.calls, [Call::Write(0, 8, vec![1, 2, 3, 4])]);
    assert_eq!(test.seen, []);
}

#[test]
fn reset_reaches_the_device() {
    let mut test = TestSession::negotiated();

    let (payload, _) = reply(&mut test, &message(command::DEVICE_RESET, &[]));

    assert!(payload.is_empty());
    assert_eq!(test.device.calls, [Call::Reset]);
}

#[test]
fn reset_with_payload_is_refused() {
    let reset = message(command::DEVICE_RESET, &[0; 4]);

    assert_eq!(outcome(&reset, 0), Some(Errno::INVAL));
}

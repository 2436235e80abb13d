// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The device and the windows that the tests of windows have in common.

use ringbar_model::test_driver::TestDriver;
use ringbar_model::Config;
use ringbar_spec::setup::{Segment, WindowKind, WindowSetup, RIGHT_READ, RIGHT_WRITE};

/// Both rights.
pub(crate) const BOTH: u32 = RIGHT_READ | RIGHT_WRITE;
/// Bytes of device memory.
pub(crate) const MEMORY: u64 = 1 << 20;

/// Makes a device with its driver.
pub(crate) fn driver() -> TestDriver {
    TestDriver::new(Config {
        queues: 4,
        vectors: 3,
        device_memory_size: MEMORY,
        boot_number: 1,
    })
}

/// Describes a window of three segments in guest memory.
pub(crate) fn segments(driver: &mut TestDriver) -> (WindowSetup, Vec<Segment>) {
    let list = [100, 1, 4096].map(|length| Segment {
        address: driver.allocate(length),
        length: length as u64,
    });
    let setup = WindowSetup {
        window: 5,
        domain: 7,
        kind: WindowKind::SEGMENTS.0,
        rights: BOTH,
        length: 4197,
        segments: 3,
        ..WindowSetup::default()
    };
    (setup, list.to_vec())
}

/// Describes a window on the last page of the device memory.
pub(crate) fn device_memory() -> WindowSetup {
    WindowSetup {
        window: 6,
        domain: 7,
        kind: WindowKind::DEVICE_MEMORY.0,
        rights: RIGHT_WRITE,
        length: 4096,
        offset: MEMORY - 4096,
        ..WindowSetup::default()
    }
}

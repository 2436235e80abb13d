// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Memory that the driver keeps of a device that it goes on to use.

use crate::liar::{Liar, DEVICE};
use crate::meters::keeps;
use ringbar_client::{Device, Rights};
use ringbar_lies::Lie;
use ringbar_tests::{assert_device_works, node, page_size, Skip};

/// The device refuses to close the window of a buffer. A reset closes it, and the driver frees the
/// buffer with its next command.
pub(crate) fn buffer_is_freed_after_a_reset() -> Result<(), Skip> {
    let liar = Liar::find()?;
    let device = Device::open(node(DEVICE)).expect("a device that tells the truth can be opened");
    let buffer = device.create_buffer(page_size(), Rights::Read);
    let buffer = buffer.expect("a window is free");
    liar.lie(Lie::AdminRefuses);
    let closed = buffer.close();
    assert!(closed.is_err(), "the device has closed the window");
    assert_ne!(liar.truth(), 0, "the device has told no lie");
    assert!(keeps(DEVICE), "the driver has freed the buffer");

    liar.function.reset();
    assert_device_works(&device);

    assert!(!keeps(DEVICE), "the driver still keeps the buffer");
    Ok(())
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Memory that the driver keeps of a device that it goes on to use, as the device refused to close a
//! window on it. A reset closes the window, and the driver frees the memory with its next command.

use crate::liar::{Liar, DEVICE};
use crate::meters::keeps;
use ringbar_client::{Device, Error, Mapping, Part, Rights};
use ringbar_lies::Lie;
use ringbar_tests::{assert_device_works, node, page_size, pinned_pages, Case, Skip};

/// Returns the cases.
pub(crate) fn cases() -> [Case; 4] {
    [
        Case::new(
            "buffer_is_freed_after_a_reset",
            buffer_is_freed_after_a_reset,
        ),
        Case::new(
            "range_of_device_memory_has_no_other_owner_before_a_reset",
            range_of_device_memory_has_no_other_owner_before_a_reset,
        ),
        Case::new(
            "memory_under_a_refused_view_is_kept",
            memory_under_a_refused_view_is_kept,
        ),
        Case::new(
            "memory_of_a_process_is_free_if_its_window_is_refused",
            memory_of_a_process_is_free_if_its_window_is_refused,
        ),
    ]
}

fn buffer_is_freed_after_a_reset() -> Result<(), Skip> {
    let liar = Liar::find()?;
    let device = open();
    let buffer = device.create_buffer(page_size(), Rights::Read);
    let buffer = buffer.expect("a window is free");

    refuses(&liar, || buffer.close());

    assert!(keeps(DEVICE), "the driver has freed the buffer");
    // Each command looks whether there is something to free.
    assert_device_works(&device);
    assert!(keeps(DEVICE), "a command has freed the buffer");
    is_freed_by_a_reset(&liar, &device);
    Ok(())
}

fn range_of_device_memory_has_no_other_owner_before_a_reset() -> Result<(), Skip> {
    let liar = Liar::find()?;
    let device = open();
    let quarter = device.info().expect("a device").device_memory_size as usize / 4;
    let whole = || device.create_device_memory(Part::Uncached, quarter, Rights::Read);
    let range = whole().expect("no other process uses the device");

    refuses(&liar, || range.close());

    assert!(whole().is_err(), "the range has another owner");
    is_freed_by_a_reset(&liar, &device);
    whole().expect("the range is free again");
    Ok(())
}

/// The device may go on to reach the memory through the view, although it has closed the windows of
/// buffer and range themselves.
fn memory_under_a_refused_view_is_kept() -> Result<(), Skip> {
    let liar = Liar::find()?;
    let device = open();
    let page = page_size();
    let buffer = device.create_buffer(page, Rights::Read);
    let buffer = buffer.expect("a window is free");
    let range = device.create_device_memory(Part::Uncached, page, Rights::Read);
    let range = range.expect("a window is free");
    let view = |part| device.open_window(&[part], Rights::Read);
    let views = [buffer.part(0..page as u64), range.part(0..page as u64)].map(view);

    for view in views {
        refuses(&liar, || view.expect("a window is free").close());
    }

    assert!(buffer.close().is_err(), "the driver has freed the buffer");
    assert!(range.close().is_err(), "the driver has freed the range");
    is_freed_by_a_reset(&liar, &device);
    Ok(())
}

/// A device that refuses to open a window does not reach the memory: the driver keeps nothing.
fn memory_of_a_process_is_free_if_its_window_is_refused() -> Result<(), Skip> {
    let liar = Liar::find()?;
    let device = open();
    let memory = Mapping::anonymous(page_size()).expect("memory");
    let pinned = pinned_pages();

    refuses(&liar, || {
        let window = device.open_user_window(&memory, 0..page_size(), Rights::Read);
        window.map(drop)
    });

    assert_eq!(pinned_pages(), pinned);
    assert!(!keeps(DEVICE), "the driver keeps memory");
    let window = device.open_user_window(&memory, 0..page_size(), Rights::Read);
    window.expect("the device tells the truth");
    Ok(())
}

/// Opens the device, which tells the truth.
fn open() -> Device {
    Device::open(node(DEVICE)).expect("a device that tells the truth can be opened")
}

/// Calls `close`, which the device refuses. It tells the truth again afterwards.
#[track_caller]
fn refuses(liar: &Liar, close: impl FnOnce() -> Result<(), Error>) {
    liar.lie(Lie::AdminRefuses);
    assert!(close().is_err(), "the device has closed the window");
    assert_ne!(liar.truth(), 0, "the device has told no lie");
}

/// Resets the device, and checks that the driver keeps nothing then.
#[track_caller]
fn is_freed_by_a_reset(liar: &Liar, device: &Device) {
    liar.function.reset();
    assert_device_works(device);
    assert!(!keeps(DEVICE), "the driver still keeps memory");
}

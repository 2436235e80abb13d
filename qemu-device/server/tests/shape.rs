// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The configuration space of this device, as the data sheet has it. Its rules are tested with
//! `ringbar-endpoint`.

use ringbar_endpoint::config_space::{BARS, INTERRUPTS, REGION};
use ringbar_endpoint::Endpoint;
use ringbar_server::events::Events;
use ringbar_server::options::InterruptKind;
use ringbar_server::ringbar::{self, Ringbar};
use ringbar_server::Options;
use ringbar_spec::ids::{CLASS_CODE, DEVICE_ID, REVISION_ID, VENDOR_ID};
use ringbar_spec::layout::{
    DEVICE_MEMORY_SIZE, MSIX_BAR, MSIX_BAR_SIZE, MSIX_PBA_OFFSET, MSIX_TABLE_OFFSET,
    REGISTER_BAR_SIZE,
};
use ringbar_vfio_user::Device as _;

fn device(interrupts: InterruptKind, queues: u16) -> Endpoint<Ringbar> {
    let mut options = Options::new("unused");
    options.interrupts = interrupts;
    options.queues = queues;
    ringbar::endpoint(&options, Events::default()).unwrap()
}

fn config(device: &mut Endpoint<Ringbar>, offset: usize) -> u32 {
    let mut bytes = [0; 4];
    device.read(REGION, offset as u64, &mut bytes).unwrap();
    u32::from_le_bytes(bytes)
}

/// Returns the size of a BAR, and the bits that say of which kind it is.
fn bar(device: &mut Endpoint<Ringbar>, index: usize) -> (usize, u32) {
    let offset = BARS + 4 * index;
    device.write(REGION, offset as u64, &[0xff; 4]).unwrap();
    let bits = config(device, offset);
    ((bits & !0xf).wrapping_neg() as usize, bits & 0xf)
}

#[test]
fn identity_is_that_of_the_spec() {
    let mut device = device(InterruptKind::Msix, 1);

    let ids = u32::from(DEVICE_ID) << 16 | u32::from(VENDOR_ID);
    let class = CLASS_CODE << 8 | u32::from(REVISION_ID);
    assert_eq!([0x00, 0x08].map(|at| config(&mut device, at)), [ids, class]);
}

#[test]
fn bars_have_the_sizes_of_the_spec() {
    let mut device = device(InterruptKind::Msix, 1);

    let bars = [0, 2, 4].map(|index| bar(&mut device, index));

    let prefetchable = 0xc;
    assert_eq!(
        bars,
        [
            (REGISTER_BAR_SIZE, 0),
            (DEVICE_MEMORY_SIZE, prefetchable),
            (MSIX_BAR_SIZE, 0)
        ]
    );
}

#[test]
fn bar_of_msix_is_absent_with_msi() {
    assert_eq!(bar(&mut device(InterruptKind::Msi, 1), 4), (0, 0));
}

#[test]
fn msix_table_and_pending_bits_are_those_of_the_spec() {
    let mut device = device(InterruptKind::Msix, 64);

    let control = config(&mut device, INTERRUPTS) >> 16;
    let places = [4, 8].map(|at| config(&mut device, INTERRUPTS + at));

    let place = |offset| offset as u32 | MSIX_BAR;
    assert_eq!(control, 64, "one less than the vectors");
    assert_eq!(places, [MSIX_TABLE_OFFSET, MSIX_PBA_OFFSET].map(place));
}

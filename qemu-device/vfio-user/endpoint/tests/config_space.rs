// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Configuration space as a PCI bus driver sees it.

use proptest::prelude::*;
use ringbar_endpoint::config_space::{
    Bar, ConfigEffects, ConfigSpace, Identity, Messages, BARS, CAPABILITIES, COMMAND,
    COMMAND_BUS_MASTER, DEVICE_CONTROL, EXPRESS, FUNCTION_RESET, INTERRUPTS, POWER, POWER_CONTROL,
    SIZE,
};

const IDENTITY: Identity = Identity {
    vendor: 0x1af4,
    device: 0x10f0,
    class: 0x08_8000,
    revision: 1,
};

/// BARs of registers and of memory.
const BAR_0: Bar = Bar {
    index: 0,
    size: 1 << 20,
    wide: false,
};
const BAR_2: Bar = Bar {
    index: 2,
    size: 16 << 20,
    wide: true,
};
/// BAR of table and pending bits of MSI-X.
const BAR_4: Bar = Bar {
    index: 4,
    size: 4096,
    wide: false,
};

fn msix() -> ConfigSpace {
    msix_with(2)
}

fn msix_with(vectors: u16) -> ConfigSpace {
    let messages = Messages::MsiX {
        vectors,
        bar: 4,
        table: 0,
        pending: 0x800,
    };
    ConfigSpace::new(IDENTITY, &[BAR_0, BAR_2, BAR_4], messages)
}

fn msi(vectors: u16) -> ConfigSpace {
    ConfigSpace::new(IDENTITY, &[BAR_0, BAR_2], Messages::Msi { vectors })
}

fn read16(space: &ConfigSpace, offset: usize) -> u16 {
    let mut bytes = [0; 2];
    space.read(offset as u64, &mut bytes);
    u16::from_le_bytes(bytes)
}

fn read32(space: &ConfigSpace, offset: usize) -> u32 {
    let mut bytes = [0; 4];
    space.read(offset as u64, &mut bytes);
    u32::from_le_bytes(bytes)
}

fn write16(space: &mut ConfigSpace, offset: usize, value: u16) -> ConfigEffects {
    space.write(offset as u64, &value.to_le_bytes())
}

/// Writes configuration space. Returns the value afterwards, where the effects do not matter.
fn store32(space: &mut ConfigSpace, offset: usize, value: u32) -> u32 {
    let _not_looked_at = space.write(offset as u64, &value.to_le_bytes());
    read32(space, offset)
}

/// Returns ids and offsets of all capabilities, in order.
fn capabilities(space: &ConfigSpace) -> Vec<(u8, usize)> {
    let mut found = Vec::new();
    let mut offset = usize::from(read16(space, CAPABILITIES) as u8);
    while offset != 0 {
        let [id, next] = read16(space, offset).to_le_bytes();
        found.push((id, offset));
        offset = usize::from(next);
    }
    found
}

#[test]
fn identity_is_that_of_the_device() {
    let space = msix();

    assert_eq!(read16(&space, 0x00), 0x1af4);
    assert_eq!(read16(&space, 0x02), 0x10f0);
    assert_eq!(read32(&space, 0x08), 0x0880_0001);
    assert_eq!(read16(&space, 0x0e), 0, "header type 0, one function");
}

#[test]
fn identity_is_not_writable() {
    let mut space = msix();

    assert_eq!(store32(&mut space, 0x00, 0), 0x10f0_1af4);
}

#[test]
fn interrupt_pin_is_absent() {
    assert_eq!(read16(&msix(), 0x3c) >> 8, 0);
}

#[test]
fn command_keeps_memory_bus_master_and_intx_disable_only() {
    let mut space = msix();

    assert_eq!(store32(&mut space, COMMAND, 0xffff), 0x0010_0406);
}

#[test]
fn register_bar_answers_sizing_with_1_mib() {
    let mut space = msix();

    assert_eq!(store32(&mut space, BARS, u32::MAX), 0xfff0_0000);
}

#[test]
fn device_memory_bar_answers_sizing_with_its_size_64_bit_prefetchable() {
    let mut space = msix();

    assert_eq!(store32(&mut space, BARS + 8, u32::MAX), 0xff00_000c);
    assert_eq!(store32(&mut space, BARS + 12, u32::MAX), u32::MAX);
}

#[test]
fn msix_bar_answers_sizing_with_a_page() {
    let mut space = msix();

    assert_eq!(store32(&mut space, BARS + 16, u32::MAX), 0xffff_f000);
}

#[test]
fn bars_1_and_5_are_absent() {
    let mut space = msix();

    assert_eq!(store32(&mut space, BARS + 4, u32::MAX), 0);
    assert_eq!(store32(&mut space, BARS + 20, u32::MAX), 0);
}

#[test]
fn msi_device_has_no_msix_bar() {
    let mut space = msi(2);

    assert_eq!(store32(&mut space, BARS + 16, u32::MAX), 0);
}

#[test]
fn bar_keeps_its_address() {
    let mut space = msix();

    assert_eq!(store32(&mut space, BARS, 0xfeb0_0000), 0xfeb0_0000);
}

#[test]
fn bar_written_byte_by_byte_keeps_its_address() {
    let mut space = msix();

    for (offset, byte) in (BARS as u64..).zip(0xfeb0_0000_u32.to_le_bytes()) {
        let _no_effect = space.write(offset, &[byte]);
    }

    assert_eq!(read32(&space, BARS), 0xfeb0_0000);
}

#[test]
fn capability_list_of_msix_device_is_express_power_msix() {
    assert_eq!(
        capabilities(&msix()),
        [(0x10, EXPRESS), (0x01, POWER), (0x11, INTERRUPTS)]
    );
    assert_eq!(read16(&msix(), 0x06) & 0x10, 0x10);
}

#[test]
fn capability_list_of_msi_device_is_express_power_msi() {
    assert_eq!(
        capabilities(&msi(2)),
        [(0x10, EXPRESS), (0x01, POWER), (0x05, INTERRUPTS)]
    );
}

#[test]
fn extended_capability_list_is_empty() {
    assert_eq!(read32(&msix(), 0x100), 0);
}

#[test]
fn msix_shows_vectors_table_and_pending_bits() {
    let space = msix_with(65);

    assert_eq!(read16(&space, INTERRUPTS + 2), 64);
    assert_eq!(read32(&space, INTERRUPTS + 4), 4);
    assert_eq!(read32(&space, INTERRUPTS + 8), 0x804);
}

#[test]
fn msix_keeps_enable_and_function_mask_only() {
    let mut space = msix();

    let _no_effect = write16(&mut space, INTERRUPTS + 2, 0xffff);

    assert_eq!(read16(&space, INTERRUPTS + 2), 0xc001);
}

#[test]
fn msi_shows_vectors_and_64_bit_addresses() {
    assert_eq!(read16(&msi(2), INTERRUPTS + 2), 0x0082);
    assert_eq!(read16(&msi(32), INTERRUPTS + 2), 0x008a);
}

#[test]
fn express_is_a_version_2_endpoint_with_function_reset() {
    let space = msix();

    assert_eq!(read16(&space, EXPRESS + 2), 0x0002);
    assert_eq!(read32(&space, EXPRESS + 4) >> 28 & 1, 1);
}

#[test]
fn power_management_keeps_state_over_d3hot() {
    let space = msix();

    assert_eq!(read16(&space, POWER + 2), 0x0003);
    assert_eq!(read16(&space, POWER_CONTROL), 0x0008);
}

#[test]
fn power_state_is_d0_or_d3hot_only() {
    let mut space = msix();
    let states = [1, 3, 2, 0].map(|state| {
        let _not_looked_at = write16(&mut space, POWER_CONTROL, state);
        read16(&space, POWER_CONTROL) & 3
    });

    assert_eq!(states, [0, 3, 3, 0]);
}

#[test]
fn bus_master_switched_on_is_reported_once() {
    let mut space = msix();

    let first = write16(&mut space, COMMAND, COMMAND_BUS_MASTER);
    let second = write16(&mut space, COMMAND, COMMAND_BUS_MASTER);

    assert_eq!(first.bus_master, Some(true));
    assert_eq!(second.bus_master, None);
}

#[test]
fn d3hot_switches_bus_master_off_and_d0_on_again() {
    let mut space = msix();
    let _switched_on = write16(&mut space, COMMAND, COMMAND_BUS_MASTER);

    let sleep = write16(&mut space, POWER_CONTROL, 3);
    let awake = write16(&mut space, POWER_CONTROL, 0);

    assert_eq!(sleep.bus_master, Some(false));
    assert_eq!(awake.bus_master, Some(true));
    assert_eq!(read16(&space, COMMAND), COMMAND_BUS_MASTER);
}

#[test]
fn function_reset_returns_everything_and_reads_0() {
    let mut space = msix();
    let _switched_on = write16(&mut space, COMMAND, COMMAND_BUS_MASTER);
    store32(&mut space, BARS, 0xfeb0_0000);

    let effects = write16(&mut space, DEVICE_CONTROL, FUNCTION_RESET);

    assert_eq!(
        effects,
        ConfigEffects {
            bus_master: Some(false),
            function_reset: true,
        }
    );
    assert_eq!(read32(&space, BARS), 0);
    assert_eq!(read16(&space, DEVICE_CONTROL), 0x2810);
}

#[test]
fn reads_beyond_the_end_are_all_ones() {
    let mut bytes = [0; 4];

    msix().read(SIZE as u64 - 2, &mut bytes);

    assert_eq!(bytes, [0, 0, 0xff, 0xff]);
}

proptest! {
    #[test]
    fn any_writes_keep_identity_and_capability_list(
        writes in prop::collection::vec((any::<u16>(), prop::collection::vec(any::<u8>(), 0..16)), 0..64)
    ) {
        let mut space = msix();

        for (offset, data) in writes {
            let _not_looked_at = space.write(u64::from(offset), &data);
        }

        prop_assert_eq!(read32(&space, 0), 0x10f0_1af4);
        prop_assert_eq!(
            capabilities(&space),
            [(0x10, EXPRESS), (0x01, POWER), (0x11, INTERRUPTS)]
        );
        prop_assert_eq!(read16(&space, DEVICE_CONTROL) & FUNCTION_RESET, 0);
    }
}

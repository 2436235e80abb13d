// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Location of the device in the guest's physical memory.

use std::sync::atomic::{AtomicU64, Ordering};

use ringbar_marks::BARS;
use ringbar_records::place::{Place, Space};
use ringbar_records::register_names::RegisterNames;
use ringbar_spec::layout::{REGISTER_BAR, REGISTER_BAR_SIZE};

use crate::config::Function;

/// Prefix of QEMU's names for regions of a vfio-user device. The socket follows.
const DEVICE_PREFIX: &str = "vfio-user:";
/// Part of such a name between the socket and the number of the BAR.
const BAR: &str = " BAR ";
/// QEMU's names of the regions in which it keeps the MSI-X table and the pending bits of a device.
const MSIX_REGIONS: [(&str, Space); 2] = [
    ("msix-table", Space::MsixTable),
    ("msix-pba", Space::MsixPba),
];
/// QEMU's name of the memory that shows all configuration space.
const CONFIG_REGION: &str = "pcie-mmcfg-mmio";
/// Size of that memory.
const CONFIG_REGION_SIZE: u64 = 256 << 20;

/// An access as QEMU reports it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'a> {
    /// Guest-physical address.
    pub(crate) address: u64,
    /// Name of the region if the access trapped, `None` if it went to memory.
    pub(crate) region: Option<&'a str>,
}

/// BARs of the device. They are read for each load and store of the guest, so they have no locks.
#[derive(Debug)]
pub(crate) struct Map {
    /// By their numbers.
    bars: [Bar; BARS],
    function: Function,
    /// Socket of the device's server. If empty, any device counts.
    socket: String,
    /// Names of the registers, unless the device is ringbar's.
    names: Option<RegisterNames>,
}

/// A BAR. It is empty while its address changes, and as long as that is unknown.
#[derive(Debug, Default)]
struct Bar {
    address: AtomicU64,
    size: AtomicU64,
}

impl Bar {
    /// Changes the address of the BAR.
    fn set(&self, address: u64, size: u64) {
        // The size is 0 meanwhile. Otherwise another vCPU could match an access to the old size at
        // the new address.
        self.size.store(0, Ordering::Release);
        self.address.store(address, Ordering::Release);
        self.size.store(size, Ordering::Release);
    }

    /// Returns the offset of an address in the BAR, if it lies there.
    fn offset(&self, address: u64) -> Option<u64> {
        let size = self.size.load(Ordering::Acquire);
        let offset = address.wrapping_sub(self.address.load(Ordering::Acquire));
        (offset < size).then_some(offset)
    }
}

impl Map {
    /// Returns a map without known addresses. `names` are those of the registers, unless the device
    /// is ringbar's.
    pub(crate) fn new(function: Function, socket: &str, names: Option<RegisterNames>) -> Self {
        Self {
            bars: Default::default(),
            function,
            socket: socket.to_owned(),
            names,
        }
    }

    /// Returns whether the names are those of another device's registers.
    pub(crate) fn is_of_other_device(&self) -> bool {
        self.names.is_some()
    }

    /// Returns whether accesses to registers of this BAR trap.
    fn has_registers(&self, bar: u32) -> bool {
        match &self.names {
            None => bar == REGISTER_BAR,
            Some(names) => names.has_bar(bar),
        }
    }

    /// Sets the address of a BAR, as the guest marked it.
    pub(crate) fn set_bar(&self, number: u32, address: u64, size: u64) {
        if let Some(bar) = self.bars.get(number as usize) {
            bar.set(address, size);
        }
    }

    /// Returns the place in the device of an access, if it goes there.
    pub(crate) fn find(&self, seen: Seen<'_>) -> Option<Place> {
        if let Some(region) = seen.region {
            if region == CONFIG_REGION {
                let offset = self
                    .function
                    .offset_in_region(seen.address % CONFIG_REGION_SIZE)?;
                return Some(Place::in_config(offset));
            }
            self.learn(seen.address, region);
        }
        (0..).zip(&self.bars).find_map(|(number, bar)| {
            let offset = bar.offset(seen.address)?;
            // While the BARs do not respond, for example in a reset, QEMU has another region at
            // their address.
            let is_absent = |region: &str| !region.starts_with(DEVICE_PREFIX);
            match (&self.names, seen.region.and_then(messages)) {
                (Some(_), Some(space)) => Some(Place {
                    space,
                    name: String::new(),
                    offset,
                }),
                _ if seen.region.is_some_and(is_absent) && self.has_registers(number) => None,
                (Some(names), None) => Some(names.place(number, offset, seen.region.is_some())),
                (None, _) => Some(Place::in_bar(number, offset)),
            }
        })
    }

    /// Returns whether an address of memory belongs to the device.
    pub(crate) fn has(&self, address: u64) -> bool {
        self.bars.iter().any(|bar| bar.offset(address).is_some())
    }

    /// Learns the address of registers from a trapped access. A BAR is aligned to its size.
    fn learn(&self, address: u64, region: &str) {
        let Some((socket, number)) = region
            .strip_prefix(DEVICE_PREFIX)
            .and_then(|rest| rest.rsplit_once(BAR))
        else {
            return;
        };
        let number = number.parse().ok().filter(|bar| self.has_registers(*bar));
        let Some(bar) = number.and_then(|number| self.bars.get(number as usize)) else {
            return;
        };
        let is_it = self.socket.is_empty() || socket == self.socket;
        let size = match (bar.size.load(Ordering::Acquire), &self.names) {
            // The data sheet has the size before the guest has marked it.
            (0, None) => REGISTER_BAR_SIZE as u64,
            (size, _) => size,
        };
        if is_it && size > 0 && bar.offset(address).is_none() {
            bar.set(address - address % size, size);
        }
    }
}

/// Returns the part of a device that a region of QEMU stands for, if it is one of interrupts.
fn messages(region: &str) -> Option<Space> {
    let mut regions = MSIX_REGIONS.into_iter();
    regions.find_map(|(name, space)| (name == region).then_some(space))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown() -> Map {
        Map::new(Function::BEHIND_FIRST_PORT, "", None)
    }

    /// Returns the map of another device, whose BAR 0 was marked.
    fn other() -> Map {
        let names = RegisterNames::parse("0 0x0c START\n").expect("names");
        let map = Map::new(Function::BEHIND_FIRST_PORT, "", Some(names));
        map.set_bar(0, 0xfe00_0000, 0x1000);
        map
    }

    fn map() -> Map {
        let map = unknown();
        map.set_bar(0, 0xfd00_0000, 0x100_0000);
        map.set_bar(2, 0x38_0000_0000, 0x100_0000);
        map.set_bar(4, 0xfe10_0000, 0x1_0000);
        map
    }

    fn memory(address: u64) -> Seen<'static> {
        Seen {
            address,
            region: None,
        }
    }

    #[test]
    fn memory_of_a_bar_is_found_by_address() {
        let place = map().find(memory(0xfd80_0000)).expect("the device");

        assert_eq!(place.name, "submission_tail[0]");
    }

    #[test]
    fn last_byte_belongs_to_a_bar_and_the_next_one_does_not() {
        let map = map();

        assert!(map.has(0x38_00ff_ffff));
        assert!(!map.has(0x38_0100_0000));
        assert!(!map.has(0xfcff_ffff));
    }

    #[test]
    fn registers_are_found_by_their_region_without_a_mark() {
        let map = unknown();
        let seen = Seen {
            address: 0xfd01_0004,
            region: Some("vfio-user:/t/device.sock BAR 0"),
        };

        assert_eq!(map.find(seen).expect("the device").name, "IRQ_MASK");
        assert!(map.has(0xfd80_0000));
    }

    #[test]
    fn registers_of_another_socket_are_those_of_another_device() {
        let map = Map::new(Function::BEHIND_FIRST_PORT, "/t/device0.sock", None);
        let find = |region| {
            let address = 0xfd01_0004;
            let region = Some(region);
            map.find(Seen { address, region })
        };

        assert_eq!(find("vfio-user:/t/device1.sock BAR 0"), None);
        assert!(find("vfio-user:/t/device0.sock BAR 0").is_some());
    }

    #[test]
    fn registers_of_another_device_have_the_names_of_its_server() {
        let seen = Seen {
            address: 0xfe00_000c,
            region: Some("vfio-user:/t/device.sock BAR 0"),
        };

        assert_eq!(other().find(seen).expect("the device").name, "START");
    }

    #[test]
    fn registers_of_another_device_are_found_where_they_have_moved() {
        let map = other();
        let seen = Seen {
            address: 0xfe80_300c,
            region: Some("vfio-user:/t/device.sock BAR 0"),
        };

        assert_eq!(map.find(seen).expect("the device").name, "START");
        assert!(!map.has(0xfe00_000c), "still at the old address");
    }

    #[test]
    fn registers_of_another_device_that_do_not_answer_are_not_there() {
        let seen = Seen {
            address: 0xfe00_000c,
            region: Some("anon00000000"),
        };

        assert_eq!(other().find(seen), None);
    }

    #[test]
    fn interrupt_table_and_pending_bits_of_another_device_are_no_registers() {
        let map = other();
        map.set_bar(4, 0xfe10_0000, 0x1000);
        // In a BAR of their own, and beside registers.
        for address in [0xfe10_0010, 0xfe00_0810] {
            for (name, space) in MSIX_REGIONS {
                let region = Some(name);
                let place = map.find(Seen { address, region }).expect("the device");

                assert_eq!((place.space, place.name.as_str()), (space, ""), "{name}");
                assert_eq!(place.offset, address % 0x1000);
            }
        }
    }

    #[test]
    fn interrupt_table_of_a_third_device_is_not_ours() {
        let seen = Seen {
            address: 0xfe20_0010,
            region: Some("msix-table"),
        };

        assert_eq!(other().find(seen), None);
    }

    #[test]
    fn registers_that_do_not_answer_are_not_there() {
        let seen = Seen {
            address: 0xfd00_0000,
            region: Some("anon00000000"),
        };

        assert_eq!(map().find(seen), None);
    }

    #[test]
    fn another_device_is_not_ours() {
        let seen = Seen {
            address: 0xfee0_0000,
            region: Some("apic-msi"),
        };

        assert_eq!(map().find(seen), None);
    }

    #[test]
    fn configuration_space_in_memory_is_found_by_its_region() {
        let seen = Seen {
            address: 0xe010_0004,
            region: Some("pcie-mmcfg-mmio"),
        };

        let place = map().find(seen).expect("the device");

        assert_eq!((place.space, place.offset), (Space::Config, 4));
    }
}

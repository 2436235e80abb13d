// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Location of the device in the guest's physical memory.

use std::sync::atomic::{AtomicU64, Ordering};

use ringbar_records::place::Place;
use ringbar_spec::layout::{DEVICE_MEMORY_BAR, MSIX_BAR, REGISTER_BAR, REGISTER_BAR_SIZE};

use crate::config::Function;

/// Prefix of QEMU's names for regions of a vfio-user device. The socket follows.
const DEVICE_PREFIX: &str = "vfio-user:";
/// Suffix of the name of the registers' region.
const REGISTERS: &str = " BAR 0";
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
    bars: [Bar; 3],
    function: Function,
    /// Socket of the device's server. If empty, any device counts.
    socket: String,
}

/// A BAR. It is empty while its address changes.
#[derive(Debug)]
struct Bar {
    number: u32,
    address: AtomicU64,
    size: AtomicU64,
}

impl Bar {
    /// Returns a BAR whose address is unknown.
    const fn unknown(number: u32) -> Self {
        Self {
            number,
            address: AtomicU64::new(0),
            size: AtomicU64::new(0),
        }
    }

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
    /// Returns a map without known addresses.
    pub(crate) fn new(function: Function, socket: &str) -> Self {
        Self {
            bars: [
                Bar::unknown(REGISTER_BAR),
                Bar::unknown(DEVICE_MEMORY_BAR),
                Bar::unknown(MSIX_BAR),
            ],
            function,
            socket: socket.to_owned(),
        }
    }

    /// Sets the address of a BAR, as the guest marked it.
    pub(crate) fn set_bar(&self, number: u32, address: u64, size: u64) {
        for bar in self.bars.iter().filter(|bar| bar.number == number) {
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
        self.bars.iter().find_map(|bar| {
            let offset = bar.offset(seen.address)?;
            // While the BARs do not respond, for example in a reset, QEMU has another region at
            // their address.
            let is_absent = |region: &str| !region.starts_with(DEVICE_PREFIX);
            if bar.number == REGISTER_BAR && seen.region.is_some_and(is_absent) {
                return None;
            }
            Some(Place::in_bar(bar.number, offset))
        })
    }

    /// Returns whether an address of memory belongs to the device.
    pub(crate) fn has(&self, address: u64) -> bool {
        self.bars.iter().any(|bar| bar.offset(address).is_some())
    }

    /// Learns the address of the registers from a trapped access. A BAR is aligned to its size.
    fn learn(&self, address: u64, region: &str) {
        let [registers, ..] = &self.bars;
        let socket = region.strip_prefix(DEVICE_PREFIX);
        let socket = socket.and_then(|rest| rest.strip_suffix(REGISTERS));
        let is_it = socket.is_some_and(|socket| self.socket.is_empty() || socket == self.socket);
        if is_it && registers.offset(address).is_none() {
            let size = REGISTER_BAR_SIZE as u64;
            registers.set(address - address % size, size);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringbar_records::place::Space;

    fn unknown() -> Map {
        Map::new(Function::BEHIND_FIRST_PORT, "")
    }

    fn map() -> Map {
        let map = unknown();
        map.set_bar(0, 0xfe00_0000, 0x10_0000);
        map.set_bar(2, 0x38_0000_0000, 0x100_0000);
        map.set_bar(4, 0xfe10_0000, 0x1000);
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
        let place = map().find(memory(0xfe08_0000)).expect("the device");

        assert_eq!(place.name, "submission_tail[0]");
    }

    #[test]
    fn last_byte_belongs_to_a_bar_and_the_next_one_does_not() {
        let map = map();

        assert!(map.has(0x38_00ff_ffff));
        assert!(!map.has(0x38_0100_0000));
        assert!(!map.has(0xfdff_ffff));
    }

    #[test]
    fn registers_are_found_by_their_region_without_a_mark() {
        let map = unknown();
        let seen = Seen {
            address: 0xfe80_1004,
            region: Some("vfio-user:/t/device.sock BAR 0"),
        };

        assert_eq!(map.find(seen).expect("the device").name, "IRQ_MASK");
        assert!(map.has(0xfe88_0000));
    }

    #[test]
    fn registers_of_another_socket_are_those_of_another_device() {
        let map = Map::new(Function::BEHIND_FIRST_PORT, "/t/device0.sock");
        let find = |region| {
            let address = 0xfe80_1004;
            let region = Some(region);
            map.find(Seen { address, region })
        };

        assert_eq!(find("vfio-user:/t/device1.sock BAR 0"), None);
        assert!(find("vfio-user:/t/device0.sock BAR 0").is_some());
    }

    #[test]
    fn registers_that_do_not_answer_are_not_there() {
        let seen = Seen {
            address: 0xfe00_0000,
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

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The regions of the device, as described to the client.

use ringbar_spec::layout::{DOORBELL_PAGES, MSIX_BAR_SIZE, REGISTER_BAR_SIZE, STATUS_PAGES};
use vfio_bindings::bindings::vfio::{
    VFIO_PCI_BAR0_REGION_INDEX, VFIO_PCI_BAR2_REGION_INDEX, VFIO_PCI_BAR4_REGION_INDEX,
    VFIO_PCI_CONFIG_REGION_INDEX, VFIO_PCI_NUM_REGIONS,
};

use crate::config_space;
use crate::options::InterruptKind;

/// Region of the register BAR.
pub const REGISTERS: u32 = VFIO_PCI_BAR0_REGION_INDEX;
/// Region of the device memory.
pub const DEVICE_MEMORY: u32 = VFIO_PCI_BAR2_REGION_INDEX;
/// Region of the MSI-X table and pending bits.
pub const MSIX: u32 = VFIO_PCI_BAR4_REGION_INDEX;
/// Region of configuration space.
pub const CONFIG: u32 = VFIO_PCI_CONFIG_REGION_INDEX;

/// A region. A region that the device does not have is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// Region index of VFIO.
    pub index: u32,
    /// Size in bytes.
    pub size: u64,
    /// Parts that the client may map from the region's file, at the same offsets.
    pub shared: Vec<Area>,
}

/// A part of a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Area {
    /// First byte.
    pub offset: u64,
    /// Length in bytes.
    pub size: u64,
}

/// Returns all regions of the device, by index (data sheet 2).
pub fn regions(interrupts: InterruptKind, device_memory: usize) -> Vec<Region> {
    (0..VFIO_PCI_NUM_REGIONS)
        .map(|index| {
            let (size, shared) = match (index, interrupts) {
                (REGISTERS, _) => (
                    REGISTER_BAR_SIZE as u64,
                    vec![
                        // Two areas, one per writer: the driver side and the device side.
                        area(DOORBELL_PAGES, STATUS_PAGES),
                        area(STATUS_PAGES, REGISTER_BAR_SIZE),
                    ],
                ),
                (DEVICE_MEMORY, _) => (device_memory as u64, vec![area(0, device_memory)]),
                (MSIX, InterruptKind::Msix) => (MSIX_BAR_SIZE as u64, vec![]),
                (CONFIG, _) => (config_space::SIZE as u64, vec![]),
                _ => (0, vec![]),
            };
            Region {
                index,
                size,
                shared,
            }
        })
        .collect()
}

/// Makes the area from `start` up to `end`.
fn area(start: usize, end: usize) -> Area {
    Area {
        offset: start as u64,
        size: (end - start) as u64,
    }
}

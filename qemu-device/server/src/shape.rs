// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The shape of this device: identity, BARs, interrupts (data sheet 1 and 2).

use std::sync::Arc;

use ringbar_endpoint::config_space::{Identity, Messages};
use ringbar_endpoint::shape::{Backing, BarShape, Shape};
use ringbar_spec::ids::{CLASS_CODE, DEVICE_ID, REVISION_ID, VENDOR_ID};
use ringbar_spec::layout::{
    DEVICE_MEMORY_BAR, MSIX_BAR, MSIX_BAR_SIZE, MSIX_PBA_OFFSET, MSIX_TABLE_OFFSET, REGISTER_BAR,
    REGISTER_BAR_SIZE, REPORT_PAGE,
};
use ringbar_vfio_user::device::Area;

use crate::host::ServedMemory;
use crate::options::InterruptKind;

/// Returns the shape of a device with this memory, kind and number of interrupts.
pub fn shape(memory: &ServedMemory, interrupts: InterruptKind, vectors: u16) -> Shape {
    let registers = Backing::Parts(
        Arc::clone(&memory.shared_pages),
        // One area, as report, doorbell and status pages are neighbours. Each more needs a slot in
        // QEMU, and clients that expect a file per area, as SPDK's does, fail with the one file of the
        // region.
        vec![area(REPORT_PAGE, REGISTER_BAR_SIZE)],
    );
    let device_memory = Backing::Memory(Arc::clone(&memory.device_memory));
    let mut bars = vec![
        bar(REGISTER_BAR, registers),
        bar(DEVICE_MEMORY_BAR, device_memory),
    ];
    // MSI-X has a BAR for its table. With MSI BAR 4 does not exist (data sheet 2).
    let messages = match interrupts {
        InterruptKind::Msix => {
            bars.push(bar(MSIX_BAR, Backing::Messages(MSIX_BAR_SIZE as u64)));
            Messages::MsiX {
                vectors,
                bar: MSIX_BAR,
                table: MSIX_TABLE_OFFSET as u32,
                pending: MSIX_PBA_OFFSET as u32,
            }
        }
        InterruptKind::Msi => Messages::Msi { vectors },
    };
    Shape {
        identity: Identity {
            vendor: VENDOR_ID,
            device: DEVICE_ID,
            class: CLASS_CODE,
            revision: REVISION_ID,
        },
        bars,
        messages,
    }
}

/// Makes a BAR.
fn bar(index: u32, backing: Backing) -> BarShape {
    BarShape { index, backing }
}

/// Makes the area from `start` up to `end`.
fn area(start: usize, end: usize) -> Area {
    Area {
        offset: start as u64,
        size: (end - start) as u64,
    }
}

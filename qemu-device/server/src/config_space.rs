// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Contents of the configuration space of this device (data sheet 1 and 2).

use ringbar_spec::ids::{CLASS_CODE, DEVICE_ID, REVISION_ID, VENDOR_ID};
use ringbar_spec::layout::{
    DEVICE_MEMORY_BAR, MSIX_BAR, MSIX_BAR_SIZE, MSIX_PBA_OFFSET, MSIX_TABLE_OFFSET, REGISTER_BAR,
    REGISTER_BAR_SIZE,
};

pub use ringbar_endpoint::config_space::*;

use crate::options::InterruptKind;

/// Makes configuration space as after power-on.
pub fn power_on(interrupts: InterruptKind, vectors: u16, device_memory: usize) -> ConfigSpace {
    let mut bars = vec![
        Bar {
            index: REGISTER_BAR,
            size: REGISTER_BAR_SIZE as u64,
            wide: false,
        },
        Bar {
            index: DEVICE_MEMORY_BAR,
            size: device_memory as u64,
            wide: true,
        },
    ];
    // MSI-X has a BAR for its table. With MSI BAR 4 does not exist (data sheet 2).
    let messages = match interrupts {
        InterruptKind::Msix => {
            bars.push(Bar {
                index: MSIX_BAR,
                size: MSIX_BAR_SIZE as u64,
                wide: false,
            });
            Messages::MsiX {
                vectors,
                bar: MSIX_BAR,
                table: MSIX_TABLE_OFFSET as u32,
                pending: MSIX_PBA_OFFSET as u32,
            }
        }
        InterruptKind::Msi => Messages::Msi { vectors },
    };
    let identity = Identity {
        vendor: VENDOR_ID,
        device: DEVICE_ID,
        class: CLASS_CODE,
        revision: REVISION_ID,
    };
    ConfigSpace::new(identity, &bars, messages)
}

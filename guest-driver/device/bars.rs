// SPDX-License-Identifier: GPL-2.0-only

//! The sizes of the BARs, as PCI shows them. The driver checks them before it uses a BAR: what the
//! interface has beyond the end of one belongs to another device.

use crate::interface::{
    ids,
    layout, //
};
use kernel::{
    device::Bound,
    pci,
    prelude::*, //
};

/// Checks that BAR 0 holds all registers and pages of the interface.
///
/// # Errors
///
/// `ENODEV` if not.
pub(super) fn check_registers(pdev: &pci::Device<Bound>) -> Result {
    let size = pdev.resource_len(layout::REGISTER_BAR)?;
    if size < layout::REGISTER_BAR_SIZE as u64 {
        dev_err!(
            pdev,
            "BAR {} has {} bytes, the least of interface {}.x is {}\n",
            layout::REGISTER_BAR,
            size,
            ids::VERSION_MAJOR,
            layout::REGISTER_BAR_SIZE
        );
        return Err(ENODEV);
    }
    Ok(())
}

/// Returns how many bytes of device memory the driver uses, from the start of their BAR on.
///
/// # Errors
///
/// `ENODEV` if the parts of the device memory do not fit into the BAR.
pub(super) fn memory_size(pdev: &pci::Device<Bound>) -> Result<usize> {
    let size = pdev.resource_len(layout::DEVICE_MEMORY_BAR)?;
    let Some(usable) = layout::usable_memory(size) else {
        dev_err!(
            pdev,
            "BAR {} has {} bytes of device memory, not a power of two from {}\n",
            layout::DEVICE_MEMORY_BAR,
            size,
            layout::DEVICE_MEMORY_MIN
        );
        return Err(ENODEV);
    };
    if (usable as u64) < size {
        dev_warn!(
            pdev,
            "BAR {} has {} bytes of device memory, of which the driver uses {}\n",
            layout::DEVICE_MEMORY_BAR,
            size,
            usable
        );
    }
    Ok(usable)
}

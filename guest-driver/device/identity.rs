// SPDX-License-Identifier: GPL-2.0-only

//! Identity and properties of a device, and the check that this driver knows it.

use super::registers::{
    RegisterBar,
    Registers, //
};
use crate::interface::{
    ids,
    layout,
    regs,
    ring, //
};
use kernel::{
    device::Bound,
    io::Io,
    pci,
    prelude::*, //
};

/// The limits of the device; read once, as each read traps.
pub(crate) struct Limits {
    /// Version of the interface.
    pub(crate) version: (u16, u16),
    /// Bit n: the device knows opcode n.
    pub(crate) opcodes: u64,
    /// Number of queues.
    pub(crate) queues: u32,
    /// Most entries of a ring.
    pub(crate) entries: u32,
    /// Most windows; their numbers start at 1.
    pub(crate) windows: u32,
    /// Most segments of a window.
    pub(crate) segments: u32,
    /// Largest length of a descriptor in bytes.
    pub(crate) length: u32,
}

impl Limits {
    /// Checks that the driver knows the device, resets it, and reads its limits.
    ///
    /// # Errors
    ///
    /// `ENODEV` if the driver does not know the device.
    pub(super) fn read(pdev: &pci::Device<Bound>, registers: &Registers<'_>) -> Result<Self> {
        let bar = registers.bar()?;
        let version = check(pdev, bar)?;
        // Ends all queues and windows of an earlier user: the device would go on to write memory
        // that the kernel has given to others since.
        registers.reset()?;
        let queue_limits = bar.read(regs::QUEUE_LIMITS);
        let window_limits = bar.read(regs::WINDOW_LIMITS);
        Ok(Self {
            version,
            opcodes: bar.try_read(regs::FEATURES)?.into_raw(),
            // The device may have more than the interface knows places for, which are of no use.
            queues: u32::from(queue_limits.queues()).min(layout::MAX_QUEUES as u32),
            entries: u32::from(queue_limits.entries()).min(ring::MAX_ENTRIES),
            windows: window_limits.windows().into(),
            segments: window_limits.segments().into(),
            length: bar.read(regs::LENGTH_LIMIT).into_raw(),
        })
    }

    /// Returns whether the device has a window with this number, open or not.
    pub(crate) fn has_window(&self, window: u16) -> bool {
        (1..=self.windows).contains(&window.into())
    }
}

/// Returns the version of the interface, if the driver knows it.
fn check(pdev: &pci::Device<Bound>, bar: &RegisterBar<'_>) -> Result<(u16, u16)> {
    let ident = bar.read(regs::IDENT).into_raw();
    if ident != ids::IDENT {
        dev_err!(pdev, "IDENT is {:#x}, not {:#x}\n", ident, ids::IDENT);
        return Err(ENODEV);
    }
    let version = bar.read(regs::VERSION);
    let version = (
        u32::from(version.major()) as u16,
        u32::from(version.minor()) as u16,
    );
    if version.0 != ids::VERSION_MAJOR {
        dev_err!(
            pdev,
            "interface version is {}.{}, this driver knows {}.x\n",
            version.0,
            version.1,
            ids::VERSION_MAJOR
        );
        return Err(ENODEV);
    }
    Ok(version)
}

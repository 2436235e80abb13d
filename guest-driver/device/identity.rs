// SPDX-License-Identifier: GPL-2.0-only

//! Identity and properties of a device, and the check that this driver knows it.

use super::registers::{
    RegisterBar,
    Registers, //
};
use crate::interface::{
    ids,
    layout,
    pages,
    regs,
    ring,
    setup, //
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
    pub(super) fn read(
        pdev: &pci::Device<Bound>,
        registers: &Registers<'_>,
        bar: &RegisterBar<'_>,
    ) -> Result<Self> {
        let version = check(pdev, bar)?;
        // Ends all queues and windows of an earlier user: the device would go on to write memory
        // that the kernel has given to others since.
        registers.reset()?;
        // From the report page: no trap. The reset was answered, so the device is there.
        let queue_limits = regs::QUEUE_LIMITS::from(bar.read32(pages::REPORTED_QUEUE_LIMITS));
        let window_limits = regs::WINDOW_LIMITS::from(bar.read32(pages::REPORTED_WINDOW_LIMITS));
        let limits = Self {
            version,
            opcodes: bar.try_read64(pages::REPORTED_FEATURES)?,
            // BAR 0 has pages for no more, whatever the device says.
            queues: usable(
                pdev,
                "queues",
                queue_limits.queues().into(),
                layout::MAX_QUEUES as u32,
            ),
            entries: usable(
                pdev,
                "entries of a ring",
                queue_limits.entries().into(),
                ring::MAX_ENTRIES,
            ),
            windows: usable(
                pdev,
                "windows",
                window_limits.windows().into(),
                setup::MAX_WINDOWS.into(),
            ),
            segments: usable(
                pdev,
                "segments of a window",
                window_limits.segments().into(),
                setup::MAX_SEGMENTS,
            ),
            length: usable(
                pdev,
                "bytes of a descriptor",
                bar.read32(pages::REPORTED_LENGTH_LIMIT),
                ring::MAX_LENGTH,
            ),
        };
        limits.check(pdev)?;
        Ok(limits)
    }

    /// Checks that the driver can work with these limits (data sheet 13).
    ///
    /// # Errors
    ///
    /// `ENODEV` if not.
    fn check(&self, pdev: &pci::Device<Bound>) -> Result {
        for (name, value) in [
            ("queues", self.queues),
            ("windows", self.windows),
            ("segments of a window", self.segments),
            ("bytes of a descriptor", self.length),
        ] {
            if value == 0 {
                dev_err!(pdev, "the device has 0 {}, the least is 1\n", name);
                return Err(ENODEV);
            }
        }
        if !ring::entries_valid(self.entries) {
            dev_err!(
                pdev,
                "the device has rings of {} entries, not of a power of two from {}\n",
                self.entries,
                ring::MIN_ENTRIES
            );
            return Err(ENODEV);
        }
        Ok(())
    }

    /// Returns whether a device with these limits can stand in for one with `others`: all numbers
    /// and operations that the driver has told processes of still hold.
    pub(super) fn cover(&self, others: &Self) -> bool {
        self.opcodes & others.opcodes == others.opcodes
            && self.queues >= others.queues
            && self.entries >= others.entries
            && self.windows >= others.windows
            && self.segments >= others.segments
            && self.length >= others.length
    }

    /// Returns whether the device has a window with this number, open or not.
    pub(crate) fn has_window(&self, window: u16) -> bool {
        (1..=self.windows).contains(&window.into())
    }
}

/// Returns a limit of the device, no higher than the interface has it. Logs a higher one: a process
/// would wonder where the rest is.
fn usable(pdev: &pci::Device<Bound>, name: &str, told: u32, most: u32) -> u32 {
    if told > most {
        dev_warn!(
            pdev,
            "the device has {} {}, of which the driver uses {}\n",
            told,
            name,
            most
        );
    }
    told.min(most)
}

/// Returns the version of the interface, if the driver knows it.
fn check(pdev: &pci::Device<Bound>, bar: &RegisterBar<'_>) -> Result<(u16, u16)> {
    // IDENT and VERSION are neighbours, so one trap reads both.
    let both = bar.try_read64(layout::PUBLIC_PAGE)?;
    let ident = both as u32;
    if ident != ids::IDENT {
        dev_err!(pdev, "IDENT is {:#x}, not {:#x}\n", ident, ids::IDENT);
        return Err(ENODEV);
    }
    let version = regs::VERSION::from((both >> 32) as u32);
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

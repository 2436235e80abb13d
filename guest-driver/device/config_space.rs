// SPDX-License-Identifier: GPL-2.0-only

//! What configuration space tells of a function whose BARs do not answer (PCI Local Bus 3.0, 6.2).

use kernel::{
    bindings::{
        PCI_BASE_ADDRESS_0,
        PCI_COMMAND,
        PCI_COMMAND_MEMORY, //
    },
    device::Bound,
    io::Io,
    pci, //
};

/// Returns the base address of BAR 0 with the bits of its kind: all ones if the device is gone. QEMU
/// answers this itself, also without a server.
pub(super) fn base_address(pdev: &pci::Device<Bound>) -> u32 {
    pdev.config_space()
        .try_read32(PCI_BASE_ADDRESS_0 as usize)
        .unwrap_or(u32::MAX)
}

/// Returns whether BARs are on. The PCI core turns them off before a reset, and on again when the
/// function answers.
pub(super) fn has_memory_space(pdev: &pci::Device<Bound>) -> bool {
    u32::from(command(pdev)) & PCI_COMMAND_MEMORY != 0
}

/// Returns the command register.
pub(super) fn command(pdev: &pci::Device<Bound>) -> u16 {
    // Cannot fail: every function has this register.
    pdev.config_space()
        .try_read16(PCI_COMMAND as usize)
        .unwrap_or(0)
}

/// Writes the command register, with a single access: it may last until QEMU's time-out.
pub(super) fn set_command(pdev: &pci::Device<Bound>, command: u16) {
    // Cannot fail, for the same reason.
    let _ = pdev
        .config_space()
        .try_write16(command, PCI_COMMAND as usize);
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! PCI identification. Shared with the kernel module.

/// Vendor id: Red Hat, whose virtio range QEMU lends to experiments (QEMU `docs/specs/pci-ids`).
pub const VENDOR_ID: u16 = 0x1af4;
/// Device id: the first of QEMU's range 10f0 to 10ff for experiments.
pub const DEVICE_ID: u16 = 0x10f0;
/// Revision of the hardware, as configuration space shows it.
pub const REVISION_ID: u8 = 0x01;
/// Class code: base system peripheral, other, as DMA engines have it (PCI Code and ID, 1.8).
pub const CLASS_CODE: u32 = 0x08_80_00;

/// What `regs::IDENT` answers: the bytes `RBAR`.
pub const IDENT: u32 = u32::from_le_bytes(*b"RBAR");
/// Major version of this interface: a driver refuses a device with another one.
pub const VERSION_MAJOR: u16 = 2;
/// Minor version of this interface: grows with what is added without breaking a driver.
pub const VERSION_MINOR: u16 = 3;
/// Minor version that added the inline copies, `regs::SUBMISSION_INLINE` and what belongs to it.
pub const INLINE_MINOR: u16 = 3;

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! PCI identification (data sheet 1). Shared with the kernel module.

/// Vendor id: Red Hat. QEMU lends a part of its virtio range to experiments (QEMU
/// `docs/specs/pci-ids`).
pub const VENDOR_ID: u16 = 0x1af4;
/// Device id: the first of QEMU's range 10f0 to 10ff for experiments.
pub const DEVICE_ID: u16 = 0x10f0;
/// Revision of the hardware, as in configuration space.
pub const REVISION_ID: u8 = 0x01;
/// Class code: base system peripheral, other, as DMA engines have it (PCI Code and ID, 1.8).
pub const CLASS_CODE: u32 = 0x08_80_00;

/// Value of `regs::IDENT`: the bytes `RBAR`.
pub const IDENT: u32 = u32::from_le_bytes(*b"RBAR");
/// Major version of this interface. A driver refuses a device with another one.
pub const VERSION_MAJOR: u16 = 4;
/// Minor version of this interface. It grows with each addition that breaks no driver.
pub const VERSION_MINOR: u16 = 0;
/// Largest boot number. A generation counts on from the boot number, and so does not overflow before
/// the device has been reset as often as this.
pub const BOOT_NUMBER_MAX: u32 = u32::MAX >> 1;

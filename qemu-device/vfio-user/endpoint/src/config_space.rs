// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! PCI configuration space: identity, BARs and capabilities of a device.
//!
//! QEMU emulates much of it itself, BARs and interrupt enables among them, and passes every write
//! on. This configuration space is complete all the same. PCI Express Base Specification 5.0,
//! chapter 7.

use vfio_bindings::bindings::vfio::VFIO_PCI_CONFIG_REGION_INDEX;

/// Region of configuration space, an index of VFIO.
pub const REGION: u32 = VFIO_PCI_CONFIG_REGION_INDEX;
/// Most vectors of MSI.
pub const MSI_VECTORS: u16 = 32;
/// Size of configuration space with its extended part, in bytes.
pub const SIZE: usize = 4096;
/// Bytes that may differ from 0. The extended part has no capability, so it begins with an empty
/// header.
const USED: usize = 256;

/// Offset of the command register.
pub const COMMAND: usize = 0x04;
/// Bit of [`COMMAND`]: the device may do DMA.
pub const COMMAND_BUS_MASTER: u16 = 1 << 2;
/// Bit of [`COMMAND`]: the BARs respond.
pub const COMMAND_MEMORY: u16 = 1 << 1;
const COMMAND_INTX_DISABLE: u16 = 1 << 10;
const STATUS_CAPABILITIES: u16 = 1 << 4;
/// Offset of the first BAR; each takes four bytes.
pub const BARS: usize = 0x10;
const BAR_64_BIT_PREFETCHABLE: u32 = 0xc;
/// Offset of the pointer to the first capability.
pub const CAPABILITIES: usize = 0x34;

/// Offset of the PCI Express capability.
pub const EXPRESS: usize = 0x40;
/// Offset of device control, in the PCI Express capability.
pub const DEVICE_CONTROL: usize = EXPRESS + 0x08;
/// Bit of [`DEVICE_CONTROL`]: resets the function; reads as 0.
pub const FUNCTION_RESET: u16 = 1 << 15;
/// Offset of the power management capability.
pub const POWER: usize = 0x80;
/// Offset of power control and status.
pub const POWER_CONTROL: usize = POWER + 4;
const POWER_STATE: u8 = 0x3;
const POWER_STATE_D0: u8 = 0;
const POWER_STATE_D3_HOT: u8 = 3;
/// Offset of the MSI-X or the MSI capability.
pub const INTERRUPTS: usize = 0x90;
/// Number of the MSI-X capability.
const MSIX: u8 = 0x11;
const MSIX_ENABLE: u16 = 1 << 15;
const MSI_ENABLE: u16 = 1;

/// Identity of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Vendor, of the device and of the subsystem.
    pub vendor: u16,
    /// Device, and subsystem.
    pub device: u16,
    /// Class, subclass and programming interface, 24 bits.
    pub class: u32,
    /// Revision.
    pub revision: u8,
}

/// A base address register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    /// Number, 0 to 5. A BAR of 64 bits takes the next number as well.
    pub index: u32,
    /// Size in bytes, a power of two.
    pub size: u64,
    /// Whether it has 64 bits and is prefetchable.
    pub wide: bool,
}

/// Kind of interrupts of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Messages {
    /// MSI-X, whose table and pending bits are in a BAR: best in pages of their own.
    MsiX {
        /// Number of vectors, 1 to 2048.
        vectors: u16,
        /// Index of the BAR.
        bar: u32,
        /// Offset of the table.
        table: u32,
        /// Offset of the pending bits.
        pending: u32,
    },
    /// MSI with up to 32 vectors, rounded up to a power of two.
    Msi {
        /// Number of vectors.
        vectors: u16,
    },
}

/// Effects that a write of configuration space has on the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct ConfigEffects {
    /// New state of bus mastering, if the command register or the power state switched it.
    pub bus_master: Option<bool>,
    /// Whether to reset the function. Configuration space has been reset already.
    pub function_reset: bool,
}

/// Configuration space of the device.
///
/// ```
/// use ringbar_endpoint::config_space::{ConfigSpace, Identity, Messages};
/// use ringbar_endpoint::config_space::{COMMAND, COMMAND_BUS_MASTER};
///
/// let identity = Identity { vendor: 0x1af4, device: 0x10f1, class: 0x12_0000, revision: 0 };
/// let mut space = ConfigSpace::new(identity, &[], Messages::Msi { vectors: 1 });
/// let mut vendor = [0; 2];
/// space.read(0, &mut vendor);
/// assert_eq!(vendor, [0xf4, 0x1a]);
/// let effects = space.write(COMMAND as u64, &COMMAND_BUS_MASTER.to_le_bytes());
/// assert_eq!(effects.bus_master, Some(true));
/// ```
#[derive(Clone, Debug)]
pub struct ConfigSpace {
    bytes: [u8; USED],
    writable: [u8; USED],
    reset: [u8; USED],
    /// Whether the function was reset by the guest, and not switched on again since.
    after_reset: AfterReset,
}

/// Parts that are off since a reset of the function, which QEMU takes for any write. It sends
/// accesses of the BARs as before, and delivers interrupts.
#[derive(Clone, Copy, Debug, Default)]
struct AfterReset {
    memory: bool,
    messages: bool,
}

impl ConfigSpace {
    /// Makes the configuration space of a PCI Express endpoint after power-on, with power
    /// management, function level reset and no INTx.
    pub fn new(identity: Identity, bars: &[Bar], interrupts: Messages) -> Self {
        let mut space = Self {
            bytes: [0; USED],
            writable: [0; USED],
            reset: [0; USED],
            after_reset: AfterReset::default(),
        };
        space.put_header(identity);
        for bar in bars {
            let kind = if bar.wide { BAR_64_BIT_PREFETCHABLE } else { 0 };
            space.put_bar(bar.index, bar.size, kind);
        }
        space.put_express();
        space.put_power();
        match interrupts {
            Messages::MsiX {
                vectors,
                bar,
                table,
                pending,
            } => space.put_msix(vectors, table | bar, pending | bar),
            Messages::Msi { vectors } => space.put_msi(vectors),
        }
        space.reset = space.bytes;
        space
    }

    /// Reads bytes. Beyond the end they are all ones, as on a bus where no device responds.
    pub fn read(&self, offset: u64, data: &mut [u8]) {
        for (place, byte) in (offset..).zip(data) {
            *byte = match usize::try_from(place) {
                Ok(place) if place < SIZE => self.bytes.get(place).copied().unwrap_or(0),
                _ => 0xff,
            };
        }
    }

    /// Writes bytes, as far as they are writable.
    pub fn write(&mut self, offset: u64, data: &[u8]) -> ConfigEffects {
        // The state before the write. Only a change is an effect, and a reset may be part of it.
        let bus_master = self.bus_master();
        let power_state = self.byte(POWER_CONTROL) & POWER_STATE;
        for (place, value) in (offset..).zip(data) {
            let place = usize::try_from(place).unwrap_or(usize::MAX);
            if let (Some(byte), Some(mask)) = (self.bytes.get_mut(place), self.writable.get(place))
            {
                *byte = *byte & !mask | value & mask;
            }
        }
        self.refuse_unknown_power_state(power_state);
        let function_reset = self.half(DEVICE_CONTROL) & FUNCTION_RESET != 0;
        // The reset returns the bit to 0, so it reads as 0 and does not reset again.
        if function_reset {
            self.reset();
            self.after_reset = AfterReset {
                memory: true,
                messages: true,
            };
        }
        self.after_reset.memory &= self.half(COMMAND) & COMMAND_MEMORY == 0;
        self.after_reset.messages &= !self.messages_are_on();
        ConfigEffects {
            bus_master: (self.bus_master() != bus_master).then_some(self.bus_master()),
            function_reset,
        }
    }

    /// Returns every register to its value after power-on.
    pub fn reset(&mut self) {
        self.bytes = self.reset;
        self.after_reset = AfterReset::default();
    }

    /// Checks whether the device may do DMA: bus mastering is on and the device is in D0.
    pub fn bus_master(&self) -> bool {
        self.half(COMMAND) & COMMAND_BUS_MASTER != 0
            && self.byte(POWER_CONTROL) & POWER_STATE == POWER_STATE_D0
    }

    /// Checks whether the device has MSI-X and the guest has switched it on.
    pub(crate) fn msix_is_on(&self) -> bool {
        self.byte(INTERRUPTS) == MSIX && self.half(INTERRUPTS + 2) & MSIX_ENABLE != 0
    }

    /// Checks whether BARs answer: not between a reset of the function and the next time that the
    /// guest switches memory space on. Before that, the client knows whether it is on.
    pub(crate) fn bars_answer(&self) -> bool {
        !self.after_reset.memory
    }

    /// Checks whether the function may raise interrupts: not between a reset of the function and the
    /// next time that the guest switches its messages on.
    pub(crate) fn may_interrupt(&self) -> bool {
        !self.after_reset.messages
    }

    /// Checks whether the guest has switched MSI-X or MSI on.
    fn messages_are_on(&self) -> bool {
        let enable = match self.byte(INTERRUPTS) {
            MSIX => MSIX_ENABLE,
            _ => MSI_ENABLE,
        };
        self.half(INTERRUPTS + 2) & enable != 0
    }

    /// Restores the power state if the new one does not exist here.
    fn refuse_unknown_power_state(&mut self, before: u8) {
        let byte = &mut self.bytes[POWER_CONTROL];
        // A write of a state that does not exist is completed, and changes no state.
        if !matches!(*byte & POWER_STATE, POWER_STATE_D0 | POWER_STATE_D3_HOT) {
            *byte = *byte & !POWER_STATE | before;
        }
    }

    /// Sets the header, but for the BARs.
    fn put_header(&mut self, identity: Identity) {
        self.put(0x00, &identity.vendor.to_le_bytes());
        self.put(0x02, &identity.device.to_le_bytes());
        self.put_writable(
            COMMAND,
            &(COMMAND_MEMORY | COMMAND_BUS_MASTER | COMMAND_INTX_DISABLE).to_le_bytes(),
        );
        self.put(0x06, &STATUS_CAPABILITIES.to_le_bytes());
        self.put(
            0x08,
            &(identity.class << 8 | u32::from(identity.revision)).to_le_bytes(),
        );
        // Cache line size and interrupt line: kept for software, without effect.
        self.put_writable(0x0c, &[0xff]);
        self.put_writable(0x3c, &[0xff]);
        self.put(0x2c, &identity.vendor.to_le_bytes());
        self.put(0x2e, &identity.device.to_le_bytes());
        self.put(CAPABILITIES, &[EXPRESS as u8]);
    }

    /// Sets a BAR of a power of two of bytes. The address bits below its size read as 0.
    fn put_bar(&mut self, bar: u32, size: u64, kind: u32) {
        let offset = BARS + 4 * bar as usize;
        // Software finds the size by writing all ones: bits that stay 0 are below it.
        let mask = !size.wrapping_sub(1);
        self.put(offset, &kind.to_le_bytes());
        self.put_writable(offset, &(mask as u32).to_le_bytes());
        if kind == BAR_64_BIT_PREFETCHABLE {
            self.put_writable(offset + 4, &((mask >> 32) as u32).to_le_bytes());
        }
    }

    /// Sets the capability of a PCI Express endpoint, version 2, with function level reset. The
    /// link has 2.5 GT/s and one lane.
    fn put_express(&mut self) {
        self.put(EXPRESS, &[0x10, POWER as u8, 0x02, 0x00]);
        // Role-based error reporting, function level reset.
        self.put(EXPRESS + 0x04, &(1_u32 << 15 | 1 << 28).to_le_bytes());
        // Error reporting, relaxed ordering, payload and request size, no snoop, function reset.
        self.put(DEVICE_CONTROL, &0x2810_u16.to_le_bytes());
        self.put_writable(DEVICE_CONTROL, &(0x78ff | FUNCTION_RESET).to_le_bytes());
        self.put(EXPRESS + 0x0c, &0x11_u32.to_le_bytes());
        // Common clock and extended synch.
        self.put_writable(EXPRESS + 0x10, &0x00c0_u16.to_le_bytes());
        self.put(EXPRESS + 0x12, &0x0011_u16.to_le_bytes());
        self.put(EXPRESS + 0x2c, &0x02_u32.to_le_bytes());
        self.put(EXPRESS + 0x30, &0x0001_u16.to_le_bytes());
    }

    /// Sets the power management capability, version 3: D0 and D3hot, no PME, registers keep their
    /// values on the way back to D0.
    fn put_power(&mut self) {
        self.put(POWER, &[0x01, INTERRUPTS as u8, 0x03, 0x00]);
        self.put(POWER_CONTROL, &[1 << 3]);
        self.put_writable(POWER_CONTROL, &[POWER_STATE]);
    }

    /// Sets the MSI-X capability.
    fn put_msix(&mut self, vectors: u16, table: u32, pending: u32) {
        // The register holds the number of vectors minus one.
        let control = vectors.saturating_sub(1) & 0x7ff;
        self.put(INTERRUPTS, &[MSIX, 0]);
        self.put(INTERRUPTS + 2, &control.to_le_bytes());
        // Enable, and mask for all vectors.
        self.put_writable(INTERRUPTS + 2, &(MSIX_ENABLE | 1 << 14).to_le_bytes());
        self.put(INTERRUPTS + 4, &table.to_le_bytes());
        self.put(INTERRUPTS + 8, &pending.to_le_bytes());
    }

    /// Sets the MSI capability, with 64-bit addresses and without a mask per vector.
    fn put_msi(&mut self, vectors: u16) {
        // The register holds the number of vectors as a power of two.
        let exponent = vectors.next_power_of_two().trailing_zeros().min(5) as u16;
        self.put(INTERRUPTS, &[0x05, 0]);
        self.put(INTERRUPTS + 2, &(exponent << 1 | 1 << 7).to_le_bytes());
        // Enable, number of vectors; then address and data.
        self.put_writable(INTERRUPTS + 2, &0x0071_u16.to_le_bytes());
        self.put_writable(INTERRUPTS + 4, &0xffff_fffc_u32.to_le_bytes());
        self.put_writable(INTERRUPTS + 8, &u32::MAX.to_le_bytes());
        self.put_writable(INTERRUPTS + 12, &u16::MAX.to_le_bytes());
    }

    /// Sets bytes to a value.
    fn put(&mut self, offset: usize, value: &[u8]) {
        self.bytes[offset..offset + value.len()].copy_from_slice(value);
    }

    /// Sets the bits of bytes that can be written.
    fn put_writable(&mut self, offset: usize, mask: &[u8]) {
        self.writable[offset..offset + mask.len()].copy_from_slice(mask);
    }

    /// Returns the byte at an offset.
    fn byte(&self, offset: usize) -> u8 {
        self.bytes[offset]
    }

    /// Returns the 16 bits at an offset.
    fn half(&self, offset: usize) -> u16 {
        u16::from_le_bytes([self.byte(offset), self.byte(offset + 1)])
    }
}

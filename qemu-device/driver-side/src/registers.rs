// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Accesses that a device answers one by one: registers and configuration space.

use ringbar_spec::regs::Register;

/// Registers of BAR 0.
pub trait Registers {
    /// Failure of the transport.
    type Error;

    /// Reads a register of 4 or 8 bytes at an offset.
    fn read_register(&mut self, offset: usize, bytes: &mut [u8]) -> Result<(), Self::Error>;

    /// Writes a register of 4 or 8 bytes at an offset. Returns when the device has answered.
    fn write_register(&mut self, offset: usize, bytes: &[u8]) -> Result<(), Self::Error>;

    /// Reads a register, the first one of an array.
    fn get(&mut self, register: Register) -> Result<u64, Self::Error> {
        self.get_nth(register, 0)
    }

    /// Reads a register of an array, by number modulo the length of the array.
    fn get_nth(&mut self, register: Register, number: usize) -> Result<u64, Self::Error> {
        let info = register.info();
        let mut bytes = [0; 8];
        let offset = info.offset + number % info.count * info.stride;
        self.read_register(offset, &mut bytes[..info.width])?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// Writes a register, the first one of an array.
    fn set(&mut self, register: Register, value: u64) -> Result<(), Self::Error> {
        let info = register.info();
        self.write_register(info.offset, &value.to_le_bytes()[..info.width])
    }

    /// Wakes a queue.
    ///
    /// # Panics
    ///
    /// Panics if the layout has no such queue.
    fn kick(&mut self, queue: u32) -> Result<(), Self::Error> {
        let kick = Register::KICK.info().offset_of(queue as usize);
        self.write_register(kick.expect("a queue of the layout"), &1_u32.to_le_bytes())
    }
}

/// A PCI function: its registers and its configuration space.
pub trait Function: Registers {
    /// Reads configuration space.
    fn read_config(&mut self, offset: usize, bytes: &mut [u8]) -> Result<(), Self::Error>;

    /// Writes configuration space.
    fn write_config(&mut self, offset: usize, bytes: &[u8]) -> Result<(), Self::Error>;
}

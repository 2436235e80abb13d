// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Accesses to configuration space. A PC has two ways: a pair of I/O ports (PCI Local Bus 3.0,
//! 3.2.2.3.2) and memory (PCI Express Base 4.0, 7.2.2).

use std::sync::atomic::{AtomicU32, Ordering};

/// Port for the address.
const ADDRESS_PORT: u16 = 0xcf8;
/// Ports for the four bytes at that address.
const DATA_PORTS: std::ops::RangeInclusive<u16> = 0xcfc..=0xcff;
/// Bit of the address that directs the data ports to configuration space.
const ENABLE: u32 = 1 << 31;

/// A PCI function in the form of requests: bus, device and function in 16 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Function(u16);

impl Function {
    /// Function 01:00.0.
    pub(crate) const BEHIND_FIRST_PORT: Self = Self(1 << 8);

    /// Parses `bus:device.function`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (bus, rest) = text.split_once(':')?;
        let (device, function) = rest.split_once('.')?;
        let bus = u16::from(u8::from_str_radix(bus, 16).ok()?);
        let device = u16::from_str_radix(device, 16).ok().filter(|n| *n < 32)?;
        let function = u16::from_str_radix(function, 16).ok().filter(|n| *n < 8)?;
        Some(Self(bus << 8 | device << 3 | function))
    }

    /// Returns the offset in the function's configuration space, for an offset in the region of all
    /// functions.
    pub(crate) fn offset_in_region(self, offset: u64) -> Option<u64> {
        (offset >> 12 == u64::from(self.0)).then_some(offset & 0xfff)
    }
}

/// An instruction for I/O ports whose port is in DX.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PortInstruction {
    /// Whether it writes.
    pub(crate) write: bool,
    /// Width in bytes.
    pub(crate) width: u32,
}

impl PortInstruction {
    /// Decodes the instruction from its bytes (IN and OUT, in Intel's manual, volume 2).
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (opcode, width) = match bytes {
            [0x66, opcode] => (opcode, 2),
            [opcode] => (opcode, 4),
            _ => return None,
        };
        let (write, width) = match opcode {
            0xec => (false, 1),
            0xed => (false, width),
            0xee => (true, 1),
            0xef => (true, width),
            _ => return None,
        };
        Some(Self { write, width })
    }
}

/// The pair of ports.
#[derive(Debug)]
pub(crate) struct Ports {
    function: Function,
    /// Last value written to [`ADDRESS_PORT`].
    address: AtomicU32,
}

impl Ports {
    /// Returns the ports, for accesses to this function.
    pub(crate) fn new(function: Function) -> Self {
        Self {
            function,
            address: AtomicU32::new(0),
        }
    }

    /// Follows an access. Returns the offset in the function's configuration space if the access
    /// goes there.
    ///
    /// `value` is the written value. A lock of the guest keeps other vCPUs from changing the
    /// address in between.
    pub(crate) fn access(
        &self,
        instruction: PortInstruction,
        port: u16,
        value: u32,
    ) -> Option<u64> {
        if port == ADDRESS_PORT && instruction.write && instruction.width == 4 {
            self.address.store(value, Ordering::Relaxed);
            return None;
        }
        let address = self.address.load(Ordering::Relaxed);
        let here = address & ENABLE != 0 && (address >> 8) as u16 == self.function.0;
        (here && DATA_PORTS.contains(&port))
            .then(|| u64::from(address & 0xfc) + u64::from(port - DATA_PORTS.start()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUT: PortInstruction = PortInstruction {
        write: true,
        width: 4,
    };
    const IN_WORD: PortInstruction = PortInstruction {
        write: false,
        width: 2,
    };

    #[test]
    fn instructions_are_known_by_their_bytes() {
        assert_eq!(PortInstruction::decode(&[0xef]), Some(OUT));
        assert_eq!(PortInstruction::decode(&[0x66, 0xed]), Some(IN_WORD));
        assert_eq!(PortInstruction::decode(&[0x8b, 0x07]), None);
        assert_eq!(PortInstruction::decode(&[]), None);
    }

    #[test]
    fn access_through_the_ports_is_found() {
        let ports = Ports::new(Function::BEHIND_FIRST_PORT);

        assert_eq!(ports.access(OUT, 0xcf8, 0x8001_0004), None);

        assert_eq!(ports.access(IN_WORD, 0xcfe, 0), Some(6));
    }

    #[test]
    fn another_function_is_not_ours() {
        let ports = Ports::new(Function::BEHIND_FIRST_PORT);
        ports.access(OUT, 0xcf8, 0x8000_2004);

        assert_eq!(ports.access(IN_WORD, 0xcfc, 0), None);
    }

    #[test]
    fn region_has_4_kib_per_function() {
        let function = Function::BEHIND_FIRST_PORT;

        assert_eq!(function.offset_in_region(0x10_0100), Some(0x100));
        assert_eq!(function.offset_in_region(0x10_1100), None);
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Registers of the chipset that QEMU's firmware leaves as a reset has them when the machine wakes.
//!
//! SeaBIOS 1.17 sets up the power management of a PIIX4 then, but not that of a Q35. Without it the
//! kernel cannot sleep again, cannot power off, and is not told that a slot has changed. The kernel
//! leaves these registers to the firmware.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;

/// A register in the configuration space of a function.
struct Register {
    name: &'static str,
    function: &'static str,
    offset: u64,
    length: usize,
}

const LPC: &str = "0000:00:1f.0";
const HOST: &str = "0000:00:00.0";

/// The registers, in the order in which they are put back. An address comes before the bit that
/// makes it valid.
const REGISTERS: [Register; 4] = [
    // Ports of ACPI (Intel ICH9 13.1.12 and 13.1.13).
    register("PMBASE", LPC, 0x40, 4),
    register("ACPI_CNTL", LPC, 0x44, 1),
    // Registers that route interrupts (13.1.35).
    register("RCBA", LPC, 0xf0, 4),
    // Configuration space in memory (Intel 3 Series 5.1.19). Its bit that makes it valid is in the
    // lower half, and the upper half is 0 in each machine of QEMU.
    register("PCIEXBAR", HOST, 0x60, 8),
];

const fn register(
    name: &'static str,
    function: &'static str,
    offset: u64,
    length: usize,
) -> Register {
    Register {
        name,
        function,
        offset,
        length,
    }
}

impl Register {
    fn config(&self) -> File {
        let path = format!("/sys/bus/pci/devices/{}/config", self.function);
        let file = OpenOptions::new().read(true).write(true).open(&path);
        file.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn read(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.length];
        let read = self.config().read_exact_at(&mut bytes, self.offset);
        read.unwrap_or_else(|error| panic!("{}: {error}", self.name));
        bytes
    }

    fn write(&self, bytes: &[u8]) {
        let written = self.config().write_all_at(bytes, self.offset);
        written.unwrap_or_else(|error| panic!("{}: {error}", self.name));
    }
}

/// The registers of a machine that is awake.
pub(super) struct Chipset {
    values: Vec<Vec<u8>>,
}

impl Chipset {
    /// Reads the registers.
    pub(super) fn save() -> Self {
        let values = REGISTERS.iter().map(Register::read).collect();
        Self { values }
    }

    /// Writes what has changed. Returns whether there was any.
    pub(super) fn restore(&self) -> bool {
        let mut changed = false;
        for (register, value) in REGISTERS.iter().zip(&self.values) {
            let seen = register.read();
            if seen != *value {
                println!(
                    "# the firmware left {} {seen:x?}, not {value:x?}",
                    register.name
                );
                register.write(value);
                changed = true;
            }
        }
        changed
    }
}

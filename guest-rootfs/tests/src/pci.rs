// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The PCI function under test, as sysfs shows it.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// Offset of the command register (PCI Local Bus 3.0, 6.2.2).
const COMMAND: u64 = 0x04;
/// Bit of the command register: the function may master the bus.
const BUS_MASTER: u16 = 1 << 2;

/// A PCI function.
#[derive(Debug)]
pub struct PciFunction {
    folder: PathBuf,
}

impl PciFunction {
    /// The function behind the first node of the driver.
    pub fn under_test() -> Self {
        Self {
            folder: PathBuf::from("/sys/class/misc/ringbar0/device"),
        }
    }

    /// Turns bus mastering on or off.
    pub fn set_bus_master(&self, on: bool) {
        let config = self.config();
        let mut command = [0; 2];
        config
            .read_exact_at(&mut command, COMMAND)
            .expect("the command register can be read");
        let old = u16::from_le_bytes(command);
        let new = if on {
            old | BUS_MASTER
        } else {
            old & !BUS_MASTER
        };
        config
            .write_all_at(&new.to_le_bytes(), COMMAND)
            .expect("the command register can be written");
    }

    fn config(&self) -> File {
        OpenOptions::new()
            .read(true)
            .write(true)
            .open(self.folder.join("config"))
            .expect("configuration space can be opened")
    }
}

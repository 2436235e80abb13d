// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The PCI function under test, as sysfs shows it.

use crate::{has_iommu, Skip};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::RangeInclusive;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Offset of the command register (PCI Local Bus 3.0, 6.2.2).
const COMMAND: u64 = 0x04;
/// Bit of the command register: the function may master the bus.
const BUS_MASTER: u16 = 1 << 2;

/// A PCI function.
#[derive(Clone, Debug)]
pub struct PciFunction {
    folder: PathBuf,
}

impl PciFunction {
    /// Returns the function behind the driver's first node.
    pub fn under_test() -> Self {
        Self::of(0)
    }

    /// Returns the function behind a node of the driver.
    pub fn of(device: u32) -> Self {
        let folder = fs::canonicalize(format!("/sys/class/misc/ringbar{device}/device"));
        Self {
            folder: folder.expect("the driver is bound to a device"),
        }
    }

    /// Returns the function's folder in sysfs.
    pub fn folder(&self) -> &Path {
        &self.folder
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

    /// Returns whether QEMU 11.1 can take the device out: it aborts on a device with MSI-X.
    pub fn can_be_unplugged(&self) -> bool {
        let vectors = fs::read_dir(self.folder.join("msi_irqs")).into_iter();
        let mut modes = vectors
            .flatten()
            .map(|vector| fs::read_to_string(vector.expect("sysfs can be read").path()));
        modes.all(|mode| mode.expect("sysfs can be read").trim() == "msi")
    }

    /// Returns the bus addresses of a BAR.
    pub fn bar(&self, number: usize) -> RangeInclusive<u64> {
        let table = fs::read_to_string(self.folder.join("resource")).expect("sysfs can be read");
        let line = table.lines().nth(number).expect("sysfs has a line per BAR");
        let mut ends = line.split(' ').map(|word| {
            let digits = word.strip_prefix("0x").expect("a hexadecimal number");
            u64::from_str_radix(digits, 16).expect("a hexadecimal number")
        });
        let mut end = || ends.next().expect("first and last address");
        end()..=end()
    }

    /// Resets the function by FLR. Without the first write the kernel might choose another way.
    pub fn reset(&self) {
        fs::write(self.folder.join("reset_method"), "flr").expect("the function has FLR");
        fs::write(self.folder.join("reset"), "1").expect("the function is reset");
    }

    /// Returns whether the device can be taken out after the loss of its server. Skips the case if
    /// QEMU 11.1 does not survive that loss.
    pub fn can_be_lost(&self) -> Result<bool, Skip> {
        match self.can_be_unplugged() {
            false if has_iommu() => Err(Skip(
                "QEMU 11.1 aborts when it ends with a lost MSI-X device behind an IOMMU".into(),
            )),
            out => Ok(out),
        }
    }

    /// Takes the device out of the kernel's list, until the returned value is dropped.
    pub fn remove(&self) -> Removed<'_> {
        fs::write(self.folder.join("remove"), "1").expect("the kernel forgets the device");
        Removed { function: self }
    }

    /// Takes the driver off the device, until the returned value is dropped.
    pub fn unbind(&self) -> Unbound<'_> {
        self.tell_driver("unbind");
        Unbound { function: self }
    }

    /// Tries to bind the driver. Returns whether the driver took the device.
    pub fn try_bind(&self) -> bool {
        self.write_to_driver("bind").is_ok()
    }

    fn tell_driver(&self, what: &str) {
        self.write_to_driver(what).expect("the driver obeys");
    }

    fn write_to_driver(&self, what: &str) -> io::Result<()> {
        let name = self.folder.file_name().expect("a function has a name");
        let file = format!("/sys/bus/pci/drivers/ringbar/{what}");
        fs::write(file, name.as_encoded_bytes())
    }

    fn config(&self) -> File {
        OpenOptions::new()
            .read(true)
            .write(true)
            .open(self.folder.join("config"))
            .expect("configuration space can be opened")
    }
}

/// A function without its driver. When dropped, it is bound again, unless it is already.
#[derive(Debug)]
pub struct Unbound<'a> {
    function: &'a PciFunction,
}

impl Unbound<'_> {
    /// Tries to bind the driver. Returns whether the driver took the device.
    pub fn try_bind(&self) -> bool {
        self.function.try_bind()
    }

    /// Takes the driver off again.
    pub fn unbind_again(&self) {
        self.function.tell_driver("unbind");
    }
}

impl Drop for Unbound<'_> {
    fn drop(&mut self) {
        if !self.function.folder.join("driver").exists() {
            self.function.tell_driver("bind");
        }
    }
}

/// A function that the kernel has forgotten. When dropped, the kernel searches for it.
#[derive(Debug)]
pub struct Removed<'a> {
    function: &'a PciFunction,
}

impl Drop for Removed<'_> {
    fn drop(&mut self) {
        let bridge = self.function.folder.parent().expect("a port is above it");
        fs::write(bridge.join("rescan"), "1").expect("the kernel looks for devices");
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The PCI function under test, as sysfs shows it.

use rustix::io::Errno;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::RangeInclusive;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// Offset of the command register (PCI Local Bus 3.0, 6.2.2).
const COMMAND: u64 = 0x04;
/// Bit of the command register: the function answers in its BARs.
const MEMORY: u16 = 1 << 1;
/// Bit of the command register: the function may master the bus.
const BUS_MASTER: u16 = 1 << 2;

/// Offset of a bridge's control register (PCI-to-PCI Bridge Architecture 1.2, 3.2.5.18).
const BRIDGE_CONTROL: u64 = 0x3e;
/// Bit of a bridge's control register: the bus below is in reset.
const BUS_RESET: u16 = 1 << 6;
/// Time for which the bit must be set, at least (PCI Local Bus 3.0, 4.3.2).
const BUS_RESET_TIME: Duration = Duration::from_millis(2);

/// A way in which the kernel resets a function through sysfs. It saves the configuration before and
/// restores it after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// The function resets itself (FLR).
    Function,
    /// The port above resets its bus, by `reset_method` of the function.
    Bus,
    /// The same, by `reset_subordinate` of the port.
    Subordinate,
}

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

    /// Returns the functions to which the driver is bound, in the order of their slots.
    pub fn all_bound() -> Vec<Self> {
        let links = fs::read_dir("/sys/bus/pci/drivers/ringbar").expect("the driver is loaded");
        // The other entries are files of every driver.
        let links = links.map(|link| link.expect("sysfs can be read").path());
        let folders = links.filter(|link| link.join("vendor").exists());
        let mut folders: Vec<PathBuf> = folders
            .map(|link| fs::canonicalize(link).expect("sysfs can be read"))
            .collect();
        // The path begins with the port.
        folders.sort();
        let functions = folders.into_iter().map(|folder| Self { folder });
        functions.collect()
    }

    /// Opens the configuration space, also if no driver is bound.
    pub fn config(&self) -> File {
        config(&self.folder)
    }

    /// Returns the function's folder in sysfs.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Turns bus mastering on or off.
    pub fn set_bus_master(&self, on: bool) {
        self.set_command(BUS_MASTER, on);
    }

    /// Turns bus mastering off, until the returned value is dropped.
    pub fn without_bus_master(&self) -> Without<'_> {
        self.without(BUS_MASTER)
    }

    /// Keeps the function from answering in its BARs, as during a reset, until the returned value
    /// is dropped. After four seconds without an answer, the driver gives the device up for good.
    pub fn without_memory(&self) -> Without<'_> {
        self.without(MEMORY)
    }

    fn without(&self, bit: u16) -> Without<'_> {
        self.set_command(bit, false);
        Without {
            function: self,
            bit,
        }
    }

    /// Sets or clears a bit of the command register.
    fn set_command(&self, bit: u16, on: bool) {
        set_bits(&config(&self.folder), COMMAND, bit, on);
    }

    /// Returns whether the driver uses MSI-X, and not MSI.
    pub fn has_msix(&self) -> bool {
        self.vectors().iter().any(|mode| mode == "msix")
    }

    /// Returns the kinds of the vectors that the driver has, `msi` or `msix`.
    pub fn vectors(&self) -> Vec<String> {
        let vectors = fs::read_dir(self.folder.join("msi_irqs")).into_iter();
        let kind = |vector: io::Result<fs::DirEntry>| {
            let kind = fs::read_to_string(vector.expect("sysfs can be read").path());
            kind.expect("sysfs can be read").trim().to_owned()
        };
        vectors.flatten().map(kind).collect()
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

    /// Resets the function by FLR.
    pub fn reset(&self) {
        self.try_reset().expect("the function is reset");
    }

    /// As [`PciFunction::reset`], for a function that may go meanwhile.
    pub fn try_reset(&self) -> io::Result<()> {
        // Otherwise the kernel might choose another way.
        fs::write(self.folder.join("reset_method"), "flr")?;
        fs::write(self.folder.join("reset"), "1")
    }

    /// Resets the function in a way. Returns what the kernel reports of it.
    pub fn reset_by(&self, way: Reset) -> io::Result<()> {
        let method = |name| {
            fs::write(self.folder.join("reset_method"), name)?;
            fs::write(self.folder.join("reset"), "1")
        };
        match way {
            Reset::Function => method("flr"),
            Reset::Bus => {
                let report = method("bus");
                // Otherwise a later program would reset the bus where it means the function.
                fs::write(self.folder.join("reset_method"), "default")?;
                report
            }
            Reset::Subordinate => fs::write(self.port().join("reset_subordinate"), "1"),
        }
    }

    /// Has the port above reset its bus, without a word to the kernel. The function loses its
    /// configuration.
    pub fn reset_bus_behind_the_kernel(&self) {
        let port = config(self.port());
        set_bits(&port, BRIDGE_CONTROL, BUS_RESET, true);
        thread::sleep(BUS_RESET_TIME);
        set_bits(&port, BRIDGE_CONTROL, BUS_RESET, false);
    }

    /// Returns the folder of the port above.
    fn port(&self) -> &Path {
        self.folder.parent().expect("a port is above it")
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

    /// Tells the driver to `bind` or `unbind` the function. Fails if it does not.
    pub fn tell_driver(&self, what: &str) {
        self.write_to_driver(what).expect("the driver obeys");
    }

    /// Takes the driver off the device. A driver that is trying the device may refuse it before.
    pub fn unbind_if_bound(&self) {
        match self.write_to_driver("unbind") {
            Err(error) if Errno::from_io_error(&error) == Some(Errno::NODEV) => {}
            outcome => outcome.expect("the driver obeys"),
        }
    }

    fn write_to_driver(&self, what: &str) -> io::Result<()> {
        let name = self.folder.file_name().expect("a function has a name");
        let file = format!("/sys/bus/pci/drivers/ringbar/{what}");
        fs::write(file, name.as_encoded_bytes())
    }
}

/// Opens the configuration space of the device with this folder in sysfs.
fn config(folder: &Path) -> File {
    OpenOptions::new()
        .read(true)
        .write(true)
        .open(folder.join("config"))
        .expect("configuration space can be opened")
}

/// Sets or clears bits of a register in configuration space.
fn set_bits(config: &File, register: u64, bits: u16, on: bool) {
    let mut value = [0; 2];
    config
        .read_exact_at(&mut value, register)
        .expect("the register can be read");
    let old = u16::from_le_bytes(value);
    let new = if on { old | bits } else { old & !bits };
    config
        .write_all_at(&new.to_le_bytes(), register)
        .expect("the register can be written");
}

/// A function with a bit of its command register cleared. When dropped, it is set again.
#[derive(Debug)]
pub struct Without<'a> {
    function: &'a PciFunction,
    bit: u16,
}

impl Drop for Without<'_> {
    fn drop(&mut self) {
        self.function.set_command(self.bit, true);
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
        fs::write(self.function.port().join("rescan"), "1").expect("the kernel looks for devices");
    }
}

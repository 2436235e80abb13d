// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Devices to compare with, which no driver drives. The registers of QEMU's `edu` trap into QEMU
//! itself, which shows the cost of a device without a server. Those of the floor's trap into a
//! server that does nothing but answer, and those of the peer's into a server that others wrote.

use crate::Error;
use ringbar_client::{page_size, Mapping};
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A device, by what its configuration space and the first register have.
struct Device {
    name: &'static str,
    vendor: &'static str,
    device: &'static str,
    /// File of the BAR with the registers, in the device's folder of sysfs.
    registers: &'static str,
    /// Value of the bits `mask` of the register at offset 0.
    magic: u32,
    mask: u32,
}

/// QEMU's device (QEMU `docs/specs/edu.rst`).
const EDU: Device = Device {
    name: "edu",
    vendor: "0x1234",
    device: "0x11e8",
    registers: "resource0",
    magic: 0xed,
    mask: 0xff,
};
/// The floor's (`ci/bench/src/bin/ringbar-bench-floor.rs`).
const FLOOR: Device = Device {
    name: "floor",
    vendor: "0x1af4",
    device: "0x10f2",
    registers: "resource0",
    magic: u32::from_le_bytes(*b"flo0"),
    mask: u32::MAX,
};
/// That of libvfio-user's sample `gpio-pci-idio-16`, with its ports in memory. They change with each
/// read.
const PEER: Device = Device {
    name: "peer",
    vendor: "0x494f",
    device: "0x0dc8",
    registers: "resource2",
    magic: 0,
    mask: 0,
};
const DEVICES: &str = "/sys/bus/pci/devices";

/// Maps the registers of `edu`.
pub(crate) fn map() -> Result<Mapping, Error> {
    map_device(&EDU)
}

/// Maps the registers of the floor's device.
pub(crate) fn map_floor() -> Result<Mapping, Error> {
    map_device(&FLOOR)
}

/// Maps the registers of the peer's device, which is there if `make bench` was called with `PEER`.
pub(crate) fn map_peer() -> Result<Mapping, Error> {
    map_device(&PEER)
}

/// Maps the registers of a device.
fn map_device(device: &Device) -> Result<Mapping, Error> {
    let name = device.name;
    let folder = find(device)
        .ok_or_else(|| Error::Missing(format!("the machine has no `{name}` device")))?;
    let failed = |error: io::Error| Error::Missing(format!("{}: {error}", folder.display()));
    // No driver has enabled the function. Without this its memory would not respond.
    fs::write(folder.join("enable"), "1").map_err(failed)?;
    let bar = OpenOptions::new()
        .read(true)
        .write(true)
        .open(folder.join(device.registers));
    let bar = Arc::new(bar.map_err(failed)?);
    let registers = Mapping::new(bar, 0, page_size(), false)?;
    match registers.read::<u32>(0) & device.mask {
        magic if magic == device.magic => Ok(registers),
        other => Err(Error::Missing(format!("`{name}` returned {other:#x}"))),
    }
}

/// Returns its folder in sysfs.
fn find(device: &Device) -> Option<PathBuf> {
    let devices = fs::read_dir(DEVICES).ok()?;
    let mut folders = devices.flatten().map(|entry| entry.path());
    folders.find(|folder| is(device, folder))
}

/// Returns whether a folder in sysfs belongs to the device.
fn is(device: &Device, folder: &Path) -> bool {
    let read = |file| fs::read_to_string(folder.join(file)).unwrap_or_default();
    read("vendor").trim() == device.vendor && read("device").trim() == device.device
}

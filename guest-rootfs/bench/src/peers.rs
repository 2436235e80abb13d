// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Devices to compare with, which no driver drives. The registers of QEMU's `edu` trap into QEMU
//! itself, which shows the cost of a device without a server. Those of the floor's trap into a
//! server that does nothing but answer, and its memory is polled by a thread that does nothing but
//! return a word. Those of the peer's trap into a server that others wrote.

use crate::bench::{nanoseconds, rate, LOOKS, PATIENCE};
use crate::floor::{self, BACK, END, THERE};
use crate::Error;
use ringbar_client::{page_size, Mapping};
use std::fs::{self, OpenOptions};
use std::hint::spin_loop;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// A device, by what its configuration space and the first register have.
struct Device {
    name: &'static str,
    vendor: u16,
    device: u16,
    /// Number of the BAR with the registers.
    registers: u32,
    /// Value of the bits `mask` of the register at offset 0.
    magic: u32,
    mask: u32,
}

/// QEMU's device (QEMU `docs/specs/edu.rst`).
const EDU: Device = Device {
    name: "edu",
    vendor: 0x1234,
    device: 0x11e8,
    registers: 0,
    magic: 0xed,
    mask: 0xff,
};
/// The floor's.
const FLOOR: Device = Device {
    name: "floor",
    vendor: floor::VENDOR,
    device: floor::DEVICE,
    registers: 0,
    magic: u32::from_le_bytes(floor::VALUE),
    mask: u32::MAX,
};
/// That of libvfio-user's sample `gpio-pci-idio-16`, with its ports in memory. They change with each
/// read.
const PEER: Device = Device {
    name: "peer",
    vendor: 0x494f,
    device: 0x0dc8,
    registers: 2,
    magic: 0,
    mask: 0,
};
const DEVICES: &str = "/sys/bus/pci/devices";

/// Maps the registers of `edu`.
pub(crate) fn map_edu() -> Result<Mapping, Error> {
    map_device(&EDU, false)
}

/// Returns the nanoseconds for a word there and back by way of the floor's memory: from a store of the
/// guest until the guest sees the answer.
pub(crate) fn word_of_floor() -> Result<f64, Error> {
    let registers = map_device(&FLOOR, true)?;
    let folder = find(&FLOOR).ok_or_else(|| missing(&FLOOR))?;
    let words = map_bar(&folder, floor::WORDS, true)?;
    // END, or the last word of a process that was killed.
    let mut number: u32 = words.read(THERE);
    registers.write(0, 1u32);
    let trips = rate(|| {
        for _ in 0..64 {
            number = number.wrapping_add(1).max(1);
            words.write(THERE, number);
            let look = |_| {
                spin_loop();
                words.read::<u32>(BACK) == number
            };
            // The clock is read late, as a reading takes as long as a word there and back.
            let mut since = None;
            while !(0..LOOKS).any(look) {
                if since.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
                    return Err(Error::Missing("the floor's server returns no word".into()));
                }
            }
        }
        Ok(64)
    });
    words.write(THERE, END);
    Ok(nanoseconds(trips?))
}

/// Maps the registers of the floor's device.
pub(crate) fn map_floor() -> Result<Mapping, Error> {
    map_device(&FLOOR, false)
}

/// Maps the registers of the peer's device, which is there if `make bench` was called with `PEER`.
pub(crate) fn map_peer() -> Result<Mapping, Error> {
    map_device(&PEER, false)
}

/// Maps the registers of a device, for reads alone or for writes as well.
fn map_device(device: &Device, writable: bool) -> Result<Mapping, Error> {
    let folder = find(device).ok_or_else(|| missing(device))?;
    // No driver has enabled the function. Without this its memory would not respond.
    fs::write(folder.join("enable"), "1").map_err(failed(&folder))?;
    let registers = map_bar(&folder, device.registers, writable)?;
    match registers.read::<u32>(0) & device.mask {
        magic if magic == device.magic => Ok(registers),
        other => Err(Error::Missing(format!(
            "`{}` returned {other:#x}",
            device.name
        ))),
    }
}

/// Maps the first page of a BAR.
fn map_bar(folder: &Path, number: u32, writable: bool) -> Result<Mapping, Error> {
    let bar = OpenOptions::new()
        .read(true)
        .write(true)
        .open(folder.join(format!("resource{number}")));
    let bar = Arc::new(bar.map_err(failed(folder))?);
    Ok(Mapping::new(bar, 0, page_size(), writable)?)
}

/// Returns the error of a machine without the device.
fn missing(device: &Device) -> Error {
    Error::Missing(format!("the machine has no `{}` device", device.name))
}

/// Returns the error of a file of the device.
fn failed(folder: &Path) -> impl Fn(io::Error) -> Error + '_ {
    move |error| Error::Missing(format!("{}: {error}", folder.display()))
}

/// Returns its folder in sysfs.
fn find(device: &Device) -> Option<PathBuf> {
    let devices = fs::read_dir(DEVICES).ok()?;
    let mut folders = devices.flatten().map(|entry| entry.path());
    folders.find(|folder| is(device, folder))
}

/// Returns whether a folder in sysfs belongs to the device.
fn is(device: &Device, folder: &Path) -> bool {
    let is = |file, id| {
        let text = fs::read_to_string(folder.join(file)).unwrap_or_default();
        text.trim() == format!("{id:#06x}")
    };
    is("vendor", device.vendor) && is("device", device.device)
}

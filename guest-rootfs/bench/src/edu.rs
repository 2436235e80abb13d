// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! QEMU's device `edu`. Its registers trap into QEMU itself, which shows the cost of a device
//! without a server.

use crate::Error;
use ringbar_client::{page_size, Mapping};
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Vendor and device id (QEMU `docs/specs/edu.rst`).
const ID: (&str, &str) = ("0x1234", "0x11e8");
/// Low bits of the identification register, at offset 0.
const MAGIC: u32 = 0xed;
const DEVICES: &str = "/sys/bus/pci/devices";

/// Maps its registers.
pub(crate) fn map() -> Result<Mapping, Error> {
    let folder = find().ok_or_else(|| Error::Missing("the machine has no `edu` device".into()))?;
    let failed = |error: io::Error| Error::Missing(format!("{}: {error}", folder.display()));
    // No driver has enabled the function. Without this its memory would not respond.
    fs::write(folder.join("enable"), "1").map_err(failed)?;
    let bar = OpenOptions::new()
        .read(true)
        .write(true)
        .open(folder.join("resource0"));
    let bar = Arc::new(bar.map_err(failed)?);
    let registers = Mapping::new(bar, 0, page_size(), false)?;
    match registers.read::<u32>(0) & 0xff {
        MAGIC => Ok(registers),
        other => Err(Error::Missing(format!("`edu` returned {other:#x}"))),
    }
}

/// Returns its folder in sysfs.
fn find() -> Option<PathBuf> {
    let devices = fs::read_dir(DEVICES).ok()?;
    let mut folders = devices.flatten().map(|entry| entry.path());
    folders.find(|folder| is_edu(folder))
}

/// Returns whether a folder in sysfs belongs to an `edu` device.
fn is_edu(folder: &Path) -> bool {
    let read = |file| fs::read_to_string(folder.join(file)).unwrap_or_default();
    (read("vendor").trim(), read("device").trim()) == ID
}

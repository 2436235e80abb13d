// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Loads the driver and reads the properties of its device.

use crate::marks;
use ringbar_client::Device;
use rustix::system::finit_module;
use std::fs::{self, File};

const MODULE: &str = "/lib/modules/ringbar.ko";
const NODE: &str = "/dev/ringbar0";
const SECTIONS: &str = "/sys/module/ringbar/sections";
const FUNCTION: &str = "/sys/class/misc/ringbar0/device";

/// Loads the module, with or without a device.
pub(crate) fn insert() -> Result<(), String> {
    let module = File::open(MODULE).map_err(|error| format!("cannot open {MODULE}: {error}"))?;
    finit_module(&module, c"", 0).map_err(|errno| {
        format!("cannot load {MODULE}: {errno}; the console has the kernel's reason")
    })
}

/// Loads the module. Returns the properties found, as names and values.
pub(crate) fn load() -> Result<Vec<(&'static str, String)>, String> {
    marks::before_driver();
    insert()?;
    marks::after_driver();
    let device = Device::open(NODE).map_err(|error| {
        format!("{error} (no device was found: is the server there? the console may say more)")
    })?;
    let info = device.info().map_err(|error| error.to_string())?;

    let address = fs::canonicalize(FUNCTION).ok();
    let address = address
        .as_deref()
        .and_then(|path| path.file_name()?.to_str());
    let id = |file| fs::read_to_string(format!("{FUNCTION}/{file}")).unwrap_or_default();
    let id = |file| id(file).trim().trim_start_matches("0x").to_owned();
    Ok(vec![
        (
            "device",
            format!(
                "{} {}:{}, interface {}.{}, {} MiB device memory",
                address.unwrap_or("unknown address"),
                id("vendor"),
                id("device"),
                info.version_major,
                info.version_minor,
                info.device_memory_size >> 20
            ),
        ),
        (
            "driver",
            format!("ringbar loaded, {NODE}, {}", interrupts(info.vectors)),
        ),
    ])
}

/// Returns the addresses of the module's sections, as `NAME=ADDRESS`, by name.
pub(crate) fn sections() -> Result<String, String> {
    let failed = |error: std::io::Error| format!("cannot read {SECTIONS}: {error}");
    let mut all = Vec::new();
    for entry in fs::read_dir(SECTIONS).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let address = fs::read_to_string(entry.path()).map_err(failed)?;
        let name = entry.file_name();
        all.push(format!("{}={}", name.to_string_lossy(), address.trim()));
    }
    all.sort_unstable();
    Ok(all.join(" "))
}

/// Returns the number and mode of interrupts; sysfs shows the mode of each.
fn interrupts(vectors: u32) -> String {
    let folder = fs::read_dir(format!("{FUNCTION}/msi_irqs"));
    let first = folder.ok().and_then(|mut entries| entries.next()?.ok());
    let mode = first.and_then(|entry| fs::read_to_string(entry.path()).ok());
    let mode = match mode.as_deref().map(str::trim) {
        Some("msix") => "MSI-X",
        Some("msi") => "MSI",
        _ => "unknown kind",
    };
    format!(
        "{vectors} vector{} ({mode})",
        if vectors == 1 { "" } else { "s" }
    )
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Loads the driver and reads the properties of its device. Ringbar's is one of several drivers:
//! the kernel command line may name others.

use crate::marks;
use ringbar_client::Device;
use rustix::system::finit_module;
use std::fmt;
use std::fs::{self, File};
use std::path::Path;

/// Name of ringbar's driver, and the node of its first device.
const RINGBAR: &str = "ringbar";
const NODE: &str = "/dev/ringbar0";
const FUNCTION: &str = "/sys/class/misc/ringbar0/device";

/// Driver of an IOMMU that some kernels have in a module. Devices behind it wait for it.
const IOMMU: &str = "virtio-iommu";

/// A property of the machine: its name and value.
pub(crate) type Fact = (&'static str, String);

/// The drivers of a run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Drivers {
    /// Ringbar's.
    Ringbar,
    /// Those of other devices, at least one.
    Own(Vec<Driver>),
}

/// A driver by the name of its module, with the nodes that it makes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Driver {
    name: String,
    nodes: Vec<String>,
}

impl Drivers {
    /// Loads the drivers, with or without a device.
    pub(crate) fn insert(&self) -> Result<(), String> {
        insert_iommu()?;
        match self {
            Self::Ringbar => insert(RINGBAR),
            Self::Own(drivers) => drivers.iter().try_for_each(|driver| insert(&driver.name)),
        }
    }

    /// Loads the drivers. Returns the properties found.
    pub(crate) fn load(&self) -> Result<Vec<Fact>, String> {
        insert_iommu()?;
        match self {
            Self::Ringbar => load(),
            Self::Own(drivers) => load_own(drivers),
        }
    }

    /// Returns the addresses of the sections of the first driver, as `NAME=ADDRESS`, by name.
    pub(crate) fn sections(&self) -> Result<String, String> {
        let own = match self {
            Self::Ringbar => None,
            Self::Own(drivers) => drivers.first(),
        };
        sections(own.map_or(RINGBAR, |driver| &driver.name))
    }
}

impl Driver {
    /// Reads a driver from a word: `NAME` or `NAME:NODE,NODE`.
    pub(crate) fn parse(word: &str) -> Self {
        let (name, nodes) = word.split_once(':').unwrap_or((word, ""));
        let nodes = nodes.split(',').filter(|node| !node.is_empty());
        Self {
            name: name.to_owned(),
            nodes: nodes.map(str::to_owned).collect(),
        }
    }

    /// Loads the driver. Fails if it makes none of its nodes.
    fn load(&self) -> Result<Fact, String> {
        insert(&self.name)?;
        match self.missing(|node| Path::new(node).exists()) {
            Some(reason) => Err(reason),
            None => Ok(("driver", self.to_string())),
        }
    }

    /// Returns the complaint about the first node that is not there.
    fn missing(&self, is_there: impl Fn(&str) -> bool) -> Option<String> {
        let node = self.nodes.iter().find(|node| !is_there(node))?;
        Some(format!(
            "driver {} is loaded, but there is no {node}: it has not found its device. Is the \
             device in the machine? If so, compare the ids, and read probe's messages in the console",
            self.name
        ))
    }
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} loaded", self.name)?;
        self.nodes.iter().try_for_each(|node| write!(f, ", {node}"))
    }
}

/// Loads the driver of the IOMMU, if the guest has it.
fn insert_iommu() -> Result<(), String> {
    match Path::new(&path(IOMMU)).exists() {
        true => insert(IOMMU),
        false => Ok(()),
    }
}

/// Returns the path of a module.
fn path(name: &str) -> String {
    format!("/lib/modules/{name}.ko")
}

/// Loads a module, with or without a device.
fn insert(name: &str) -> Result<(), String> {
    let path = path(name);
    let module = File::open(&path).map_err(|error| format!("cannot open {path}: {error}"))?;
    finit_module(&module, c"", 0).map_err(|errno| {
        format!("cannot load {path}: {errno}; the console has the kernel's reason")
    })
}

/// Loads drivers of other devices. The witness knows the first one, and its device.
fn load_own(drivers: &[Driver]) -> Result<Vec<Fact>, String> {
    marks::before_own();
    let facts = drivers.iter().map(Driver::load).collect();
    if let Some(first) = drivers.first() {
        marks::after_own(&first.name);
    }
    facts
}

/// Loads ringbar's driver. Returns the properties found.
fn load() -> Result<Vec<Fact>, String> {
    marks::before_ringbar();
    insert(RINGBAR)?;
    marks::after_ringbar(RINGBAR);
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

/// Returns the addresses of a module's sections, as `NAME=ADDRESS`, by name.
fn sections(name: &str) -> Result<String, String> {
    let folder = format!("/sys/module/{name}/sections");
    let failed = |error: std::io::Error| format!("cannot read {folder}: {error}");
    let mut all = Vec::new();
    for entry in fs::read_dir(&folder).map_err(failed)? {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn driver_is_shown_with_its_nodes() {
        let driver = Driver::parse("ringbar_sum:/dev/a,/dev/b");

        assert_eq!(driver.to_string(), "ringbar_sum loaded, /dev/a, /dev/b");
    }

    #[test]
    fn driver_without_a_node_misses_none() {
        let driver = Driver::parse("ringbar_sum");

        assert_eq!(driver.missing(|_| false), None);
    }

    #[test]
    fn missing_node_is_named_with_its_driver() {
        let driver = Driver::parse("ringbar_sum:/dev/a,/dev/b");

        let complaint = driver.missing(|node| node == "/dev/a").expect("missed");

        assert!(complaint.starts_with("driver ringbar_sum is loaded, but there is no /dev/b"));
    }

    #[test]
    fn module_that_is_not_packed_is_named() {
        let drivers = Drivers::Own(vec![Driver::parse("no_such_module")]);

        let error = drivers.load().expect_err("refused");

        assert!(error.contains("/lib/modules/no_such_module.ko"), "{error}");
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The rules for a device that leaves its driver while processes have it mapped: unbind returns,
//! and the mapping has no pages any more.

use super::{only_if, open_node, rules, Driver, Kind, Outcome, Rule};
use crate::fork::{self, Fork, SIGBUS};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags};
use std::fs;
use std::io::{pipe, PipeWriter, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};

pub(super) const RULES: &[(&str, Rule)] = rules![
    mapping_raises_sigbus_after_unbind,
    mapping_works_without_unbind,
    inherited_mapping_raises_sigbus_after_unbind,
    mappings_are_uncounted_after_unbind,
    old_file_maps_nothing_after_unbind,
    kind_can_be_mapped_again_after_bind,
];

/// The rule about the node, which no kind changes.
pub(super) const RULE_OF_THE_NODE: (&str, fn(&Driver)) = (
    "node_goes_at_unbind_and_returns_at_bind",
    node_goes_at_unbind_and_returns_at_bind,
);

/// The device behind a node and its driver, by their folders in sysfs. The folders stay while the
/// driver is off the device, but the node does not.
struct Binding {
    device: PathBuf,
    driver: PathBuf,
}

impl Binding {
    /// Returns the binding of the device under test. The driver may have other devices.
    fn of(driver: &Driver) -> Self {
        let link = format!("/sys/class/misc/{}/device", driver.node_name());
        let device = folder(Path::new(&link));
        let driver = folder(&device.join("driver"));
        Self { device, driver }
    }

    /// Returns the name of the device on its bus.
    fn device_name(&self) -> String {
        let name = self.device.file_name().expect("a device has a name");
        name.to_string_lossy().into_owned()
    }

    /// Writes the name of the device into a file of the driver.
    fn tell(&self, file: &str) {
        let (path, device) = (self.driver.join(file), self.device_name());
        fs::write(&path, &device)
            .unwrap_or_else(|error| panic!("{device} to {}: {error}", path.display()));
    }
}

/// Returns the folder that a link of sysfs leads to.
fn folder(link: &Path) -> PathBuf {
    let found = fs::canonicalize(link);
    found.unwrap_or_else(|error| {
        panic!(
            "{}: {error}; is the driver bound to a device?",
            link.display()
        )
    })
}

/// A device that its driver has left. When dropped, the driver is bound again.
struct Unbound(Binding);

/// Takes the driver off its device. Returns when no mapping has a page of it any more.
fn unbind(driver: &Driver) -> Unbound {
    let binding = Binding::of(driver);
    binding.tell("unbind");
    Unbound(binding)
}

impl Drop for Unbound {
    fn drop(&mut self) {
        self.0.tell("bind");
    }
}

/// Returns the name of the device under test on its bus.
///
/// # Panics
///
/// Panics if the driver is not bound to it.
pub fn bound_device(driver: &Driver) -> String {
    Binding::of(driver).device_name()
}

/// A child that has mapped a region. It touches the region again when it is told to.
struct Toucher {
    child: Fork,
    go: PipeWriter,
}

impl Toucher {
    /// Starts the child, and waits until it has touched its mapping once.
    fn start(kind: &Kind) -> Self {
        let (mut wait, go) = pipe().expect("there are pipes");
        let (mut ready, mut report) = pipe().expect("there are pipes");
        let child = fork::start(|| {
            let mapping = kind.map(&kind.region());
            mapping.read(0);
            report.write_all(b"!").expect("the parent reads");
            wait.read_exact(&mut [0]).expect("the parent writes");
            mapping.read(0);
            true
        });
        // The child's end is then the only one, so that a child that dies is noticed.
        drop(report);
        ready.read_exact(&mut [0]).expect("the child maps the kind");
        Self { child, go }
    }

    /// Has the child touch its mapping. Returns the signal that ended it.
    fn touch(mut self) -> Option<i32> {
        self.go.write_all(b"!").expect("the child reads");
        self.child.end().signal()
    }
}

fn mapping_raises_sigbus_after_unbind(driver: &Driver, kind: &Kind) -> Outcome {
    let toucher = Toucher::start(kind);
    let unbound = unbind(driver);
    let signal = toucher.touch();
    drop(unbound);
    assert_eq!(signal, Some(SIGBUS));
    Ok(())
}

fn mapping_works_without_unbind(_driver: &Driver, kind: &Kind) -> Outcome {
    assert_eq!(Toucher::start(kind).touch(), None);
    Ok(())
}

fn inherited_mapping_raises_sigbus_after_unbind(driver: &Driver, kind: &Kind) -> Outcome {
    only_if(kind.inherited, "a forked child does not get the mapping")?;
    let region = kind.region();
    let mapping = kind.map(&region);
    mapping.read(0);
    let (mut wait, mut go) = pipe().expect("there are pipes");
    let child = fork::start(|| {
        wait.read_exact(&mut [0]).expect("the parent writes");
        mapping.read(0);
        true
    });
    let unbound = unbind(driver);
    go.write_all(b"!").expect("the child reads");
    let signal = child.end().signal();
    drop(unbound);
    assert_eq!(signal, Some(SIGBUS));
    Ok(())
}

fn mappings_are_uncounted_after_unbind(driver: &Driver, kind: &Kind) -> Outcome {
    let region = kind.region();
    let mapping = kind.map(&region);
    assert!(driver.debugfs().count() >= 1, "mapped");
    drop(unbind(driver));
    // The new binding has none of the old one's.
    assert_eq!(driver.debugfs().count(), 0, "bound again");
    drop(mapping);
    assert_eq!(driver.debugfs().count(), 0, "unmapped");
    Ok(())
}

fn old_file_maps_nothing_after_unbind(driver: &Driver, kind: &Kind) -> Outcome {
    let region = kind.region();
    let map = || region.map(ProtFlags::READ, MapFlags::SHARED).err();
    let unbound = unbind(driver);
    let without = map();
    drop(unbound);
    assert_eq!(without, Some(Errno::NODEV), "without the driver");
    assert_eq!(
        map(),
        Some(Errno::NODEV),
        "with the driver of a new binding"
    );
    Ok(())
}

fn node_goes_at_unbind_and_returns_at_bind(driver: &Driver) {
    let unbound = unbind(driver);
    let gone = !Path::new(driver.node).exists();
    drop(unbound);
    assert!(gone);
    open_node(driver.node, false);
}

fn kind_can_be_mapped_again_after_bind(driver: &Driver, kind: &Kind) -> Outcome {
    let before = kind.region();
    drop(unbind(driver));
    let region = kind.region();
    let mapping = kind.map(&region);
    // The old file must take nothing of the new binding with it.
    drop(before);
    mapping.read(0);
    Ok(())
}

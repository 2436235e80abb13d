// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The rules for a device that leaves its driver while processes have it mapped: unbind returns, and
//! the mapping has no pages any more.

use super::{only_if, open_node, rules, Driver, Kind, Outcome, Rule};
use crate::fork::{self, Fork, SIGBUS};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags};
use std::fs;
use std::io::{pipe, PipeWriter, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

pub(super) const RULES: &[(&str, Rule)] = rules![
    mapping_raises_sigbus_after_unbind,
    mapping_works_without_unbind,
    inherited_mapping_raises_sigbus_after_unbind,
    mappings_are_uncounted_after_unbind,
    old_file_maps_nothing_after_unbind,
    node_goes_at_unbind_and_returns_at_bind,
    kind_can_be_mapped_again_after_bind,
];

/// A device that its driver has left. When dropped, the driver is bound again.
struct Unbound<'a> {
    driver: &'a Driver,
    device: String,
}

/// Takes the driver off its device. Returns when no mapping has a page of it any more.
fn unbind(driver: &Driver) -> Unbound<'_> {
    let device = bound_device(driver);
    tell(driver, "unbind", &device);
    Unbound { driver, device }
}

impl Drop for Unbound<'_> {
    fn drop(&mut self) {
        tell(self.driver, "bind", &self.device);
    }
}

/// Returns the name of the device that the driver is bound to.
///
/// # Panics
///
/// Panics if it is bound to none.
pub fn bound_device(driver: &Driver) -> String {
    let entries = fs::read_dir(driver.sysfs);
    let entries = entries.unwrap_or_else(|error| panic!("{}: {error}", driver.sysfs));
    // The other links lead to the module.
    let is_device = |path: &Path| path.is_symlink() && path.join("driver").exists();
    let mut names = entries
        .flatten()
        .filter(|entry| is_device(&entry.path()))
        .map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.next().expect("the driver is bound to a device")
}

/// Writes the name of a device into a file of the driver.
fn tell(driver: &Driver, file: &str, device: &str) {
    let path = format!("{}/{file}", driver.sysfs);
    fs::write(&path, device).unwrap_or_else(|error| panic!("{device} to {path}: {error}"));
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
    assert!(driver.debugfs.count() >= 1, "mapped");
    drop(unbind(driver));
    // The new binding has none of the old one's.
    assert_eq!(driver.debugfs.count(), 0, "bound again");
    drop(mapping);
    assert_eq!(driver.debugfs.count(), 0, "unmapped");
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

fn node_goes_at_unbind_and_returns_at_bind(driver: &Driver, _kind: &Kind) -> Outcome {
    let unbound = unbind(driver);
    let gone = !Path::new(driver.node).exists();
    drop(unbound);
    assert!(gone);
    open_node(driver.node, false);
    Ok(())
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

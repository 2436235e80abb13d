// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The freezer of control groups: processes that stand still without a signal.

use crate::{until, Skip};
use rustix::io::Errno;
use rustix::mount::{mount, unmount, MountFlags, UnmountFlags};
use std::fs;
use std::path::{Path, PathBuf};

/// The kernel's own place for control groups.
const ROOT: &str = "/sys/fs/cgroup";

/// A control group that can be frozen. When dropped, it is gone: its processes have ended.
#[derive(Debug)]
pub struct Freezer {
    group: PathBuf,
}

impl Freezer {
    /// Makes a group without a process.
    ///
    /// # Errors
    ///
    /// [`Skip`] if the kernel has no control groups.
    pub fn new() -> Result<Self, Skip> {
        match mount("none", ROOT, "cgroup2", MountFlags::empty(), None) {
            Err(Errno::NOENT | Errno::NODEV) => {
                let reason = "the kernel has no control groups (CONFIG_CGROUPS)";
                return Err(Skip(reason.into()));
            }
            mounted => mounted.expect("control groups can be mounted"),
        }
        let group = Path::new(ROOT).join("frozen");
        fs::create_dir(&group).expect("a group can be made");
        Ok(Self { group })
    }

    /// Puts a process into the group.
    pub fn take(&self, process: u32) {
        self.write("cgroup.procs", &process.to_string());
    }

    /// Freezes the processes. They have left their system calls when this returns.
    #[track_caller]
    pub fn freeze(&self) {
        self.write("cgroup.freeze", "1");
        self.until("frozen 1");
    }

    /// Lets the processes go on.
    #[track_caller]
    pub fn thaw(&self) {
        self.write("cgroup.freeze", "0");
        self.until("frozen 0");
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.group.join(file), text).expect("the group takes it");
    }

    #[track_caller]
    fn until(&self, state: &str) {
        until(state, || {
            let events = fs::read_to_string(self.group.join("cgroup.events"));
            let events = events.expect("the group is there");
            events.lines().any(|line| line == state)
        });
    }
}

impl Drop for Freezer {
    fn drop(&mut self) {
        // Both fail while a process is there, after a case that has failed.
        let _ = fs::remove_dir(&self.group);
        let _ = unmount(ROOT, UnmountFlags::empty());
    }
}

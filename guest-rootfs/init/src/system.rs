// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Duties of the first process for the system.

use rustix::fs::sync;
use rustix::io::Errno;
use rustix::mount::{mount, MountFlags};
use rustix::system::{reboot, uname, RebootCommand};

/// File systems to mount: type and mount point.
const FILE_SYSTEMS: &[(&str, &str)] = &[
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("devtmpfs", "/dev"),
    ("tmpfs", "/tmp"),
    ("debugfs", "/sys/kernel/debug"),
];

/// Mounts the file systems that programs expect.
pub(crate) fn mount_all() -> Result<(), String> {
    for (kind, place) in FILE_SYSTEMS {
        mount(*kind, *place, *kind, MountFlags::empty(), None)
            .map_err(|errno| format!("cannot mount {kind} on {place}: {errno}"))?;
    }
    Ok(())
}

/// Returns name and release of the kernel.
pub(crate) fn kernel_release() -> String {
    let name = uname();
    format!(
        "{} {}",
        name.sysname().to_string_lossy(),
        name.release().to_string_lossy()
    )
}

/// Powers the machine off. Returns only if that fails.
pub(crate) fn power_off() -> Errno {
    sync();
    match reboot(RebootCommand::PowerOff) {
        Err(errno) => errno,
        // The call does not return if it works. A kernel that comes back could not power off.
        Ok(()) => Errno::NOSYS,
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What a first process has to do for the system.

use rustix::fs::sync;
use rustix::io::Errno;
use rustix::mount::{mount, MountFlags};
use rustix::system::{reboot, uname, RebootCommand};

/// File systems: type and place.
const FILE_SYSTEMS: &[(&str, &str)] = &[
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("devtmpfs", "/dev"),
    ("tmpfs", "/tmp"),
    ("debugfs", "/sys/kernel/debug"),
];

/// Mounts what programs expect to be there.
pub(crate) fn mount_all() -> Result<(), String> {
    for (kind, place) in FILE_SYSTEMS {
        mount(*kind, *place, *kind, MountFlags::empty(), None)
            .map_err(|errno| format!("cannot mount {kind} on {place}: {errno}"))?;
    }
    Ok(())
}

/// Name and release of the kernel.
pub(crate) fn kernel_release() -> String {
    let name = uname();
    format!(
        "{} {}",
        name.sysname().to_string_lossy(),
        name.release().to_string_lossy()
    )
}

/// Turns the machine off. Comes back only if that fails.
pub(crate) fn power_off() -> Errno {
    sync();
    match reboot(RebootCommand::PowerOff) {
        Err(errno) => errno,
        Ok(()) => Errno::NOSYS,
    }
}

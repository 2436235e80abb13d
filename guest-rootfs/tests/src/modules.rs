// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Modules of the kernel that a program loads.

use crate::{PciFunction, NODE};
use ringbar_marks::{say, say_sections, Mark};
use rustix::io::Errno;
use rustix::system::{delete_module, finit_module};
use std::ffi::CString;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;

/// The driver.
const RINGBAR: &str = "/lib/modules/ringbar.ko";

/// Loads the module of this name, if the guest has its file. Returns whether it has.
///
/// # Panics
///
/// If the kernel refuses the module.
pub fn load(name: &str) -> bool {
    let path = format!("/lib/modules/{name}.ko");
    let Ok(module) = File::open(&path) else {
        return false;
    };
    match finit_module(&module, c"", 0) {
        Ok(()) | Err(Errno::EXIST) => true,
        Err(errno) => panic!("cannot load {path}: {errno}"),
    }
}

/// Loads the driver again, with limits. Other users may then open the first node.
///
/// # Panics
///
/// If a file of a device is open.
pub fn reload_driver(limits: &str) {
    let limits = CString::new(limits).expect("limits are text");
    delete_module(c"ringbar", 0).expect("the module is not in use");
    let module = File::open(RINGBAR).expect("the module is where init has found it");
    say(&Mark::Load);
    finit_module(&module, &limits, 0).expect("the module knows the limits");
    say_sections("ringbar");
    fs::set_permissions(NODE, Permissions::from_mode(0o666)).expect("root may");
}

/// Loads the driver again, as it was before [`reload_driver`]. The nodes then have their usual rights,
/// and the order of the slots, in which the runner counts devices. A load binds devices in the order in
/// which the kernel found them, so one that was unplugged before comes last.
pub fn restore_driver() {
    reload_driver("");
    let functions = PciFunction::all_bound();
    let unbound: Vec<_> = functions.iter().map(PciFunction::unbind).collect();
    // Binds in order.
    drop(unbound);
}

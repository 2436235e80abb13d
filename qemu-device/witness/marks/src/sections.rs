// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Addresses of the driver in the kernel's memory.

use std::fs;

use crate::{say, Mark};

/// Folder with the addresses of the driver's sections.
const SECTIONS: &str = "/sys/module/ringbar/sections";
/// Sections with code.
const CODE: &[&str] = &[".text", ".init.text", ".exit.text"];

/// Marks the sections of the driver. The caller has loaded it.
pub fn say_sections() {
    for name in CODE {
        let address = fs::read_to_string(format!("{SECTIONS}/{name}")).unwrap_or_default();
        let digits = address.trim().strip_prefix("0x");
        if let Some(Ok(address)) = digits.map(|digits| u64::from_str_radix(digits, 16)) {
            let name = (*name).to_owned();
            say(&Mark::Section { name, address });
        }
    }
}

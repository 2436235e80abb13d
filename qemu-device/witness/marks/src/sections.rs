// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Addresses of the driver in the kernel's memory.

use std::fs;

use crate::{say, Mark};

/// Sections with code.
const CODE: &[&str] = &[".text", ".text.unlikely", ".init.text", ".exit.text"];

/// Marks the sections of the driver in this module. The caller has loaded it.
pub fn say_sections(module: &str) {
    for name in CODE {
        let address = fs::read_to_string(format!("/sys/module/{module}/sections/{name}"));
        let address = address.unwrap_or_default();
        let digits = address.trim().strip_prefix("0x");
        if let Some(Ok(address)) = digits.map(|digits| u64::from_str_radix(digits, 16)) {
            let name = (*name).to_owned();
            say(&Mark::Section { name, address });
        }
    }
}

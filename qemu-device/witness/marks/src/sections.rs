// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Where the driver is in the kernel's memory.

use std::fs;

use crate::{say, Mark};

/// What the kernel says of it.
const SECTIONS: &str = "/sys/module/ringbar/sections";
/// Parts with code.
const CODE: &[&str] = &[".text", ".init.text", ".exit.text"];

/// Says where the parts of the driver are. To be called after it was loaded.
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

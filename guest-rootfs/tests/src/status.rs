// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The state of a process, as the kernel shows it in `/proc/PID/status`.

use std::fs;

/// Returns a field, by its name with the colon.
pub fn field(process: u32, name: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{process}/status"));
    let status = status.expect("the process is not waited for");
    let value = status.lines().find_map(|line| line.strip_prefix(name));
    value.expect("the kernel shows it").trim().to_owned()
}

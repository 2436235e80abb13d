// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Descriptors that the process was started with.

use std::{fs, io};

/// Standard input, output and error.
const STANDARD: i32 = 2;

/// Closes all but the standard streams: whatever they are, the server does not need them, and a
/// sandbox would not hold what they open.
///
/// To be called before anything is opened.
pub fn close_descriptors() -> io::Result<()> {
    let numbers: Vec<i32> = fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|&number| number > STANDARD)
        .collect();
    for number in numbers {
        // The one that the list was read from is closed already.
        let _gone = nix::unistd::close(number);
    }
    Ok(())
}

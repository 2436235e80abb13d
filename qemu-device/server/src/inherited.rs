// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Descriptors that the process was started with.

use std::{fs, io};

/// Standard input, output and error.
const STANDARD: i32 = 2;

/// Closes all inherited descriptors but the standard streams. The server does not need them, and
/// the sandbox would not hold back the files that they open.
///
/// To be called before anything is opened.
///
/// # Errors
///
/// Fails if the list of open descriptors cannot be read.
pub fn close_descriptors() -> io::Result<()> {
    // Collected first: closing while the list is read would change the list.
    let numbers: Vec<i32> = fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|&number| number > STANDARD)
        .collect();
    for number in numbers {
        // The descriptor that the list was read from is in it, and is closed already. An error
        // means that the number is free, which is the aim.
        let _gone = nix::unistd::close(number);
    }
    Ok(())
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Memory that the driver never frees, because a lost device may still write it.

use std::fs;

/// Drivers whose DMA memory the kernel checks (Linux `kernel/dma/debug.c`).
const FILTER: &str = "/sys/kernel/debug/dma-api/driver_filter";

/// While this value lives, a debug kernel does not complain about DMA memory that a driver keeps.
#[derive(Debug)]
pub struct KeptOnPurpose(());

impl KeptOnPurpose {
    /// Turns the complaints off.
    pub fn begin() -> Self {
        filter("nobody\n");
        Self(())
    }
}

impl Drop for KeptOnPurpose {
    fn drop(&mut self) {
        filter("\n");
    }
}

/// Sets the filter. Does nothing on a kernel without that check.
fn filter(driver: &str) {
    if fs::exists(FILTER).is_ok_and(|there| there) {
        fs::write(FILTER, driver).expect("the filter can be set");
    }
}

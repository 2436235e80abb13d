// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Memory that the driver keeps for good, because a lost device may still write it.

use std::fs;

/// Drivers that the kernel's check of DMA memory looks at (Linux `kernel/dma/debug.c`).
const FILTER: &str = "/sys/kernel/debug/dma-api/driver_filter";

/// While it lives, a debug kernel does not complain that a driver leaves DMA memory behind.
#[derive(Debug)]
pub struct KeptOnPurpose(());

impl KeptOnPurpose {
    /// From now on.
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

/// Does nothing on a kernel without that check.
fn filter(driver: &str) {
    if fs::exists(FILTER).is_ok_and(|there| there) {
        fs::write(FILTER, driver).expect("the filter can be set");
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What driver, kernel and process hold, in figures that a lie must not change for good.

use ringbar_tests::debugfs::UNUSED;
use ringbar_tests::{on_debug_kernel, pinned_pages, status, PciFunction};
use std::fs;

/// The kernel's list of DMA memory and mappings (Linux `Documentation/core-api/dma-api.rst`).
const DMA: &str = "/sys/kernel/debug/dma-api/dump";

/// Figures of a machine in which no file of the lying device is open.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Meters {
    /// References to the driver, one for each open file.
    references: String,
    /// Open files of this process.
    files: usize,
    /// Mappings of devices by this process.
    mappings: usize,
    /// Threads of this process.
    threads: String,
    /// Pages that all processes have pinned.
    pinned: i64,
    /// Parts of BARs that the kernel has mapped.
    io_mappings: usize,
    /// BARs that the driver has requested.
    regions: usize,
    /// Interrupt vectors with a handler of the driver.
    vectors: usize,
}

impl Meters {
    /// Reads the figures.
    pub(crate) fn read() -> Self {
        let pid = std::process::id();
        Self {
            references: text("/sys/module/ringbar/refcnt"),
            files: fs::read_dir("/proc/self/fd").expect("procfs").count(),
            mappings: lines("/proc/self/maps", "/dev/ringbar"),
            threads: status::field(pid, "Threads:"),
            pinned: pinned_pages(),
            io_mappings: lines("/proc/vmallocinfo", " ioremap"),
            regions: lines("/proc/iomem", ": ringbar"),
            vectors: lines("/proc/interrupts", " ringbar"),
        }
    }
}

/// DMA memory and mappings of a function that the debug kernel knows. Those of an object that the
/// driver keeps on purpose stay.
pub(crate) fn dma_of(function: &PciFunction) -> usize {
    if !on_debug_kernel() {
        return 0;
    }
    let name = function
        .folder()
        .file_name()
        .expect("a function has a name");
    lines(DMA, &format!(" {} ", name.display()))
}

/// Returns whether the driver counts no object of any file of a device.
pub(crate) fn is_unused(device: u32) -> bool {
    text(&format!("/sys/kernel/debug/ringbar{device}/usage")) == UNUSED
}

/// Returns whether the driver keeps memory of a device on purpose.
pub(crate) fn keeps(device: u32) -> bool {
    text(&format!("/sys/kernel/debug/ringbar{device}/kept"))
        .lines()
        .any(|line| !line.ends_with(" 0"))
}

/// Returns the number of lines of a file that contain these words.
fn lines(file: &str, words: &str) -> usize {
    let text = text(file);
    text.lines().filter(|line| line.contains(words)).count()
}

fn text(file: &str) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{file}: {error}"))
}

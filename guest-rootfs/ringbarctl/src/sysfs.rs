// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Properties of the device from the kernel's file systems.

use std::fs;
use std::path::{Path, PathBuf};

/// The device behind a node, as far as the caller may read sysfs and debugfs.
#[derive(Debug)]
pub(crate) struct SysfsDevice {
    /// Name of the node, such as `ringbar0`.
    name: String,
    /// Folder of the PCI function.
    function: Option<PathBuf>,
}

impl SysfsDevice {
    /// Finds the device behind `/dev/NAME`.
    pub(crate) fn of(node: &Path) -> Self {
        let name = node.file_name().unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        let function = fs::canonicalize(format!("/sys/class/misc/{name}/device")).ok();
        Self { name, function }
    }

    /// Returns the address of the PCI function, such as `0000:01:00.0`.
    pub(crate) fn address(&self) -> Option<String> {
        let name = self.function.as_deref()?.file_name()?;
        Some(name.to_string_lossy().into_owned())
    }

    /// Returns vendor and device id, such as `1af4:10f0`.
    pub(crate) fn id(&self) -> Option<String> {
        let id = |file| {
            let text = fs::read_to_string(self.function.as_deref()?.join(file)).ok()?;
            Some(text.trim().trim_start_matches("0x").to_owned())
        };
        Some(format!("{}:{}", id("vendor")?, id("device")?))
    }

    /// Returns the first physical address of a BAR.
    pub(crate) fn bar(&self, number: u32) -> Option<u64> {
        let resource = fs::read_to_string(self.function.as_deref()?.join("resource")).ok()?;
        bar(&resource, number)
    }

    /// Returns the number of interrupts that the device has raised.
    pub(crate) fn interrupts(&self) -> Option<u64> {
        let vectors = fs::read_dir(self.function.as_deref()?.join("msi_irqs")).ok()?;
        let numbers: Vec<_> = vectors
            .flatten()
            .filter_map(|vector| vector.file_name().into_string().ok())
            .collect();
        let table = fs::read_to_string("/proc/interrupts").ok()?;
        Some(count_interrupts(&table, &numbers))
    }

    /// Reads a file that the driver has in debugfs.
    pub(crate) fn debugfs(&self, file: &str) -> Option<String> {
        fs::read_to_string(format!("/sys/kernel/debug/{}/{file}", self.name)).ok()
    }
}

/// Returns the start of a BAR from sysfs's `resource`: one line per BAR with first byte, last byte
/// and flags.
fn bar(resource: &str, number: u32) -> Option<u64> {
    let line = resource.lines().nth(number.try_into().ok()?)?;
    let first = line.split_whitespace().next()?.strip_prefix("0x")?;
    u64::from_str_radix(first, 16)
        .ok()
        .filter(|start| *start > 0)
}

/// Adds up the interrupts with these numbers over all processors, from `/proc/interrupts`.
fn count_interrupts(table: &str, numbers: &[String]) -> u64 {
    let ours = table.lines().filter_map(|line| {
        let (number, counts) = line.split_once(':')?;
        let known = numbers.iter().any(|known| known == number.trim());
        known.then_some(counts)
    });
    // Counts come first, one column per processor, then words.
    ours.flat_map(|counts| {
        counts
            .split_whitespace()
            .map_while(|word| word.parse().ok())
    })
    .fold(0, u64::saturating_add)
}

/// Returns the number after a word, in text such as `device queues 1 windows 2`.
pub(crate) fn number_after(text: &str, word: &str) -> Option<u64> {
    let mut words = text.split_whitespace();
    words.find(|found| *found == word)?;
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interrupts_of_all_processors_and_vectors_are_added() {
        let table = "           CPU0       CPU1\n\
            \x20 24:          1         20   PCI-MSIX-0000:00:02.0   0-edge      aerdrv\n\
            \x20 27:        300       4000   PCI-MSIX-0000:01:00.0   0-edge      ringbar\n\
            \x20 28:          0          7   PCI-MSIX-0000:01:00.0   1-edge      ringbar\n\
            NMI:          9          9   Non-maskable interrupts\n";

        let numbers = ["27", "28", "29"].map(str::to_owned);
        assert_eq!(count_interrupts(table, &numbers), 4307);
    }

    #[test]
    fn missing_bar_has_no_start() {
        let resource = "0x00000000fe800000 0x00000000fe8fffff 0x0000000000040200\n\
            0x0000000000000000 0x0000000000000000 0x0000000000000000\n";

        assert_eq!(bar(resource, 0), Some(0xfe80_0000));
        assert_eq!(bar(resource, 1), None);
        assert_eq!(bar(resource, 9), None);
    }

    #[test]
    fn number_is_the_one_after_its_word() {
        let line = "device queues 1 windows 22 buffers 3 bytes 8192";

        assert_eq!(number_after(line, "windows"), Some(22));
        assert_eq!(number_after(line, "doors"), None);
        assert_eq!(number_after("device queues", "queues"), None);
    }
}

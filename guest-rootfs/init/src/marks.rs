// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Marks that tell the witness, if there is one, about device and driver.

use ringbar_marks::{say, say_sections, Mark, BARS};
use ringbar_spec::ids;
use std::fs;
use std::path::Path;

/// Folder with all PCI functions in sysfs.
const DEVICES: &str = "/sys/bus/pci/devices";
/// The device that the runner's first server serves, behind the first port.
const FIRST: &str = "/sys/bus/pci/devices/0000:01:00.0";

/// Marks the BARs of ringbar's device, the coming load, the moment from which accesses count, and
/// the begin of probe.
pub(crate) fn before_ringbar() {
    let ids = (id(ids::VENDOR_ID), id(ids::DEVICE_ID));
    let devices = fs::read_dir(DEVICES).into_iter().flatten().flatten();
    let ours = devices.map(|device| device.path()).filter(|device| {
        let read = |file| fs::read_to_string(device.join(file)).unwrap_or_default();
        (read("vendor").trim_end(), read("device").trim_end()) == (&ids.0, &ids.1)
    });
    // The witness watches one device: the first one on the bus.
    if let Some(device) = ours.min() {
        say_bars(&device);
    }
    say(&Mark::Load);
    say(&Mark::Arm);
    let phase = "probe".to_owned();
    say(&Mark::Enter { phase });
}

/// Marks the end of the probe and the sections of ringbar's driver.
pub(crate) fn after_ringbar(module: &str) {
    say(&Mark::Leave);
    say_sections(module);
}

/// Marks the BARs of the first device with a server, the coming load, and the moment from which
/// accesses count. For drivers of other devices, about whose probe the witness knows nothing.
pub(crate) fn before_own() {
    say_bars(Path::new(FIRST));
    say(&Mark::Load);
    say(&Mark::Arm);
}

/// Marks the sections of the driver of that device.
pub(crate) fn after_own(module: &str) {
    say_sections(module);
}

/// Marks the BARs of a device, if it is there.
fn say_bars(device: &Path) {
    let resource = fs::read_to_string(device.join("resource")).unwrap_or_default();
    bars(&resource).iter().for_each(say);
}

/// Reads the BARs from sysfs's `resource`: one line per BAR with first byte, last byte and flags.
fn bars(resource: &str) -> Vec<Mark> {
    let bar = |(number, line): (u32, &str)| {
        let mut words = line.split_whitespace();
        let (first, last) = (hex(words.next()?)?, hex(words.next()?)?);
        let size = last.checked_sub(first)?.checked_add(1)?;
        (last > 0).then_some(Mark::Bar {
            number,
            address: first,
            size,
        })
    };
    let numbers = 0..BARS as u32;
    numbers.zip(resource.lines()).filter_map(bar).collect()
}

/// Returns a number as sysfs shows it.
fn id(number: u16) -> String {
    format!("{number:#06x}")
}

/// Reads a hexadecimal number with `0x` before it.
fn hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn existing_bars_are_found() {
        let resource = "0x00000000fe800000 0x00000000fe8fffff 0x0000000000040200\n\
            0x0000000000000000 0x0000000000000000 0x0000000000000000\n\
            0x0000003800000000 0x0000003800ffffff 0x000000000014220c\n";

        let expected = [
            Mark::Bar {
                number: 0,
                address: 0xfe80_0000,
                size: 0x10_0000,
            },
            Mark::Bar {
                number: 2,
                address: 0x38_0000_0000,
                size: 0x100_0000,
            },
        ];
        assert_eq!(bars(resource), expected);
    }
}

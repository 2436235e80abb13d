// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `info`: identity and limits of the device.

use crate::error::Error;
use crate::sysfs::SysfsDevice;
use ringbar_client::Device;
use ringbar_spec::ring::Opcode;
use ringbar_uapi::ioctl;
use serde::Serialize;
use std::fmt;
use std::path::{Path, PathBuf};

/// Properties of the device.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    node: PathBuf,
    address: Option<String>,
    id: Option<String>,
    version_major: u16,
    version_minor: u16,
    operations: Vec<String>,
    vectors: u32,
    queues: u32,
    max_entries: u32,
    max_length: u32,
    max_buffer: u32,
    device_memory: u64,
}

/// Reads the properties from the driver.
pub(crate) fn look(node: &Path) -> Result<Answer, Error> {
    let info = Device::open(node)?.info()?;
    Ok(answer(node, &SysfsDevice::of(node), &info))
}

/// Combines the properties from sysfs and from the driver.
fn answer(node: &Path, sysfs: &SysfsDevice, info: &ioctl::Info) -> Answer {
    Answer {
        node: node.to_owned(),
        address: sysfs.address(),
        id: sysfs.id(),
        version_major: info.version_major,
        version_minor: info.version_minor,
        operations: operations(info.opcodes),
        vectors: info.vectors,
        queues: info.queues,
        max_entries: info.max_entries,
        max_length: info.max_length,
        max_buffer: info.max_buffer,
        device_memory: info.device_memory_size,
    }
}

/// Returns the names of the opcodes whose bits are set.
fn operations(opcodes: u64) -> Vec<String> {
    let set = (0..u64::BITS as u16).filter(|bit| opcodes >> bit & 1 != 0);
    set.map(|opcode| {
        let known = Opcode::ALL.iter().find(|(known, _)| known.0 == opcode);
        known.map_or_else(|| format!("opcode {opcode}"), |(_, name)| (*name).into())
    })
    .collect()
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unknown = || "unknown".to_owned();
        let rows = [
            ("node", self.node.display().to_string()),
            ("PCI address", self.address.clone().unwrap_or_else(unknown)),
            ("PCI id", self.id.clone().unwrap_or_else(unknown)),
            (
                "interface",
                format!("{}.{}", self.version_major, self.version_minor),
            ),
            ("operations", self.operations.join(" ")),
            ("interrupt vectors", self.vectors.to_string()),
            ("queues", self.queues.to_string()),
            ("entries of a ring", format!("at most {}", self.max_entries)),
            (
                "length of a descriptor",
                format!("at most {} bytes", self.max_length),
            ),
            (
                "size of a buffer",
                format!("at most {} bytes", self.max_buffer),
            ),
            ("device memory", format!("{} bytes", self.device_memory)),
        ];
        for (name, value) in rows {
            writeln!(f, "{name:<24}{value}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opcodes_without_a_name_are_numbers() {
        assert_eq!(operations(1 << 1 | 1 << 63), ["COPY", "opcode 63"]);
    }

    #[test]
    fn device_without_sysfs_is_shown_nevertheless() {
        let node = Path::new("/dev/no-such-node");
        let answer = answer(node, &SysfsDevice::of(node), &ioctl::Info::default());

        assert!(answer
            .to_string()
            .contains("PCI address             unknown\n"));
        let json = serde_json::to_value(&answer).expect("JSON");
        assert_eq!(json["address"], serde_json::Value::Null);
    }
}

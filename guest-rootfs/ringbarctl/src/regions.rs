// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `regions`: pages and memory of the device.

use crate::error::Error;
use crate::sysfs::SysfsDevice;
use ringbar_client::Device;
use ringbar_spec::layout::{
    memory_part, MemoryPart, ADMIN_PAGE, DEVICE_MEMORY_BAR, DOORBELL_PAGES, KICK_PAGES, MSIX_BAR,
    MSIX_BAR_SIZE, PAGE_STRIDE, PUBLIC_PAGE, REGISTER_BAR, REPORT_PAGE, STATUS_PAGES,
};
use serde::Serialize;
use std::fmt;
use std::path::Path;

/// All regions.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    regions: Vec<Region>,
}

/// A range of a BAR.
#[derive(Debug, Serialize)]
struct Region {
    bar: u32,
    offset: usize,
    size: usize,
    /// Physical address, if sysfs shows it.
    address: Option<u64>,
    name: &'static str,
    /// `trapped` or `memory`.
    access: &'static str,
    /// Cache policy of its mappings.
    policy: Option<&'static str>,
    /// Processes that may map it.
    mapped_by: &'static str,
}

/// Reads the sizes from the driver, and the addresses from sysfs.
pub(crate) fn look(node: &Path) -> Result<Answer, Error> {
    let info = Device::open(node)?.info()?;
    let sysfs = SysfsDevice::of(node);
    let regions = regions(info.queues as usize, info.device_memory_size as usize);
    let regions = regions.into_iter().map(|region| Region {
        address: sysfs
            .bar(region.bar)
            .and_then(|start| start.checked_add(region.offset as u64)),
        ..region
    });
    // With MSI the device has no table, and so no such BAR.
    let there = regions.filter(|region| region.bar != MSIX_BAR || region.address.is_some());
    Ok(Answer {
        regions: there.collect(),
    })
}

/// Returns all regions of a device with these sizes, without their addresses.
fn regions(queues: usize, memory: usize) -> Vec<Region> {
    let register = |offset, pages: usize, name, access, mapped_by| Region {
        bar: REGISTER_BAR,
        offset,
        size: pages.saturating_mul(PAGE_STRIDE),
        address: None,
        name,
        access,
        policy: Some(match access {
            "trapped" => "device",
            _ => "uncached",
        }),
        mapped_by,
    };
    let part = |part, name, policy| {
        let (offset, size) = memory_part(memory, part);
        Region {
            bar: DEVICE_MEMORY_BAR,
            offset,
            size,
            address: None,
            name,
            access: "memory",
            policy: Some(policy),
            mapped_by: "the file that took a range of it",
        }
    };
    let (rawio, owner) = ("CAP_SYS_RAWIO", "the file that owns the queue");
    vec![
        register(PUBLIC_PAGE, 1, "public registers", "trapped", rawio),
        Region {
            policy: None,
            ..register(ADMIN_PAGE, 1, "admin registers", "trapped", "no process")
        },
        register(KICK_PAGES, queues, "kick pages", "trapped", owner),
        Region {
            policy: None,
            ..register(REPORT_PAGE, 1, "report page", "memory", "no process")
        },
        register(DOORBELL_PAGES, queues, "doorbell pages", "memory", owner),
        register(
            STATUS_PAGES,
            queues,
            "status pages",
            "memory",
            "the file that owns the queue, read-only",
        ),
        part(
            MemoryPart::WriteCombining,
            "device memory, write-combining",
            "write-combining",
        ),
        part(MemoryPart::Uncached, "device memory, uncached", "uncached"),
        part(
            MemoryPart::Lazy,
            "device memory, page by page",
            "write-combining",
        ),
        Region {
            bar: MSIX_BAR,
            offset: 0,
            size: MSIX_BAR_SIZE,
            address: None,
            name: "MSI-X table",
            access: "trapped",
            policy: None,
            mapped_by: "no process",
        },
    ]
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = ["BAR", "offset", "size", "address", "access", "policy"];
        write_row(f, header, "what", "mapped by")?;
        for region in &self.regions {
            let address = region.address.map(|address| format!("{address:#x}"));
            let columns = [
                &region.bar.to_string(),
                &format!("{:#08x}", region.offset),
                &region.size.to_string(),
                address.as_deref().unwrap_or("-"),
                region.access,
                region.policy.unwrap_or("-"),
            ];
            write_row(f, columns, region.name, region.mapped_by)?;
        }
        Ok(())
    }
}

/// Writes one row of the table.
fn write_row(
    f: &mut fmt::Formatter<'_>,
    [bar, offset, size, address, access, policy]: [&str; 6],
    what: &str,
    mapped_by: &str,
) -> fmt::Result {
    writeln!(
        f,
        "{bar:<3}  {offset:<8}  {size:>8}  {address:<14}  {access:<7}  {policy:<15}  {what:<30}  \
         {mapped_by}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_the_device_memory_fill_its_bar() {
        let memory = 1 << 20;
        let all = regions(8, memory);
        let parts = all.iter().filter(|region| region.bar == DEVICE_MEMORY_BAR);

        let end = parts.fold(0, |end, part| {
            assert_eq!(part.offset, end, "{}", part.name);
            end + part.size
        });
        assert_eq!(end, memory);
    }

    #[test]
    fn columns_of_the_header_are_those_of_the_rows() {
        let answer = Answer {
            regions: regions(8, 16 << 20),
        };
        let text = answer.to_string();
        let mut lines = text.lines();
        let header = lines.next().expect("a header");
        let column = header.find("mapped by").expect("the last column");

        for (line, region) in lines.zip(&answer.regions) {
            assert_eq!(line.find(region.mapped_by), Some(column), "{line}");
        }
    }
}

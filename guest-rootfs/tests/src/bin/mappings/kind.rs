// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Makes a region of each kind. A region lives until its file is closed.

use crate::table::{self, Row};
use ringbar_client::{Device, QueueOffsets};
use ringbar_tests::regions::OF_ANY_SIZE;
use ringbar_tests::rules::{Driver, Kind, Region};
use ringbar_tests::{open, page_size, sees_caches, NODE};
use ringbar_uapi::mmap::PUBLIC_REGISTERS;
use rustix::io::Errno;
use std::rc::Rc;
use std::sync::Arc;

/// Makes a region with a device's file. Returns its mmap offset and size.
type Make = Rc<dyn Fn(&Device) -> (u64, usize)>;
/// As [`Make`], of a kind whose size is not the caller's.
type MakeFixed = fn(&Device) -> (u64, usize);

/// Returns the driver with its kinds, as the driver's README describes them.
pub(crate) fn driver() -> Driver {
    Driver {
        module: "ringbar",
        node: NODE,
        kinds: kinds().map(|(name, make)| kind(name, make)).collect(),
    }
}

fn kind(name: &'static str, make: Make) -> Kind {
    let row = table::row(name);
    let is_public = name == "public-registers";
    Kind {
        name,
        make: Rc::new(move |read_only| region(&make, read_only)),
        flags: row.flags,
        policy: shown(&row),
        writable: row.writable,
        inherited: row.inherited,
        debugger: row.debugger,
        // BAR 0 continues behind the public registers, with pages that are only the driver's.
        behind: match is_public {
            true => Errno::PERM,
            false => Errno::OVERFLOW,
        },
        for_everybody: !is_public,
    }
}

/// Returns the name that debugfs shows. On x86 two policies have the same bits, and it shows the first.
/// Coherent memory is cached only if the device sees the caches.
fn shown(row: &Row) -> &'static str {
    match row.policy {
        "device" if cfg!(target_arch = "x86_64") => "uncached",
        "cached" if row.flags.contains("dma") && !sees_caches() => "write-combining",
        other => other,
    }
}

fn region(make: &Make, read_only: bool) -> Region {
    let device = match read_only {
        true => Device::open_read_only(NODE).expect("the node can be opened"),
        false => open(),
    };
    let (offset, size) = make(&device);
    Region {
        file: Arc::clone(device.file()),
        offset,
        size,
    }
}

/// Returns the kinds, by their names in the table.
pub(crate) fn kinds() -> impl Iterator<Item = (&'static str, Make)> {
    let fixed = OF_FIXED_SIZE.map(|(name, make)| (name, Rc::new(make) as Make));
    let any = OF_ANY_SIZE.map(|(name, make)| {
        let size = 4 * page_size();
        let make: Make = Rc::new(move |device| (make(device, size), size));
        (name, make)
    });
    fixed.into_iter().chain(any)
}

const OF_FIXED_SIZE: [(&str, MakeFixed); 6] = [
    ("public-registers", |_| (PUBLIC_REGISTERS, page_size())),
    ("kick", |device| {
        queue(device, |offsets| offsets.kick, page_size())
    }),
    ("doorbell", |device| {
        queue(device, |offsets| offsets.doorbell, page_size())
    }),
    ("status", |device| {
        queue(device, |offsets| offsets.status, page_size())
    }),
    ("submission-ring", |device| {
        queue(
            device,
            |offsets| offsets.submission_ring,
            whole_pages(256 * 64),
        )
    }),
    ("completion-ring", |device| {
        queue(
            device,
            |offsets| offsets.completion_ring,
            whole_pages(256 * 16),
        )
    }),
];

/// Returns a size as the driver rounds it.
fn whole_pages(size: usize) -> usize {
    size.next_multiple_of(page_size())
}

fn queue(device: &Device, offset: fn(QueueOffsets) -> u64, size: usize) -> (u64, usize) {
    let queue = device.start_queue(256).unwrap();
    (offset(QueueOffsets::from(&queue)), size)
}

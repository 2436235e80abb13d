// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Canaries in nearly all free memory: pages of a file in memory, each of which repeats its own
//! number. A page that the device copies onto another one changes that one, also if both are
//! canaries.
//!
//! A program plants them before the driver is loaded: the driver ends what a boot before left in the
//! device, if it does so at all. The cases of the program check them later.

use crate::pages;
use crate::raw::RawMapping;
use ringbar_client::page_size;
use rustix::mm::{MapFlags, ProtFlags};
use rustix::mount::{mount, unmount, MountFlags, UnmountFlags};
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;

/// A file system of its own: `/tmp` may fill half of the memory only.
const PLACE: &str = "/canaries";
const FILE: &str = "/canaries/all";
/// Memory that stays free, in KiB.
const FREE: u64 = 96 << 10;
/// Pages that are written or read at once.
const PIECE: usize = 256;

/// Fills the free memory, but at most so many pages.
///
/// # Panics
///
/// If the memory cannot be filled.
pub fn plant(most: u64) {
    fs::create_dir(PLACE).expect("the root can be written");
    mount(
        "none",
        PLACE,
        "tmpfs",
        MountFlags::empty(),
        Some(c"size=100%"),
    )
    .expect("a file system can be mounted");
    let mut file = File::create(FILE).expect("a file can be made");
    let mut page = 0;
    let mut piece = Vec::new();
    while page < most && available() > FREE {
        piece.clear();
        (page..page + PIECE as u64).for_each(|page| piece.extend_from_slice(&canary(page)));
        file.write_all(&piece).expect("there is memory");
        page += PIECE as u64;
    }
    println!("# canaries in {page} pages");
}

/// Returns whether this boot has canaries.
pub fn are_planted() -> bool {
    Path::new(FILE).exists()
}

/// Returns the numbers of the physical pages with canaries.
pub fn frames() -> HashSet<u64> {
    let file = File::open(FILE).expect("the canaries are there");
    let length = file.metadata().expect("the file is open").len() as usize;
    let flags = MapFlags::SHARED | MapFlags::POPULATE;
    let mapping = RawMapping::new(&file, 0, length, ProtFlags::READ, flags);
    let mapping = mapping.expect("the file can be mapped");
    pages::frames(mapping.address(), length)
        .into_iter()
        .collect()
}

/// Fails if a canary has changed.
///
/// # Panics
///
/// If one has changed, with their number and the first one.
#[track_caller]
pub fn check() {
    let mut file = File::open(FILE).expect("the canaries are there");
    let pages = file.metadata().expect("the file is open").len() / page_size() as u64;
    let mut seen = vec![0; PIECE * page_size()];
    let mut changed = Vec::new();
    for first in (0..pages).step_by(PIECE) {
        file.read_exact(&mut seen).expect("the file can be read");
        let pages = (first..).zip(seen.chunks_exact(page_size()));
        let wrong = pages.filter(|(number, page)| canary(*number) != *page);
        changed.extend(wrong.map(|(number, page)| (number, page[..8].to_vec())));
    }
    let (count, first) = (changed.len(), changed.first());
    assert_eq!(
        count, 0,
        "canaries have changed; the first, its bytes: {first:x?}"
    );
}

/// Frees the memory.
pub fn remove() {
    if are_planted() {
        unmount(PLACE, UnmountFlags::empty()).expect("no process uses it");
    }
}

/// Returns the bytes of a page.
fn canary(number: u64) -> Vec<u8> {
    number.to_le_bytes().repeat(page_size() / size_of::<u64>())
}

/// Returns the memory that is left, in KiB.
fn available() -> u64 {
    let all = fs::read_to_string("/proc/meminfo").expect("procfs is mounted");
    let mut lines = all.lines();
    let line = lines.find_map(|line| line.strip_prefix("MemAvailable:"));
    let value = line.and_then(|line| line.split_whitespace().next());
    value.expect("it is listed").parse().expect("a number")
}

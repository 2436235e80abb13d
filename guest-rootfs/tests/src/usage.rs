// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What the kernel uses, to see whether anything stays behind.

use crate::{PATIENCE, SHORT};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};
use std::{fmt, fs, thread};

/// Memory in KiB that may be missing at the end, for what the kernel keeps for itself: free memory,
/// slabs, vmalloc. After 100 repetitions that finds 10 KiB lost in each, or 5 KiB of small objects.
const TOLERANCES: [i64; 3] = [1024, 512, 64];
/// Where a debug kernel tells of memory that is lost. It keeps what is freed, so that there is
/// nothing to be seen in the counts.
const KMEMLEAK: &str = "/sys/kernel/debug/kmemleak";
/// How long the kernel may take to clear away what was closed.
const SETTLING: Duration = PATIENCE;

/// Waits until as much memory and as many open files are back as there were. On a debug kernel only
/// the files are looked at; `leaks` asks it for the memory.
pub fn assert_back(before: &Usage) {
    let counts = !Path::new(KMEMLEAK).exists();
    let is_back = |now: &Usage| {
        let grown = now.grown(before);
        let memory = grown
            .iter()
            .zip(TOLERANCES)
            .all(|(grown, most)| *grown <= most);
        now.files <= before.files && (memory || !counts)
    };
    let deadline = Instant::now() + SETTLING;
    let mut now = Usage::now();
    while !is_back(&now) && Instant::now() < deadline {
        thread::sleep(SHORT);
        now = Usage::now();
    }
    println!("# before: {before}");
    println!("# after:  {now}");
    let more = now.more_objects(before);
    assert!(is_back(&now), "something stays behind; more: {more:?}");
}

/// Memory and files in use.
#[derive(Debug)]
pub struct Usage {
    /// Free memory in KiB, with caches dropped and with what each processor keeps at hand.
    free: i64,
    /// Memory of the slab allocator that it cannot take back, in KiB.
    slab: i64,
    /// Memory that is mapped by vmalloc, in KiB.
    vmalloc: i64,
    /// Open files of the whole system.
    pub files: i64,
    /// Objects in use of each kind that the slab allocator has.
    objects: BTreeMap<String, i64>,
}

impl Usage {
    /// What is used now.
    pub fn now() -> Self {
        write("/proc/sys/vm/drop_caches", "3");
        shrink_slabs();
        write("/proc/sys/vm/stat_refresh", "1");
        let memory = read("/proc/meminfo");
        let field = |name: &str| number(memory.lines().find_map(|line| line.strip_prefix(name)));
        Self {
            free: field("MemFree:") + at_hand(),
            slab: field("SUnreclaim:"),
            vmalloc: field("VmallocUsed:"),
            files: number(Some(&read("/proc/sys/fs/file-nr"))),
            objects: objects(),
        }
    }

    /// Kinds of objects of which there are more than there were, and how many. A processor that
    /// takes some for itself adds up to 120 of a kind, which means nothing.
    pub fn more_objects(&self, before: &Self) -> Vec<(&str, i64)> {
        let old = |kind: &String| before.objects.get(kind).copied().unwrap_or(0);
        let kinds = self.objects.iter();
        kinds
            .map(|(kind, count)| (kind.as_str(), count - old(kind)))
            .filter(|(_, grown)| *grown > 0)
            .collect()
    }

    /// Memory in KiB that is used beyond what was used before, by each way of looking.
    pub fn grown(&self, before: &Self) -> [i64; 3] {
        [
            before.free - self.free,
            self.slab - before.slab,
            self.vmalloc - before.vmalloc,
        ]
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} KiB free, {} KiB of slabs, {} KiB of vmalloc, {} open files",
            self.free, self.slab, self.vmalloc, self.files
        )
    }
}

/// Free pages that processors keep for themselves, which count as used elsewhere, in KiB.
fn at_hand() -> i64 {
    read("/proc/zoneinfo")
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("count:"))
        .map(|count| 4 * number(Some(count)))
        .sum()
}

/// Makes the slab allocator give back free objects that processors keep for themselves.
fn shrink_slabs() {
    let kinds = fs::read_dir("/sys/kernel/slab").expect("the slab allocator is in sysfs");
    for kind in kinds {
        let file = kind.expect("sysfs can be read").path().join("shrink");
        fs::write(file, "1").expect("a slab cache can be shrunk");
    }
}

/// Objects in use by kind, from slabinfo's first two columns.
fn objects() -> BTreeMap<String, i64> {
    read("/proc/slabinfo")
        .lines()
        .skip(2)
        .filter_map(|line| {
            let (kind, counts) = line.split_once(' ')?;
            Some((kind.to_owned(), number(Some(counts))))
        })
        .collect()
}

fn number(text: Option<&str>) -> i64 {
    let word = text.and_then(|text| text.split_whitespace().next());
    word.and_then(|word| word.parse().ok())
        .expect("the kernel shows a number")
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn write(path: &str, text: &str) {
    fs::write(path, text).unwrap_or_else(|error| panic!("{path}: {error}"));
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The kernel's use of memory and files. Tests compare it to find leaks.

use crate::{page_size, PATIENCE, SHORT};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};
use std::{fmt, fs, thread};

/// KiB that may be missing at the end, because the kernel keeps them for itself: free memory,
/// slabs, vmalloc. After 100 repetitions, these limits reveal a leak of 10 KiB, or of 5 KiB of
/// small objects, per repetition.
const TOLERANCES: [i64; 3] = [1024, 512, 64];
/// The leak report of a debug kernel. That kernel keeps freed memory, so the counts reveal no leak
/// there.
const KMEMLEAK: &str = "/sys/kernel/debug/kmemleak";
/// Time that the kernel may take to clear closed files away.
const SETTLING: Duration = PATIENCE;

/// Waits until memory and open files are back to the counts of `before`. Compares only the files on
/// a debug kernel: there, the program `leaks` looks for lost memory.
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
    assert!(
        is_back(&now),
        "memory or files were not given back; kinds of objects with more than before: {more:?}"
    );
}

/// Memory and files in use.
#[derive(Debug)]
pub struct Usage {
    /// Free memory in KiB, with dropped caches, and with the pages that each processor holds ready.
    free: i64,
    /// Memory of the slab allocator that it cannot reclaim, in KiB.
    slab: i64,
    /// Memory mapped by vmalloc, in KiB.
    vmalloc: i64,
    /// Open files in the whole system.
    pub files: i64,
    /// Objects in use, by kind of the slab allocator.
    objects: BTreeMap<String, i64>,
}

impl Usage {
    /// Returns the present use.
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

    /// Returns the kinds of objects with more than before, and how many more. A processor that
    /// reserves some for itself adds up to 120 per kind, which is no leak.
    pub fn more_objects(&self, before: &Self) -> Vec<(&str, i64)> {
        let old = |kind: &String| before.objects.get(kind).copied().unwrap_or(0);
        let kinds = self.objects.iter();
        kinds
            .map(|(kind, count)| (kind.as_str(), count - old(kind)))
            .filter(|(_, grown)| *grown > 0)
            .collect()
    }

    /// Returns the KiB used beyond `before`: by free memory, slabs and vmalloc.
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

/// Returns KiB of free pages that processors hold ready. The kernel does not count them as free.
fn at_hand() -> i64 {
    read("/proc/zoneinfo")
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("count:"))
        .map(|count| number(Some(count)))
        .sum::<i64>()
        * (page_size() / 1024) as i64
}

/// Makes the slab allocator release free objects that processors hold ready.
fn shrink_slabs() {
    let kinds = fs::read_dir("/sys/kernel/slab").expect("the slab allocator is in sysfs");
    for kind in kinds {
        let file = kind.expect("sysfs can be read").path().join("shrink");
        fs::write(file, "1").expect("a slab cache can be shrunk");
    }
}

/// Returns the objects in use by kind, from the first two columns of slabinfo.
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

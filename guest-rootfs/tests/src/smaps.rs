// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The flags of a mapping in `/proc/self/smaps`.

/// The flags that the table lists.
const FLAGS: [&str; 6] = ["dc", "dd", "de", "io", "mm", "pf"];

/// Returns the [`FLAGS`] of the mapping at `address`, sorted.
pub fn flags(address: usize) -> Vec<String> {
    let smaps = std::fs::read_to_string("/proc/self/smaps").expect("procfs is mounted");
    let head = format!("{address:08x}-");
    let line = smaps
        .lines()
        .skip_while(|line| !line.starts_with(&head))
        .find_map(|line| line.strip_prefix("VmFlags:"))
        .expect("the mapping is in smaps");
    let mut flags: Vec<String> = line
        .split_whitespace()
        .filter(|flag| FLAGS.contains(flag))
        .map(str::to_owned)
        .collect();
    flags.sort_unstable();
    flags
}

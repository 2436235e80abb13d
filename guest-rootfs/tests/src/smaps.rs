// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Permissions and flags of a mapping in `/proc/self/smaps`.

/// The flags that the table lists.
const FLAGS: [&str; 6] = ["dc", "dd", "de", "io", "mm", "pf"];

/// Returns the permissions of the mapping at `address`, as `rw-s`.
pub fn permissions(address: usize) -> String {
    let lines = from(address);
    let permissions = lines[0].split_whitespace().nth(1);
    permissions.expect("a second word").to_owned()
}

/// Returns the [`FLAGS`] of the mapping at `address`, sorted.
pub fn flags(address: usize) -> Vec<String> {
    let lines = from(address);
    let line = lines
        .iter()
        .find_map(|line| line.strip_prefix("VmFlags:"))
        .expect("smaps has the flags");
    let mut flags: Vec<String> = line
        .split_whitespace()
        .filter(|flag| FLAGS.contains(flag))
        .map(str::to_owned)
        .collect();
    flags.sort_unstable();
    flags
}

/// Returns the lines of smaps from the mapping at `address` on.
fn from(address: usize) -> Vec<String> {
    let smaps = std::fs::read_to_string("/proc/self/smaps").expect("procfs is mounted");
    let head = format!("{address:08x}-");
    let lines = smaps.lines().skip_while(|line| !line.starts_with(&head));
    let lines: Vec<_> = lines.map(str::to_owned).collect();
    assert!(!lines.is_empty(), "{head} is not in smaps");
    lines
}

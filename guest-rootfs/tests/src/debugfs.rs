// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The driver's debugfs files about mappings.

use std::fs;

const FOLDER: &str = "/sys/kernel/debug/ringbar0";

/// Returns the number of mappings that the driver counts.
pub fn count() -> u64 {
    let list = read("mappings");
    let count = list.lines().find_map(|line| line.strip_prefix("count "));
    count
        .expect("the list starts with the count")
        .parse()
        .expect("the count is a number")
}

/// Returns the number of mappings that the driver lists.
pub fn listed() -> u64 {
    read("mappings")
        .lines()
        .filter(|line| !line.starts_with("count "))
        .count() as u64
}

/// Returns owner, kind and policy of the mapping at `address`, as the driver lists them.
pub fn line(address: usize) -> (u32, String, String) {
    let list = read("mappings");
    let range = format!("{address:#x}-");
    let line = list.lines().find(|line| line.contains(&range));
    let line = line.unwrap_or_else(|| panic!("no line for {range} in:\n{list}"));
    let words: Vec<&str> = line.split_whitespace().collect();
    (
        words[0].parse().expect("a process number"),
        words[1].to_owned(),
        words[3].to_owned(),
    )
}

/// Returns the bits of a policy in a page table entry.
pub fn policy_bits(name: &str) -> String {
    let list = read("policies");
    let line = list.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("no policy {name} in:\n{list}"))
        .trim()
        .to_owned()
}

fn read(file: &str) -> String {
    fs::read_to_string(format!("{FOLDER}/{file}")).expect("debugfs is mounted and has our folder")
}

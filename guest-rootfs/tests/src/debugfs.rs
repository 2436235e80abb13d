// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A driver's debugfs files about mappings.

use std::fs;

/// Counts of a device of which no file has objects, as [`Folder::usage`] returns them.
pub const UNUSED: &str = "device queues 0 windows 0 buffers 0 bytes 0\n";

/// The folder of a driver's device in debugfs.
#[derive(Clone, Copy, Debug)]
pub struct Folder(pub &'static str);

/// Folder of the device under test.
pub const RINGBAR: Folder = Folder("ringbar0");

impl Folder {
    /// Returns the number of mappings that the driver counts.
    pub fn count(self) -> u64 {
        let list = self.mappings();
        let count = list.lines().find_map(|line| line.strip_prefix("count "));
        count
            .expect("the list starts with the count")
            .parse()
            .expect("the count is a number")
    }

    /// Returns the number of mappings that the driver lists.
    pub fn listed(self) -> u64 {
        self.mappings()
            .lines()
            .filter(|line| !line.starts_with("count "))
            .count() as u64
    }

    /// Returns owner, kind and policy of the mapping at `address`, as the driver lists them.
    pub fn line(self, address: usize) -> (u32, String, String) {
        let list = self.mappings();
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
    pub fn policy_bits(self, name: &str) -> String {
        let list = self.read("policies");
        let line = list.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("no policy {name} in:\n{list}"))
            .trim()
            .to_owned()
    }

    /// Returns the list of mappings, after their count.
    pub fn mappings(self) -> String {
        self.read("mappings")
    }

    /// Returns the counts against the limits.
    pub fn usage(self) -> String {
        self.read("usage")
    }

    /// Returns the counts of objects that the driver never frees.
    pub fn kept(self) -> String {
        self.read("kept")
    }

    /// Returns the device's errors.
    pub fn errors(self) -> String {
        self.read("errors")
    }

    fn read(self, file: &str) -> String {
        let path = format!("/sys/kernel/debug/{}/{file}", self.0);
        fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{path}: {error}; is debugfs mounted?"))
    }
}

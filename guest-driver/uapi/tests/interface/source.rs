// SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT

//! Public definitions of the source files, to find those that `rust.rs` lacks.

use crate::rust;

/// Files whose public definitions are all in the header.
const FILES: [(&str, &str); 4] = [
    (
        "guest-driver/uapi/src/ioctl.rs",
        include_str!("../../src/ioctl.rs"),
    ),
    (
        "guest-driver/uapi/src/mmap.rs",
        include_str!("../../src/mmap.rs"),
    ),
    (
        "qemu-device/spec/src/pages.rs",
        include_str!("../../../../qemu-device/spec/src/pages.rs"),
    ),
    (
        "qemu-device/spec/src/ring.rs",
        include_str!("../../../../qemu-device/spec/src/ring.rs"),
    ),
];

/// Definitions that C has no use for: a length in words, and numbers with a type, whose values are
/// in tables.
const NOT_IN_C: [&str; 3] = ["INLINE_WORDS", "Opcode", "Status"];

/// Structures whose fields `rust.rs` takes from a table of the crates.
const IN_TABLES: [&str; 2] = ["DoorbellPage", "StatusPage"];

/// Returns one line per public constant or structure that `rust.rs` lacks.
pub(crate) fn missing() -> Vec<String> {
    let numbers = rust::ioctls().into_iter().chain(rust::numbers());
    let structures = rust::structures();
    let mut known: Vec<&str> = numbers.map(|it| it.name).collect();
    known.extend(structures.iter().map(|it| it.name));
    known.extend(NOT_IN_C);
    known.extend(IN_TABLES);
    let mut missing = Vec::new();
    for (path, text) in FILES {
        let names = defined(text).filter(|name| !known.contains(name));
        missing.extend(names.map(|name| format!("{path}: {name}")));
    }
    missing
}

/// Returns the names of the public constants and structures of a file, which begin their lines.
fn defined(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let rest = line
            .strip_prefix("pub const ")
            .or_else(|| line.strip_prefix("pub struct "))?;
        let name = rest
            .split(|it: char| !it.is_alphanumeric() && it != '_')
            .next()?;
        // Functions are no part of the header.
        (name != "fn").then_some(name)
    })
}

#[test]
fn definitions_of_every_sort_are_found() {
    let text = "pub const A_1: u32 = 1;\npub struct Two {\n    pub three: u32,\n}\npub struct \
                Four(pub u16);\npub const fn five() {}\nconst SIX: u32 = 6;\n";

    assert_eq!(defined(text).collect::<Vec<_>>(), ["A_1", "Two", "Four"]);
}

// SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT

//! Holds `include/ringbar.h` and the table of the README to the Rust definitions.
//!
//! Both sides become [`Facts`]: one per number, structure and field. [`rust`] has those of the
//! crates, [`c`] those that a compiler finds in the header.

mod c;
mod rust;
mod source;
mod table;

use std::collections::BTreeMap;

/// Facts of one side: a name as in C, and its value, or its size or offset and type.
type Facts = BTreeMap<String, String>;

/// Returns one line per difference between the header and the Rust definitions.
fn differences(header: &Facts, rust: &Facts) -> Vec<String> {
    let names: std::collections::BTreeSet<_> = header.keys().chain(rust.keys()).collect();
    let lines = names
        .into_iter()
        .filter_map(|name| match (header.get(name), rust.get(name)) {
            (Some(header), Some(rust)) if header == rust => None,
            (Some(header), Some(rust)) => {
                Some(format!("{name}: {header} in ringbar.h, {rust} in Rust"))
            }
            (Some(header), None) => Some(format!("{name}: {header} in ringbar.h alone")),
            (None, rust) => Some(format!("{name}: {} in Rust alone", rust?)),
        });
    lines.collect()
}

/// Compares the header with the Rust definitions, if the host has a compiler for the language.
/// Returns whether it has.
fn compare(language: &c::Language) -> bool {
    let Some(header) = c::facts(language) else {
        return false;
    };
    let found = differences(&header, &rust::facts());
    assert!(
        found.is_empty(),
        "include/ringbar.h, compiled as {}:\n{}",
        language.standard,
        found.join("\n")
    );
    true
}

#[test]
fn header_in_c_is_the_rust_interface() {
    assert!(compare(&c::C), "gcc is missing: run make setup");
}

#[test]
fn header_in_cpp_is_the_rust_interface() {
    if !compare(&c::CPP) {
        let compilers = c::CPP.compilers.join(", ");
        println!("skipped: this host has none of these compilers: {compilers}");
    }
}

#[test]
fn rust_facts_leave_out_no_definition() {
    let wrong = source::differences();
    assert!(
        wrong.is_empty(),
        "guest-driver/uapi/tests/interface:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn difference_of_any_sort_is_reported() {
    let facts = |pairs: &[(&str, &str)]| -> Facts {
        let owned = pairs.iter().map(|(a, b)| (a.to_string(), b.to_string()));
        owned.collect()
    };
    let header = facts(&[("A", "1"), ("B", "2"), ("C", "3")]);
    let rust = facts(&[("A", "1"), ("B", "4"), ("D", "5")]);

    assert_eq!(
        differences(&header, &rust),
        [
            "B: 2 in ringbar.h, 4 in Rust",
            "C: 3 in ringbar.h alone",
            "D: 5 in Rust alone"
        ]
    );
}

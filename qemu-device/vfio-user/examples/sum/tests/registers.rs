// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The names that a trace shows are those of the table at the top of `src/lib.rs`.

use std::process::Command;

#[test]
fn registers_are_printed_with_the_names_of_the_documentation() {
    let server = env!("CARGO_BIN_EXE_ringbar-example-sum");
    let output = Command::new(server).arg("--registers").output().unwrap();

    // Rows of the table: offset and name.
    let rows = include_str!("../src/lib.rs").lines().filter_map(|line| {
        let mut cells = line.strip_prefix("//! | 0x")?.split(" | ");
        Some(format!("0 0x{} {}\n", cells.next()?, cells.next()?))
    });
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text, rows.collect::<String>());
    assert_ne!(text, "", "no register has a name");
}

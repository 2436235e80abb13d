// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Configuration space, as pciutils show it.
//!
//! The output of `lspci` and `setpci` is compared with files beside this one. A person has checked
//! these files line by line. `msix.txt` and `msi.txt` are for the two kinds of interrupts.

use ringbar_tests::{case, run, PciFunction};
use std::process::{Command, ExitCode};

const MSIX: &str = include_str!("msix.txt");
const MSI: &str = include_str!("msi.txt");
/// Bits of each register that keep a written one. A line has the offset and width as `setpci` names
/// them, a mask of the written bits or none, the expected value, and a comment.
const MASKS: &str = include_str!("masks.txt");

fn main() -> ExitCode {
    run()
}

#[case]
fn lspci_shows_the_checked_text() {
    let function = PciFunction::under_test();
    let expected = match function.has_msix() {
        true => MSIX,
        false => MSI,
    };
    let _unbound = function.unbind();

    let shown = tool("lspci", &["-vvv", "-nn", "-s", &address(&function)]);

    same(&plain(&shown), expected);
}

#[case]
fn registers_keep_only_writable_bits() {
    let function = PciFunction::under_test();
    let msix = function.has_msix();
    let _unbound = function.unbind();
    // The function has one of the two kinds of interrupts.
    let other = if msix { "MSI " } else { "MSI-X" };
    let lines = MASKS.lines().filter(|line| !line.contains(other));
    let rows: Vec<_> = lines.map(Row::new).collect();
    let address = address(&function);
    // setpci carries out all operations in order, and prints the values that it reads.
    let setpci = |operations: &[String]| -> Vec<String> {
        let operations = operations.iter().map(String::as_str);
        let arguments: Vec<_> = ["-s", &address].into_iter().chain(operations).collect();
        let values = tool("setpci", &arguments);
        values.lines().map(str::to_owned).collect()
    };

    let reads: Vec<_> = rows.iter().map(|row| row.register.to_owned()).collect();
    let before = setpci(&reads);
    let writes = rows.iter().zip(&before).flat_map(|(row, before)| {
        let Row { register, mask, .. } = row;
        [
            format!("{register}=ffffffff:{mask}"),
            (*register).to_owned(),
            format!("{register}={before}"),
            (*register).to_owned(),
        ]
    });
    let after = setpci(&writes.collect::<Vec<_>>());

    let mut found = String::new();
    let mut expected = String::new();
    for ((row, before), after) in rows.iter().zip(&before).zip(after.chunks(2)) {
        let Row { place, meaning, .. } = row;
        assert_eq!(after[1], *before, "{place} must have its first value again");
        found += &format!("{place}={} #{meaning}\n", after[0]);
        expected += &format!("{}\n", row.line);
    }
    assert_eq!(after.len(), 2 * rows.len());
    same(&found, &expected);
}

/// A line of [`MASKS`].
struct Row<'a> {
    line: &'a str,
    /// Register and mask.
    place: &'a str,
    register: &'a str,
    mask: &'a str,
    meaning: &'a str,
}

impl<'a> Row<'a> {
    fn new(line: &'a str) -> Self {
        let (place, rest) = line.split_once('=').expect("register=value # meaning");
        let (_, meaning) = rest.split_once('#').expect("register=value # meaning");
        let (register, mask) = place.split_once(':').unwrap_or((place, "ffffffff"));
        Self {
            line,
            place,
            register,
            mask,
            meaning,
        }
    }
}

/// Returns the function's address, as pciutils expect it.
fn address(function: &PciFunction) -> String {
    let name = function
        .folder()
        .file_name()
        .expect("a function has a name");
    name.to_string_lossy().into_owned()
}

/// Returns the output of a tool. Fails if the tool fails.
fn tool(name: &str, arguments: &[&str]) -> String {
    let output = Command::new(format!("/usr/bin/{name}"))
        .args(arguments)
        .output();
    let output = output.expect("the tool is in the initramfs");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} {arguments:?}: {complaint}");
    String::from_utf8(output.stdout).expect("the tool speaks ASCII")
}

/// Replaces parts of the output that depend on the machine: addresses of the function and its BARs,
/// IOMMU group, number of the slot, which is its controller's, number of granted messages. The interrupt controller grants all messages behind an
/// IOMMU, otherwise one.
fn plain(shown: &str) -> String {
    let lines = shown.lines().filter(|line| !line.contains("IOMMU group"));
    lines
        .map(|line| match line.split_once(' ') {
            Some((_, rest)) if !line.starts_with(char::is_whitespace) => format!("* {rest}\n"),
            _ if line.contains("Physical Slot") => "\tPhysical Slot: *\n".to_owned(),
            _ if line.contains("Region") => without(line, " at ", ' '),
            _ if line.contains("MSI:") => without(line, " Count=", '/'),
            _ => format!("{line}\n"),
        })
        .collect()
}

/// Returns the line with a `*` in place of the text between `before` and `end`.
fn without(line: &str, before: &str, end: char) -> String {
    let parts = line
        .split_once(before)
        .and_then(|(what, rest)| Some((what, rest.split_once(end)?)));
    match parts {
        Some((what, (_, rest))) => format!("{what}{before}*{end}{rest}\n"),
        None => format!("{line}\n"),
    }
}

#[track_caller]
fn same(found: &str, expected: &str) {
    if found != expected {
        for line in found.lines() {
            println!("# |{line}");
        }
    }
    for (found, expected) in found.lines().zip(expected.lines()) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.lines().count(), expected.lines().count());
}

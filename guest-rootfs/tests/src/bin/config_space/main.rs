// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Configuration space as pciutils see it.
//!
//! What `lspci` and `setpci` say is compared with files beside this one, which a person has read line by
//! line. `msix.txt` and `msi.txt` are of the two kinds of interrupts.

use ringbar_tests::{case, run, PciFunction};
use std::process::{Command, ExitCode};

const MSIX: &str = include_str!("msix.txt");
const MSI: &str = include_str!("msi.txt");
/// What stays of all ones in each register: offset and width as `setpci` names them, perhaps a mask of
/// the bits that are written, what stays, and the meaning.
const MASKS: &str = include_str!("masks.txt");

fn main() -> ExitCode {
    run()
}

#[case]
fn lspci_shows_what_a_person_has_read() {
    let function = PciFunction::under_test();
    let expected = match function.can_be_unplugged() {
        true => MSI,
        false => MSIX,
    };
    let _unbound = function.unbind();

    let shown = tool("lspci", &["-vvv", "-nn", "-s", &address(&function)]);

    same(&plain(&shown), expected);
}

#[case]
fn registers_keep_just_the_bits_that_are_writable() {
    let function = PciFunction::under_test();
    let msi = function.can_be_unplugged();
    let _unbound = function.unbind();
    // Of the two kinds of interrupts the function has one.
    let other = if msi { "MSI-X" } else { "MSI " };
    let lines = MASKS.lines().filter(|line| !line.contains(other));
    let rows: Vec<_> = lines.map(Row::new).collect();
    let address = address(&function);
    // It carries out all operations in their order, and says what it reads.
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
        assert_eq!(after[1], *before, "{place} takes its value back");
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

/// Address of the function, as tools take it.
fn address(function: &PciFunction) -> String {
    let name = function
        .folder()
        .file_name()
        .expect("a function has a name");
    name.to_string_lossy().into_owned()
}

/// What a tool says. It must say so without complaint.
fn tool(name: &str, arguments: &[&str]) -> String {
    let output = Command::new(format!("/usr/bin/{name}"))
        .args(arguments)
        .output();
    let output = output.expect("the tool is in the initramfs");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} {arguments:?}: {complaint}");
    String::from_utf8(output.stdout).expect("the tool speaks ASCII")
}

/// Leaves out what the machine decides: addresses of the function and of its BARs, its group, and how many
/// messages the interrupt controller granted: all behind an IOMMU, else one.
fn plain(shown: &str) -> String {
    let lines = shown.lines().filter(|line| !line.contains("IOMMU group"));
    lines
        .map(|line| match line.split_once(' ') {
            Some((_, rest)) if !line.starts_with(char::is_whitespace) => format!("* {rest}\n"),
            _ if line.contains("Region") => without(line, " at ", ' '),
            _ if line.contains("MSI:") => without(line, " Count=", '/'),
            _ => format!("{line}\n"),
        })
        .collect()
}

/// The line with a `*` for what stands between `before` and `end`.
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

// SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT

//! Holds the README's table of ioctls to their numbers.

use crate::rust::ioctls;

const README: &str = include_str!("../../README.md");

/// Returns the row of an ioctl: name, direction, size, number, and the way in which strace shows it.
fn row(name: &str, number: u64) -> String {
    let (kind, number_in_kind) = (number >> 8 & 0xff, number & 0xff);
    let size = number >> 16 & 0x3fff;
    let (direction, shown) = match number >> 30 {
        1 => ("in", "_IOC_WRITE"),
        2 => ("out", "_IOC_READ"),
        3 => ("in, out", "_IOC_READ|_IOC_WRITE"),
        other => panic!("{name} has direction {other}"),
    };
    // strace shows 0 without a prefix.
    let hex = match number_in_kind {
        0 => "0".to_owned(),
        other => format!("{other:#x}"),
    };
    // A bar would end the cell.
    let shown = shown.replace('|', "\\|");
    format!(
        "| `{name}` | {direction} | {size} | `{number:#010x}` | `_IOC({shown}, {kind:#x}, {hex}, {size:#x})` |"
    )
}

#[test]
fn table_of_the_readme_has_every_ioctl() {
    let expected: Vec<_> = ioctls()
        .iter()
        .map(|ioctl| row(ioctl.name, ioctl.value))
        .collect();
    let found: Vec<_> = README.lines().filter(|it| it.contains("`_IOC(")).collect();
    assert!(
        found == expected,
        "guest-driver/uapi/README.md, the table of ioctls; write there:\n{}",
        expected.join("\n")
    );
}

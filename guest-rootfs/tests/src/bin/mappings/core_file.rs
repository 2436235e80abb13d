// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Core files (ELF, `man 5 elf`): how much of a mapping is in one.

use std::fs;

/// Where the kernel leaves core files, once [`choose_place`] was called.
const PLACE: &str = "/tmp/core";
/// Type of a segment with memory.
const PT_LOAD: u32 = 1;

/// Makes the kernel leave core files where this program looks for them.
pub(crate) fn choose_place() {
    fs::write("/proc/sys/kernel/core_pattern", PLACE).expect("root may choose the place");
    fs::write("/proc/sys/kernel/core_uses_pid", "0").expect("root may choose the name");
    let _old = fs::remove_file(PLACE);
}

/// Bytes that the core file has of the mapping at `address`; `None` if it does not know it.
pub(crate) fn bytes_of(address: usize) -> Option<u64> {
    let core = fs::read(PLACE).expect("the crash left a core file");
    let word = |at: usize| u64::from_le_bytes(core[at..at + 8].try_into().expect("eight bytes"));
    let half = |at: usize| u16::from_le_bytes(core[at..at + 2].try_into().expect("two bytes"));
    let (headers, size, count) = (word(32) as usize, half(54) as usize, half(56) as usize);
    (0..count)
        .map(|index| headers + index * size)
        .filter(|at| core[*at..*at + 4] == PT_LOAD.to_le_bytes())
        .find(|at| word(at + 16) == address as u64)
        .map(|at| word(at + 32))
}

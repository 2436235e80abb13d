// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Core files (ELF, `man 5 elf`), and how much of a mapping is in them.

use std::fs;

/// Path of core files after a call of [`choose_place`].
pub const PLACE: &str = "/tmp/core";
/// Type of a segment with memory.
const PT_LOAD: u32 = 1;

/// Makes the kernel write core files to [`PLACE`].
pub fn choose_place() {
    choose(PLACE);
    fs::write("/proc/sys/kernel/core_uses_pid", "0").expect("root may choose the name");
    let _old = fs::remove_file(PLACE);
}

/// Makes the kernel start a program for each core file, which reads it from its standard input.
pub fn choose_reader(command: &str) {
    choose(&format!("|{command}"));
}

fn choose(pattern: &str) {
    fs::write("/proc/sys/kernel/core_pattern", pattern).expect("root may choose the place");
}

/// Returns how many bytes of the mapping at `address` are in the core file; `None` if it has no
/// entry.
pub fn bytes_of(address: usize) -> Option<u64> {
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

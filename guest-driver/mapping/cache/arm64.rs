// SPDX-License-Identifier: GPL-2.0-only

//! The kernel's own mapping of memory with a cache policy, on arm64. It stays cached: this kernel
//! exports nothing that changes the linear mapping.
//!
//! Two policies for one page are allowed there, if no line of it stays in a cache when the other
//! mapping is used (Arm Architecture Reference Manual, "Mismatched memory attributes"). The kernel's
//! own memory for devices that are not coherent is of that kind too.

use core::{
    arch::asm,
    ops::Range, //
};
use kernel::prelude::*;

/// Takes the zeros that the allocator has written out of the caches.
///
/// # Errors
///
/// None. It is as on other architectures.
///
/// # Safety
///
/// The pages must be memory of the linear mapping that the caller owns.
pub(super) unsafe fn begin(memory: &Range<usize>, _combining: bool) -> Result {
    // SAFETY: The caller promises that this is memory of the linear mapping.
    unsafe { agree(memory) };
    Ok(())
}

/// Takes lines that the processor has loaded on its own out of the caches, before the pages are
/// freed.
///
/// # Errors
///
/// None. It is as on other architectures.
///
/// # Safety
///
/// As for [`begin`], and no process may map the pages any more.
pub(in super::super) unsafe fn end(memory: &Range<usize>) -> Result {
    // SAFETY: The caller promises that this is memory of the linear mapping.
    unsafe { agree(memory) };
    Ok(())
}

/// Has the kernel and processes see the same bytes: before the kernel reads what processes have
/// written, and after it has written what they read.
///
/// # Safety
///
/// The bytes must be memory of the linear mapping.
pub(in super::super) unsafe fn agree(memory: &Range<usize>) {
    let line = line();
    for address in (memory.start & !(line - 1)..memory.end).step_by(line) {
        // SAFETY: The caller promises that the address is mapped. The instruction writes the line
        // back and drops it, so the bytes stay what they are.
        unsafe { asm!("dc civac, {}", in(reg) address, options(nostack, preserves_flags)) };
    }
    // SAFETY: It waits for the instructions before it, and has no other effect.
    unsafe { asm!("dsb sy", options(nostack, preserves_flags)) };
}

/// Returns the size of the shortest line of all data caches: its logarithm in words of four bytes is
/// in bits 19 to 16 of the register.
fn line() -> usize {
    let register: usize;
    // SAFETY: Reads a register that every processor has.
    unsafe { asm!("mrs {}, ctr_el0", out(reg) register, options(nomem, nostack, preserves_flags)) };
    4 << (register >> 16 & 0xf)
}

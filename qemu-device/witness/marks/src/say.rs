// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Emission of a mark by a program in the guest.

#![expect(
    unsafe_code,
    reason = "one instruction that the plugin knows by its bytes"
)]

use crate::mark::Mark;

/// The instructions by which the plugin recognises a mark: on x86-64 a NOP with a displacement of its
/// own, on arm64 `movz xzr, #0x6b72`. That one writes to the register which is always zero.
///
/// It begins a block of code. The next instruction loads the mark's length, 8 bytes. The mark's
/// text follows the length in memory.
pub const INSTRUCTIONS: [&[u8]; 2] = [b"\x0f\x1f\x80mark", b"\x5f\x6e\x8d\xd2"];

/// Emits a mark. Without a plugin this does nothing.
pub fn say(mark: &Mark) {
    let text = mark.to_string();
    let mut message = (text.len() as u64).to_le_bytes().to_vec();
    message.extend_from_slice(text.as_bytes());
    show(&message);
}

/// Executes the instruction, with the address of the message in a register.
#[cfg(target_arch = "x86_64")]
fn show(message: &[u8]) {
    // SAFETY: The code jumps to the next instruction, executes a NOP, and loads 8 bytes. Those are
    // readable, because every message begins with its length.
    unsafe {
        std::arch::asm!(
            // The jump ends a block of code. The plugin looks at the first instruction of each
            // block only.
            "jmp 2f",
            "2:",
            // The displacement is `mark` in the order of its bytes.
            "nop dword ptr [rax + 0x6b72616d]",
            "mov {unused}, qword ptr [{message}]",
            message = in(reg) message.as_ptr(),
            unused = out(reg) _,
            options(nostack, readonly, preserves_flags),
        );
    }
}

/// Executes the instruction, with the address of the message in a register.
#[cfg(target_arch = "aarch64")]
fn show(message: &[u8]) {
    // SAFETY: The code jumps to the next instruction, drops a number, and loads 8 bytes. Those are
    // readable, because every message begins with its length.
    unsafe {
        std::arch::asm!(
            // As above.
            "b 2f",
            "2:",
            "movz xzr, #0x6b72",
            "ldr {unused}, [{message}]",
            message = in(reg) message.as_ptr(),
            unused = out(reg) _,
            options(nostack, readonly, preserves_flags),
        );
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn show(_message: &[u8]) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mark_without_a_plugin_does_nothing() {
        say(&Mark::Arm);
    }
}

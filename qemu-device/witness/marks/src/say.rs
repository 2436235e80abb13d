// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! How a program in the guest makes a mark.

#![expect(
    unsafe_code,
    reason = "one instruction that the plugin knows by its bytes"
)]

use crate::mark::Mark;

/// The instruction by which the plugin knows a mark: a NOP with a displacement of its own.
///
/// It begins a block of code. The one after it loads the mark's length, 8 bytes, and the mark's text
/// follows those in memory.
pub const INSTRUCTION: [u8; 7] = *b"\x0f\x1f\x80mark";

/// Makes a mark. Where no plugin watches, this does nothing.
pub fn say(mark: &Mark) {
    let text = mark.to_string();
    let mut message = (text.len() as u64).to_le_bytes().to_vec();
    message.extend_from_slice(text.as_bytes());
    show(&message);
}

#[cfg(target_arch = "x86_64")]
fn show(message: &[u8]) {
    // SAFETY: jumps to the next instruction, does nothing, and loads 8 bytes that are there: every
    // message begins with its length.
    unsafe {
        std::arch::asm!(
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

#[cfg(not(target_arch = "x86_64"))]
fn show(_message: &[u8]) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mark_where_nobody_watches_does_nothing() {
        say(&Mark::Arm);
    }
}

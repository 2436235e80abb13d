// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Makes the kernel let go of a processor anywhere in its code, not only where it chooses to: races
//! of few instructions are won that way. Needs CONFIG_PREEMPT_DYNAMIC, which Debian's kernel has.

use std::fs;

const FILE: &str = "/sys/kernel/debug/sched/preempt";

/// Full preemption, until dropped.
pub(crate) struct FullPreemption {
    /// Mode before, if it could be changed.
    before: Option<String>,
}

impl FullPreemption {
    /// Switches to it where the kernel can.
    pub(crate) fn switch_on() -> Self {
        // All modes, the present one in parentheses.
        let modes = fs::read_to_string(FILE).unwrap_or_default();
        let present = modes
            .split_whitespace()
            .find_map(|word| word.strip_prefix('(')?.strip_suffix(')'));
        let before = present.map(str::to_owned);
        if before.is_some() {
            fs::write(FILE, "full").expect("the kernel can change its mode");
        }
        Self { before }
    }
}

impl Drop for FullPreemption {
    fn drop(&mut self) {
        if let Some(mode) = &self.before {
            fs::write(FILE, mode).expect("the kernel can change its mode");
        }
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Full preemption: the kernel may release a processor anywhere in its code. That makes races of a
//! few instructions likely. Needs CONFIG_PREEMPT_DYNAMIC, which Debian's kernel has.

use std::fs;

const FILE: &str = "/sys/kernel/debug/sched/preempt";

/// Full preemption, until this value is dropped.
pub(crate) struct FullPreemption {
    /// The earlier mode, if the kernel could change it.
    before: Option<String>,
}

impl FullPreemption {
    /// Switches to full preemption if the kernel can.
    pub(crate) fn switch_on() -> Self {
        // The file lists all modes, the present one in parentheses.
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

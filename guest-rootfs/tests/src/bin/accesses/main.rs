// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Reaches registers and device memory with every instruction that does more than load or store one
//! aligned word.
//!
//! QEMU splits such accesses before the device sees them. The witness must join both sides, and must
//! miss none. Without the witness the cases show that a process may make these accesses, or that
//! they raise a signal.

#[cfg(target_arch = "aarch64")]
mod arm64;
#[cfg(target_arch = "x86_64")]
mod instructions;
mod pages;
#[cfg(target_arch = "x86_64")]
mod x86;

use ringbar_tests::run;
use std::process::ExitCode;

fn main() -> ExitCode {
    run()
}

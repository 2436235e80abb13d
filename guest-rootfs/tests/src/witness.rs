// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What a case says of the accesses to the device that it causes, for the witness (`qemu-device/witness/report/README.md`). Where
//! nobody watches, this does nothing.

use ringbar_marks::{say, Mark};

/// Name of the phase in which rings that a process maps are used, and nothing else.
const MAPPED_RING: &str = "mapped ring";

/// Does what a table of `guest-driver/README.md` lists for `phase`, and nothing else.
pub fn during<T>(phase: &str, work: impl FnOnce() -> T) -> T {
    let phase = phase.to_owned();
    say(&Mark::Enter { phase });
    let done = work();
    say(&Mark::Leave);
    done
}

/// Says something of the phase, or else of the case.
pub fn claim(text: impl Into<String>) {
    let text = text.into();
    say(&Mark::Claim { text });
}

/// Uses rings that the process maps: the device carries out `operations`, and nothing traps but kicks, of which there
/// are no more than `kicks`.
pub fn on_mapped_ring<T>(operations: u32, kicks: u32, work: impl FnOnce() -> T) -> T {
    during(MAPPED_RING, || {
        claim(format!("trapped KICK {kicks}"));
        claim(format!("operations {operations}"));
        work()
    })
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Claims of a case about its accesses to the device, for the witness
//! (`qemu-device/witness/report/README.md`). Without a witness these functions do nothing.

use ringbar_marks::{say, Mark};

/// Name of the phase in which a process uses its mapped rings, and nothing else.
const MAPPED_RING: &str = "mapped ring";

/// Runs `work` as the phase `phase`: exactly the accesses that a table of `guest-driver/README.md`
/// lists for that phase.
pub fn during<T>(phase: &str, work: impl FnOnce() -> T) -> T {
    let phase = phase.to_owned();
    say(&Mark::Enter { phase });
    let done = work();
    say(&Mark::Leave);
    done
}

/// Makes a claim about the phase, or about the case outside of a phase.
pub fn claim(text: impl Into<String>) {
    let text = text.into();
    say(&Mark::Claim { text });
}

/// Uses rings that the process maps. Claims that the device carries out `operations`, and that at
/// most `kicks` kicks trap and nothing else.
pub fn on_mapped_ring<T>(operations: u32, kicks: u32, work: impl FnOnce() -> T) -> T {
    during(MAPPED_RING, || {
        claim(format!("trapped KICK {kicks}"));
        claim(format!("operations {operations}"));
        work()
    })
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Barriers between this processor and the device (data sheet 6, memory model), in one place.
//!
//! The fences of Rust order what other processors see. On x86 a device sees the same order. On arm64
//! they are `dmb ish`, which reaches the inner shareable domain, and a device is outside of it. So
//! these are those that the kernel has for devices there, of the outer shareable domain:
//!
//! | function | x86 | arm64 | kernel |
//! |---|---|---|---|
//! | [`acquire`] | none, for the compiler alone | `dmb oshld` | `dma_rmb` |
//! | [`release`] | none, for the compiler alone | `dmb oshld`, `dmb oshst` | `dma_rmb`, `dma_wmb` |
//! | [`full`] | `mfence`, or an instruction with a lock | `dmb osh` | `dma_mb` |

/// Orders loads before it against all accesses after it. After a load of a word, all that the device
/// wrote before that word can be read.
#[inline]
pub fn acquire() {
    arch::acquire();
}

/// Orders all accesses before it against stores after it. The device that sees a word stored next
/// also sees what was written before. It may also overwrite what was read before.
#[inline]
pub fn release() {
    arch::release();
}

/// Orders all accesses before it against all accesses after it, a store against a later load too.
#[inline]
pub fn full() {
    arch::full();
}

#[cfg(not(target_arch = "aarch64"))]
mod arch {
    use std::sync::atomic::{fence, Ordering};

    #[inline]
    pub(super) fn acquire() {
        fence(Ordering::Acquire);
    }

    #[inline]
    pub(super) fn release() {
        fence(Ordering::Release);
    }

    #[inline]
    pub(super) fn full() {
        fence(Ordering::SeqCst);
    }
}

#[cfg(target_arch = "aarch64")]
#[expect(
    unsafe_code,
    reason = "Rust has no fence of the outer shareable domain"
)]
mod arch {
    use std::arch::asm;

    /// A barrier of the processor. Without `nomem` it is one of the compiler, too.
    macro_rules! barrier {
        ($instruction:literal) => {
            // SAFETY: The instruction changes no register and no memory.
            unsafe { asm!($instruction, options(nostack, preserves_flags)) }
        };
    }

    #[inline]
    pub(super) fn acquire() {
        barrier!("dmb oshld");
    }

    #[inline]
    pub(super) fn release() {
        // `oshst` does not order loads: a descriptor could have the device overwrite a buffer that
        // this processor has not read yet. `oshld` does not order stores.
        barrier!("dmb oshld");
        barrier!("dmb oshst");
    }

    #[inline]
    pub(super) fn full() {
        barrier!("dmb osh");
    }
}

// SPDX-License-Identifier: GPL-2.0-only

//! Cache policies, and how the page tables say them.

use core::fmt;
use kernel::{
    bindings,
    prelude::*, //
};

// `shim.c`: macros of the kernel.
extern "C" {
    fn ringbar_pgprot_noncached(prot: bindings::pgprot_t) -> bindings::pgprot_t;
    fn ringbar_pgprot_writecombine(prot: bindings::pgprot_t) -> bindings::pgprot_t;
    fn ringbar_pgprot_device(prot: bindings::pgprot_t) -> bindings::pgprot_t;
    fn ringbar_pgprot_cache_bits(prot: bindings::pgprot_t) -> c_ulong;
}

/// How the processor may cache a mapping.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum CachePolicy {
    /// As any memory.
    Cached,
    /// Writes may be gathered, nothing is cached.
    WriteCombining,
    /// Every access reaches the other side, in order.
    Uncached,
    /// As a device's registers want it. On x86 the same bits as [`CachePolicy::Uncached`].
    Device,
}

impl CachePolicy {
    /// All policies.
    pub(crate) const ALL: [Self; 4] = [
        Self::Cached,
        Self::WriteCombining,
        Self::Uncached,
        Self::Device,
    ];

    /// Returns `prot` with this policy.
    pub(crate) fn apply(self, prot: bindings::pgprot_t) -> bindings::pgprot_t {
        match self {
            Self::Cached => prot,
            // SAFETY: A pure function of its argument.
            Self::WriteCombining => unsafe { ringbar_pgprot_writecombine(prot) },
            // SAFETY: As above.
            Self::Uncached => unsafe { ringbar_pgprot_noncached(prot) },
            // SAFETY: As above.
            Self::Device => unsafe { ringbar_pgprot_device(prot) },
        }
    }

    /// What the page tables hold for this policy.
    pub(crate) fn bits(self) -> u64 {
        cache_bits(self.apply(bindings::pgprot_t { pgprot: 0 }))
    }

    /// Name, for people and tests.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cached => "cached",
            Self::WriteCombining => "write-combining",
            Self::Uncached => "uncached",
            Self::Device => "device",
        }
    }
}

/// What a page table entry says about caching.
#[derive(Clone, Copy)]
pub(crate) struct Observed(u64);

/// Reads back from the page table how the page at `address` is cached, if it is there.
///
/// `None` also for a VMA of refcounted pages, which have no policy of their own.
///
/// # Safety
///
/// The VMA must be valid, hold the address, and the lock of its address space be held.
pub(crate) unsafe fn observe(
    vma: *mut bindings::vm_area_struct,
    address: usize,
) -> Option<Observed> {
    let mut walk = bindings::follow_pfnmap_args {
        vma,
        address,
        ..pin_init::zeroed()
    };
    // SAFETY: As the caller promises.
    if unsafe { bindings::follow_pfnmap_start(&mut walk) } != 0 {
        return None;
    }
    let observed = Observed(cache_bits(walk.pgprot));
    // SAFETY: It was started just now.
    unsafe { bindings::follow_pfnmap_end(&mut walk) };
    Some(observed)
}

impl fmt::Display for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The first that fits: on x86 `Device` shows as `Uncached`, which it is.
        match CachePolicy::ALL
            .into_iter()
            .find(|policy| policy.bits() == self.0)
        {
            Some(policy) => f.write_str(policy.name()),
            None => write!(f, "unknown-{:#x}", self.0),
        }
    }
}

fn cache_bits(prot: bindings::pgprot_t) -> u64 {
    // SAFETY: A pure function of its argument.
    unsafe { ringbar_pgprot_cache_bits(prot) as u64 }
}

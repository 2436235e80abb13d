// SPDX-License-Identifier: GPL-2.0-only

//! Cache policies, and how the page tables hold them.

// The kernel's own mapping of memory that has a policy.
#[cfg(CONFIG_ARM64)]
mod arm64;
#[cfg(CONFIG_X86_64)]
mod x86;

#[cfg(CONFIG_ARM64)]
use arm64 as own;
#[cfg(CONFIG_X86_64)]
use x86 as own;

use core::{
    fmt,
    ops::Range, //
};
use kernel::{
    bindings,
    prelude::*, //
};
pub(super) use own::{
    agree,
    end, //
};

// `shim.c`: macros of the kernel.
extern "C" {
    fn mapping_pgprot_noncached(prot: bindings::pgprot_t) -> bindings::pgprot_t;
    fn mapping_pgprot_writecombine(prot: bindings::pgprot_t) -> bindings::pgprot_t;
    fn mapping_pgprot_device(prot: bindings::pgprot_t) -> bindings::pgprot_t;
    fn mapping_pgprot_cache_bits(prot: bindings::pgprot_t) -> c_ulong;
}

/// How the processor may cache a mapping.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum CachePolicy {
    /// Reads and writes are cached, as of any memory.
    Cached,
    /// Writes may be gathered, reads are not cached.
    WriteCombining,
    /// Every access reaches the memory or device, in order.
    Uncached,
    /// The policy for a device's registers. On x86-64 the same bits as [`CachePolicy::Uncached`]. On
    /// arm64 it lets the interconnect confirm a write before it has reached the device.
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
            // SAFETY: The shim computes its result from the argument alone, which may have any
            // value.
            Self::WriteCombining => unsafe { mapping_pgprot_writecombine(prot) },
            // SAFETY: The shim computes its result from the argument alone, which may have any
            // value.
            Self::Uncached => unsafe { mapping_pgprot_noncached(prot) },
            // SAFETY: The shim computes its result from the argument alone, which may have any
            // value.
            Self::Device => unsafe { mapping_pgprot_device(prot) },
        }
    }

    /// Returns the bits that page tables hold for this policy.
    pub(crate) fn bits(self) -> u64 {
        cache_bits(self.apply(bindings::pgprot_t { pgprot: 0 }))
    }

    /// Returns the name, for people and tests.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cached => "cached",
            Self::WriteCombining => "write-combining",
            Self::Uncached => "uncached",
            Self::Device => "device",
        }
    }
}

/// Gives the kernel's own mapping of whole pages the policy, or makes it agree with one that has the
/// policy. After an error, some pages may have it.
///
/// # Errors
///
/// Those of the kernel.
///
/// # Safety
///
/// The pages must be memory of the linear mapping that the caller owns.
pub(super) unsafe fn begin(memory: &Range<usize>, policy: CachePolicy) -> Result {
    let combining = match policy {
        CachePolicy::Cached => return Ok(()),
        CachePolicy::WriteCombining => true,
        CachePolicy::Uncached | CachePolicy::Device => false,
    };
    // SAFETY: The caller promises that it owns the pages.
    unsafe { own::begin(memory, combining) }
}

/// The cache bits of a page table entry.
#[derive(Clone, Copy)]
pub(crate) struct Observed(u64);

/// Reads the cache bits of the page at `address` back from the page table, if the page is there.
///
/// Returns `None` also for a VMA of refcounted pages, which have no policy of their own.
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
    // SAFETY: The caller promises that the VMA is valid and holds the address, and that the lock of
    // its address space is held.
    if unsafe { bindings::follow_pfnmap_start(&mut walk) } != 0 {
        return None;
    }
    let observed = Observed(cache_bits(walk.pgprot));
    // SAFETY: The walk was started just now, and is ended once.
    unsafe { bindings::follow_pfnmap_end(&mut walk) };
    Some(observed)
}

impl fmt::Display for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The first that fits: on x86-64 `Device` has the bits of `Uncached`, and shows as that.
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
    // SAFETY: The shim computes its result from the argument alone, which may have any value.
    unsafe { mapping_pgprot_cache_bits(prot) as u64 }
}

// SPDX-License-Identifier: GPL-2.0-only

//! Memory of the kernel that the device reaches through a streaming mapping.
//!
//! The DMA API may put a bounce buffer between the two, so what one side has written the other sees
//! only once the mapping was synchronised. Nobody but this file touches the bytes.

use super::{
    cache::CachePolicy,
    kernel_memory::Contiguous, //
};
use kernel::{
    bindings,
    device::{
        self,
        Bound, //
    },
    dma::{
        DataDirection,
        DmaAddress, //
    },
    error::to_result,
    prelude::*,
    sync::aref::ARef, //
};

extern "C" {
    // `shim.c`: inline functions of the kernel. Both directions are mapped and synchronised.
    fn ringbar_dma_map_single(device: *mut c_void, start: *mut c_void, size: usize) -> DmaAddress;
    fn ringbar_dma_mapping_error(device: *mut c_void, address: DmaAddress) -> c_int;
    fn ringbar_dma_sync_for_cpu(device: *mut c_void, address: DmaAddress, size: usize);
    fn ringbar_dma_sync_for_device(device: *mut c_void, address: DmaAddress, size: usize);
}

/// Memory that is the device's, but for the time of a [`write`](Self::write) or
/// [`read`](Self::read).
///
/// Must be dropped while the driver is bound to the device, and after the device has ended to use
/// it; to forget it keeps the memory for good.
///
/// # Invariants
///
/// All of `memory` is mapped for `device` at `address`, in both directions.
pub(crate) struct Streaming {
    memory: Contiguous,
    device: ARef<device::Device>,
    address: DmaAddress,
}

impl Streaming {
    /// Zeroed memory of `size` bytes, a multiple of the page size.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, also if there is no room to bounce it.
    pub(crate) fn new(device: &device::Device<Bound>, size: usize) -> Result<Self> {
        let memory = Contiguous::new(size, CachePolicy::Cached)?;
        let raw = as_raw(device);
        // SAFETY: The device is bound, and the memory is of the page allocator and this long.
        let address = unsafe { ringbar_dma_map_single(raw, memory.start(), size) };
        // SAFETY: As above.
        to_result(unsafe { ringbar_dma_mapping_error(raw, address) })?;
        // INVARIANT: Mapped just now.
        Ok(Self {
            memory,
            device: device.into(),
            address,
        })
    }

    /// Where the device finds it.
    pub(crate) fn dma_address(&self) -> DmaAddress {
        self.address
    }

    /// Size in bytes.
    pub(crate) fn size(&self) -> usize {
        self.memory.size()
    }

    /// Puts bytes where the device finds them, from the beginning on.
    ///
    /// # Errors
    ///
    /// `EINVAL` if they are more than there is room for.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result {
        self.with_memory(bytes.len(), |start| {
            // SAFETY: There is room for the bytes, and the device does not write it meanwhile.
            unsafe { start.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        })
    }

    /// Gets bytes that the device has written, from the beginning on.
    ///
    /// # Errors
    ///
    /// `EINVAL` if they are more than there are.
    pub(crate) fn read(&mut self, bytes: &mut [u8]) -> Result {
        self.with_memory(bytes.len(), |start| {
            // SAFETY: So many bytes are there. A device that writes them meanwhile, against the
            // rules, can make of them what it wants.
            unsafe { start.copy_to_nonoverlapping(bytes.as_mut_ptr(), bytes.len()) };
        })
    }

    /// Calls `f` while the first `length` bytes are the processor's.
    fn with_memory(&mut self, length: usize, f: impl FnOnce(*mut u8)) -> Result {
        if length > self.size() {
            return Err(EINVAL);
        }
        let device = as_raw(&self.device);
        // SAFETY: By the type invariants.
        unsafe { ringbar_dma_sync_for_cpu(device, self.address, length) };
        f(self.memory.start().cast());
        // SAFETY: By the type invariants.
        unsafe { ringbar_dma_sync_for_device(device, self.address, length) };
        Ok(())
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        // SAFETY: By the type invariants; whoever owns this drops it while the driver is bound.
        unsafe {
            bindings::dma_unmap_page_attrs(
                as_raw(&self.device).cast(),
                self.address,
                self.size(),
                DataDirection::Bidirectional.into(),
                0,
            );
        }
    }
}

fn as_raw<C: device::DeviceContext>(device: &device::Device<C>) -> *mut c_void {
    // CAST: `Device` is a transparent wrapper of `struct device`.
    core::ptr::from_ref(device).cast_mut().cast()
}

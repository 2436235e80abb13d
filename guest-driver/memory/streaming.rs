// SPDX-License-Identifier: GPL-2.0-only

//! Memory of the kernel that the device reaches through a streaming mapping.
//!
//! The DMA API may put a bounce buffer between the two. So one side sees writes of the other only
//! after the mapping was synchronised. Only this file touches the bytes.

use crate::mapping::{
    cache::CachePolicy,
    memory::Contiguous, //
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

/// Memory that is the device's, except during a [`write`](Self::write) or [`read`](Self::read).
///
/// Must be dropped while the driver is bound to the device, after the last use by the device.
/// Forgetting it keeps the memory for ever.
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
    /// Allocates zeroed memory of `size` bytes, a multiple of the page size, and maps it.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, also if there is no room to bounce it.
    pub(crate) fn new(device: &device::Device<Bound>, size: usize) -> Result<Self> {
        let memory = Contiguous::new(size, CachePolicy::Cached)?;
        let raw = as_raw(device);
        // SAFETY: The device is bound. The memory is of the page allocator and `size` bytes long.
        let address = unsafe { ringbar_dma_map_single(raw, memory.start(), size) };
        // SAFETY: The device is bound, and the address is the result of mapping for it.
        to_result(unsafe { ringbar_dma_mapping_error(raw, address) })?;
        // INVARIANT: Mapped just now.
        Ok(Self {
            memory,
            device: device.into(),
            address,
        })
    }

    /// Returns the address at which the device finds it.
    pub(crate) fn dma_address(&self) -> DmaAddress {
        self.address
    }

    /// Returns the size in bytes.
    pub(crate) fn size(&self) -> usize {
        self.memory.size()
    }

    /// Copies bytes to the beginning of the memory, for the device.
    ///
    /// # Errors
    ///
    /// `EINVAL` for more bytes than the memory has.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result {
        self.with_memory(bytes.len(), |start| {
            // SAFETY: The length was checked, so there is room for the bytes. They are a caller's,
            // so the two do not overlap.
            unsafe { start.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        })
    }

    /// Copies bytes that the device has written from the beginning of the memory.
    ///
    /// # Errors
    ///
    /// `EINVAL` for more bytes than the memory has.
    pub(crate) fn read(&mut self, bytes: &mut [u8]) -> Result {
        self.with_memory(bytes.len(), |start| {
            // SAFETY: The length was checked, so the memory has the bytes, and the target is a
            // caller's, so the two do not overlap. If the device writes meanwhile, against the
            // rules, the bytes have any value, as they could have had before.
            unsafe { start.copy_to_nonoverlapping(bytes.as_mut_ptr(), bytes.len()) };
        })
    }

    /// Calls `f` while the first `length` bytes are the processor's.
    fn with_memory(&mut self, length: usize, f: impl FnOnce(*mut u8)) -> Result {
        if length > self.size() {
            return Err(EINVAL);
        }
        let device = as_raw(&self.device);
        // SAFETY: By the type invariants the memory is mapped for the device at this address. The
        // length was checked.
        unsafe { ringbar_dma_sync_for_cpu(device, self.address, length) };
        f(self.memory.start().cast());
        // SAFETY: By the type invariants the memory is mapped for the device at this address. The
        // length was checked.
        unsafe { ringbar_dma_sync_for_device(device, self.address, length) };
        Ok(())
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        // SAFETY: By the type invariants all of the memory is mapped for the device at this
        // address, in both directions. The owner drops this while the driver is bound.
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

// SPDX-License-Identifier: GPL-2.0-only

//! Memory that an open file owns and its descriptors reach through a window.

use crate::{
    device::{
        limits::{
            Amount,
            Charge,
            User, //
        },
        ranges::Range,
        Device,
        WindowTarget, //
    },
    interface::{
        layout::MemoryPart,
        mmap,
        setup::Segment, //
    },
    window::Window, //
};
use kernel::{
    dma::Coherent,
    page::PAGE_SIZE,
    prelude::*, //
};

/// Largest buffer in bytes: the largest block that the page allocator hands out on the stock kernel.
pub(crate) const MAX_BUFFER: usize = 4 << 20;

/// A DMA buffer and its own window.
pub(crate) struct Buffer {
    window: Window,
    rights: u32,
    memory: Coherent<[u8]>,
    pinned: bool,
    _charge: Charge,
}

impl Buffer {
    /// Makes a buffer of at least `size` bytes.
    ///
    /// # Errors
    ///
    /// `EINVAL` for size 0, a size over [`MAX_BUFFER`] or unknown rights; `ENOSPC` over a limit, or
    /// if all windows are taken; `ENOMEM`; `EIO` if the device refuses.
    pub(crate) fn new(
        device: &Device<'_>,
        user: &User,
        domain: u32,
        size: u64,
        rights: u32,
    ) -> Result<Self> {
        let size = checked_size(size, MAX_BUFFER)?;
        let charge = charge(user, size)?;
        let memory = allocate(device, size)?;
        let segment = Segment {
            address: memory.dma_address(),
            length: memory.size() as u64,
        };
        let target = WindowTarget::Memory(core::slice::from_ref(&segment));
        match Window::open(device, domain, rights, target) {
            Ok(window) => Ok(Self {
                window,
                rights,
                memory,
                pinned: false,
                _charge: charge,
            }),
            Err(error) => {
                // A lost device may open the window when it comes back.
                if device.registers().is_lost() {
                    device.kept().buffer(memory);
                }
                Err(error)
            }
        }
    }

    /// Number of the window.
    pub(crate) fn window(&self) -> u16 {
        self.window.number()
    }

    /// What descriptors may do with it.
    pub(crate) fn rights(&self) -> u32 {
        self.rights
    }

    /// The memory, whole pages.
    pub(crate) fn memory(&self) -> &Coherent<[u8]> {
        &self.memory
    }

    /// Where it is mapped.
    pub(crate) fn offset(&self) -> u64 {
        mmap::encode(mmap::KIND_BUFFER, self.window())
    }

    /// Whether descriptors can reach it.
    ///
    /// # Errors
    ///
    /// `EIO` if a reset has closed the window.
    pub(crate) fn check(&self, device: &Device<'_>) -> Result {
        self.window.check(device)
    }

    /// The device may go on to reach it: it must never be freed.
    pub(crate) fn pin(&mut self) {
        self.pinned = true;
    }

    /// Closes the window and frees the memory.
    ///
    /// # Errors
    ///
    /// `EIO` if the device may still write the memory, which is then kept for good.
    pub(crate) fn close(self, device: &Device<'_>) -> Result {
        let closed = close(&self.window, self.pinned, device);
        if closed.is_err() {
            self.keep(device);
        }
        closed
    }

    /// Keeps the memory for good.
    pub(crate) fn keep(self, device: &Device<'_>) {
        device.kept().buffer(self.memory);
    }
}

/// A range of the device memory and its own window.
pub(crate) struct DeviceMemory {
    window: Window,
    rights: u32,
    part: MemoryPart,
    range: Range,
    pinned: bool,
    _charge: Charge,
}

impl DeviceMemory {
    /// Takes at least `size` bytes of `part`.
    ///
    /// # Errors
    ///
    /// `EINVAL` for size 0 or unknown rights; `ENOSPC` over a limit, if the part has no such range
    /// left, or all windows are taken; `ENOMEM`; `EIO` if the device refuses.
    pub(crate) fn new(
        device: &Device<'_>,
        user: &User,
        domain: u32,
        part: MemoryPart,
        size: u64,
        rights: u32,
    ) -> Result<Self> {
        let size = checked_size(size, usize::MAX / 2)?;
        let charge = charge(user, size)?;
        let range = device.take_memory(part, size)?;
        let window = Window::open(device, domain, rights, WindowTarget::DeviceMemory(range))
            .inspect_err(|_| device.give_back_memory(part, range))?;
        Ok(Self {
            window,
            rights,
            part,
            range,
            pinned: false,
            _charge: charge,
        })
    }

    /// Number of the window.
    pub(crate) fn window(&self) -> u16 {
        self.window.number()
    }

    /// What descriptors may do with it.
    pub(crate) fn rights(&self) -> u32 {
        self.rights
    }

    /// Which part the range belongs to.
    pub(crate) fn part(&self) -> MemoryPart {
        self.part
    }

    /// The range, whole pages.
    pub(crate) fn range(&self) -> Range {
        self.range
    }

    /// Where it is mapped.
    pub(crate) fn offset(&self) -> u64 {
        let kind = match self.part {
            MemoryPart::WriteCombining | MemoryPart::Uncached => mmap::KIND_DEVICE_MEMORY,
            MemoryPart::Lazy => mmap::KIND_LAZY_DEVICE_MEMORY,
        };
        mmap::encode(kind, self.window())
    }

    /// Whether descriptors can reach it.
    ///
    /// # Errors
    ///
    /// `EIO` if a reset has closed the window.
    pub(crate) fn check(&self, device: &Device<'_>) -> Result {
        self.window.check(device)
    }

    /// The device may go on to reach it: nobody else may get it.
    pub(crate) fn pin(&mut self) {
        self.pinned = true;
    }

    /// Closes the window and gives the range back.
    ///
    /// # Errors
    ///
    /// `EIO` if the device may still write the range, which nobody else gets then.
    pub(crate) fn close(self, device: &Device<'_>) -> Result {
        close(&self.window, self.pinned, device)?;
        device.give_back_memory(self.part, self.range);
        Ok(())
    }
}

/// What a file can give back one by one.
pub(crate) enum Owned {
    Buffer(Buffer),
    DeviceMemory(DeviceMemory),
}

impl Owned {
    /// Where it is mapped.
    pub(crate) fn offset(&self) -> u64 {
        match self {
            Self::Buffer(buffer) => buffer.offset(),
            Self::DeviceMemory(memory) => memory.offset(),
        }
    }

    /// Size in bytes, whole pages.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Buffer(buffer) => buffer.memory().size(),
            Self::DeviceMemory(memory) => memory.range().length,
        }
    }

    /// Gives it back.
    ///
    /// # Errors
    ///
    /// `EIO` if the device may still write it.
    pub(crate) fn close(self, device: &Device<'_>) -> Result {
        match self {
            Self::Buffer(buffer) => buffer.close(device),
            Self::DeviceMemory(memory) => memory.close(device),
        }
    }
}

/// Charges a user for a buffer or range of `size` bytes and its window.
fn charge(user: &User, size: usize) -> Result<Charge> {
    user.charge(Amount {
        windows: 1,
        buffers: 1,
        bytes: size as u64,
        ..Amount::default()
    })
}

/// Closes `window`, unless another window on the same memory could not be closed.
fn close(window: &Window, pinned: bool, device: &Device<'_>) -> Result {
    if pinned {
        return Err(EIO);
    }
    window.close(device)
}

/// Zeroed coherent memory for at least `size` bytes, in whole pages, so that nothing else shares
/// a page with it.
pub(crate) fn allocate(device: &Device<'_>, size: usize) -> Result<Coherent<[u8]>> {
    let size = size.next_multiple_of(PAGE_SIZE);
    Coherent::zeroed_slice(device.pdev().as_ref(), size, GFP_KERNEL)
}

/// `size` in whole pages, if it is neither 0 nor over `limit`.
///
/// # Errors
///
/// `EINVAL` otherwise.
pub(crate) fn checked_size(size: u64, limit: usize) -> Result<usize> {
    match usize::try_from(size) {
        Ok(size) if size > 0 && size <= limit => Ok(size.next_multiple_of(PAGE_SIZE)),
        _ => Err(EINVAL),
    }
}

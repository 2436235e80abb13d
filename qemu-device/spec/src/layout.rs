// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! BARs, the pages of BAR 0, the parts of the device memory (data sheet 2). Shared with the kernel
//! module.

/// Bytes from one page of BAR 0 to the next. As large as the largest page of a kernel on x86 and
/// arm64, so a page that a kernel maps never shows two of them.
pub const PAGE_STRIDE: usize = 64 << 10;
/// Bytes at the start of a page of BAR 0 that hold all that has a meaning. As large as the smallest
/// page of a kernel, so one page that a kernel maps shows all of it.
pub const PAGE_LENGTH: usize = 4096;
/// Most queues that the layout has pages for.
pub const MAX_QUEUES: usize = 64;

/// Number of the BAR with registers, kick, report, doorbell and status pages: 32-bit, not prefetchable.
pub const REGISTER_BAR: u32 = 0;
/// Size of [`REGISTER_BAR`] in bytes.
pub const REGISTER_BAR_SIZE: usize = 0x100_0000;
/// Number of the BAR with the device memory: 64-bit, prefetchable, so it takes BARs 2 and 3.
pub const DEVICE_MEMORY_BAR: u32 = 2;
/// Default size of the device memory in bytes.
pub const DEVICE_MEMORY_SIZE: usize = 16 << 20;
/// Smallest device memory in bytes. With less, a part would not have a page of its own on each kernel.
pub const DEVICE_MEMORY_MIN: usize = 4 * PAGE_STRIDE;
/// Largest device memory in bytes.
pub const DEVICE_MEMORY_MAX: usize = 1 << 30;
/// Number of the BAR with MSI-X table and pending bit array.
pub const MSIX_BAR: u32 = 4;
/// Size of [`MSIX_BAR`] in bytes. With less, it could share a page with the BAR of a neighbour.
pub const MSIX_BAR_SIZE: usize = PAGE_STRIDE;
/// Offset of the MSI-X table in [`MSIX_BAR`].
pub const MSIX_TABLE_OFFSET: usize = 0;
/// Offset of the MSI-X pending bit array in [`MSIX_BAR`].
pub const MSIX_PBA_OFFSET: usize = 0x800;

/// Page with the public registers. Trapped. A process with `CAP_SYS_RAWIO` may map it.
pub const PUBLIC_PAGE: usize = 0x00_0000;
/// Page with the admin registers. Trapped. Only the driver maps it.
pub const ADMIN_PAGE: usize = 0x01_0000;
/// First kick page; one page per queue. Trapped.
pub const KICK_PAGES: usize = 0x3f_0000;
/// Report page. Shared memory that the device side writes. Only the driver maps it.
pub const REPORT_PAGE: usize = 0x7f_0000;
/// First doorbell page; one page per queue. Shared memory that the driver side writes.
pub const DOORBELL_PAGES: usize = 0x80_0000;
/// First status page; one page per queue. Shared memory that the device side writes.
pub const STATUS_PAGES: usize = 0xc0_0000;

/// Returns how many bytes of a device memory BAR of `size` bytes a driver side uses: no more than
/// [`DEVICE_MEMORY_MAX`]. Returns `None` if the parts of such a BAR would not be whole pages
/// of any kernel.
pub const fn usable_memory(size: u64) -> Option<usize> {
    if size < DEVICE_MEMORY_MIN as u64 || !size.is_power_of_two() {
        None
    } else if size > DEVICE_MEMORY_MAX as u64 {
        Some(DEVICE_MEMORY_MAX)
    } else {
        Some(size as usize)
    }
}

/// A part of the device memory. Each part has a cache policy of its own when it is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryPart {
    /// First half: mapped write-combining.
    WriteCombining,
    /// Third quarter: mapped uncached.
    Uncached,
    /// Last quarter: mapped write-combining, page by page, on the first touch of each.
    Lazy,
}

/// Returns offset and length in bytes of `part` in a device memory of `size` bytes.
///
/// `size` is a power of two from [`DEVICE_MEMORY_MIN`] to [`DEVICE_MEMORY_MAX`], so both are whole
/// pages.
pub const fn memory_part(size: usize, part: MemoryPart) -> (usize, usize) {
    match part {
        MemoryPart::WriteCombining => (0, size / 2),
        MemoryPart::Uncached => (size / 2, size / 4),
        MemoryPart::Lazy => (size / 2 + size / 4, size / 4),
    }
}

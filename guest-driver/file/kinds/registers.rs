// SPDX-License-Identifier: GPL-2.0-only

//! Pages of BAR 0: the public registers, and the kick, doorbell and status page of a queue.

use crate::{
    device::Device,
    file::{
        objects::Objects,
        OpenFile, //
    },
    interface::{
        layout,
        mmap, //
    },
    mapping::{
        cache::CachePolicy,
        kind::Kind,
        mappable::IoMemory,
        setup::Fork, //
    },
};
use kernel::{
    bindings,
    page::PAGE_SIZE,
    prelude::*, //
};

/// The public registers.
pub(crate) enum PublicRegisters {}
/// A queue's kick page.
pub(crate) enum Kick {}
/// A queue's doorbell page.
pub(crate) enum Doorbell {}
/// A queue's status page, which the device writes.
pub(crate) enum Status {}

impl Kind for PublicRegisters {
    type File = OpenFile;
    type Memory<'a> = IoMemory<'a>;
    const NUMBER: u8 = mmap::KIND_PUBLIC_REGISTERS;
    const NAME: &'static str = "public-registers";
    const FORK: Fork = Fork::Withheld;
    const COUNT: u32 = 1;

    fn check(offset: u64) -> Result {
        // The other pages of the BAR belong to the driver or a queue. No capability gives access to
        // them.
        let beyond = offset >= PAGE_SIZE as u64 && offset < layout::REGISTER_BAR_SIZE as u64;
        // SAFETY: `capable` can be called in any process context.
        if beyond || !unsafe { bindings::capable(bindings::CAP_SYS_RAWIO as i32) } {
            return Err(EPERM);
        }
        Ok(())
    }

    fn memory<'a>(
        device: &'a Device<'_>,
        _objects: &'a Objects,
        _index: u16,
    ) -> Result<IoMemory<'a>> {
        page(device, layout::PUBLIC_PAGE, 0, TRAPPED)
    }

    fn check_debugger(device: &Device<'_>) -> Result {
        trapped(device)
    }
}

macro_rules! queue_page {
    (
        $kind:ident,
        $number:path,
        $name:literal,
        $writable:literal,
        $first:path,
        $policy:path,
        $check:path
    ) => {
        impl Kind for $kind {
            type File = OpenFile;
            type Memory<'a> = IoMemory<'a>;
            const NUMBER: u8 = $number;
            const NAME: &'static str = $name;
            const WRITABLE: bool = $writable;
            const FORK: Fork = Fork::Withheld;

            fn memory<'a>(
                device: &'a Device<'_>,
                objects: &'a Objects,
                index: u16,
            ) -> Result<IoMemory<'a>> {
                objects.queues.mapped(device, index)?;
                page(device, $first, index, $policy)
            }

            fn check_debugger(device: &Device<'_>) -> Result {
                $check(device)
            }
        }
    };
}
queue_page!(
    Kick,
    mmap::KIND_KICK,
    "kick",
    true,
    layout::KICK_PAGES,
    TRAPPED,
    trapped
);
queue_page!(
    Doorbell,
    mmap::KIND_DOORBELL,
    "doorbell",
    true,
    layout::DOORBELL_PAGES,
    SHARED,
    Device::check_not_lost
);
queue_page!(
    Status,
    mmap::KIND_STATUS,
    "status",
    false,
    layout::STATUS_PAGES,
    SHARED,
    Device::check_not_lost
);

/// Policy of pages that trap: that of the driver's own mapping of the BAR (`ioremap`). Uncached is
/// stricter where it differs: a write is over only when the device itself has answered. A kick needs
/// no answer, and whoever wants to know that a write has arrived reads a register after it.
const TRAPPED: CachePolicy = CachePolicy::Device;
/// Policy of pages that are memory for both sides. Sleeping and waking need the order of a store and a
/// load (`wake.rs`), so nothing on the way may answer for a store that is not in the memory yet.
const SHARED: CachePolicy = CachePolicy::Uncached;

/// Returns page `index` of those that start at `first`.
fn page<'a>(
    device: &'a Device<'_>,
    first: usize,
    index: u16,
    policy: CachePolicy,
) -> Result<IoMemory<'a>> {
    let page = device.register_page(first + usize::from(index) * layout::PAGE_STRIDE)?;
    Ok(IoMemory::new(page, policy))
}

/// Refuses a debugger: reading a trapped register may do something in the device.
fn trapped(_device: &Device<'_>) -> Result {
    Err(EPERM)
}

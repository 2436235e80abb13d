// SPDX-License-Identifier: GPL-2.0-only

//! Pages of BAR 0: the public registers, and the kick, doorbell and status page of a queue.

use crate::{
    device::Device,
    file::{
        objects::Objects,
        OpenFile, //
    },
    interface::{
        layout::{
            self,
            PAGE_SIZE, //
        },
        mmap, //
    },
    mapping::{
        access::Access,
        cache::CachePolicy,
        kind::Kind,
        mappable::{
            IoMemory,
            Mappable, //
        },
        setup::Fork, //
    },
};
use kernel::{
    bindings,
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
    type Memory<'a> = IoMemory;
    const NUMBER: u8 = mmap::KIND_PUBLIC_REGISTERS;
    const NAME: &'static str = "public-registers";
    const FORK: Fork = Fork::Withheld;
    const COUNT: u32 = 1;
    const DEBUGGER: bool = false;

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

    fn memory(device: &Device<'_>, _objects: &Objects, _index: u16) -> Result<IoMemory> {
        page(device, layout::PUBLIC_PAGE, 0)
    }
}

macro_rules! queue_page {
    ($kind:ident, $number:path, $name:literal, $writable:literal, $first:path, $debugger:literal) => {
        impl Kind for $kind {
            type File = OpenFile;
            type Memory<'a> = IoMemory;
            const NUMBER: u8 = $number;
            const NAME: &'static str = $name;
            const WRITABLE: bool = $writable;
            const FORK: Fork = Fork::Withheld;
            const DEBUGGER: bool = $debugger;

            fn memory(device: &Device<'_>, objects: &Objects, index: u16) -> Result<IoMemory> {
                objects.queues.mapped(device, index)?;
                page(device, $first, index)
            }

            fn access(
                device: &Device<'_>,
                objects: &Objects,
                index: u16,
                offset: usize,
                access: Access<'_>,
            ) -> Result<usize> {
                device.check_not_lost()?;
                Self::memory(device, objects, index)?.access(offset, access)
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
    false
);
queue_page!(
    Doorbell,
    mmap::KIND_DOORBELL,
    "doorbell",
    true,
    layout::DOORBELL_PAGES,
    true
);
queue_page!(
    Status,
    mmap::KIND_STATUS,
    "status",
    false,
    layout::STATUS_PAGES,
    true
);

/// Returns page `index` of those that start at `first`.
fn page(device: &Device<'_>, first: usize, index: u16) -> Result<IoMemory> {
    Ok(IoMemory {
        range: device.register_page(first + usize::from(index) * PAGE_SIZE)?,
        policy: CachePolicy::Uncached,
    })
}

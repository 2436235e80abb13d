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
    memory::cache::CachePolicy,
    mmap::{
        access::Access,
        kind::{
            Kind,
            Span, //
        },
        setup::{
            Fork,
            Fresh,
            Populated,
            VmaSetup, //
        },
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
    const NUMBER: u8 = mmap::KIND_PUBLIC_REGISTERS;
    const NAME: &'static str = "public-registers";

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

    fn size(_device: &Device<'_>, _objects: &Objects, index: u16) -> Result<usize> {
        if index == 0 {
            Ok(PAGE_SIZE)
        } else {
            Err(ENXIO)
        }
    }

    fn populate(
        device: &Device<'_>,
        _objects: &Objects,
        _index: u16,
        _span: Span,
        setup: VmaSetup<'_, Fresh>,
    ) -> Result<Populated> {
        page(device, layout::PUBLIC_PAGE, 0, setup)
    }
}

macro_rules! queue_page {
    ($kind:ident, $number:path, $name:literal, $writable:literal, $first:path, $access:ident) => {
        impl Kind for $kind {
            type File = OpenFile;
            const NUMBER: u8 = $number;
            const NAME: &'static str = $name;
            const WRITABLE: bool = $writable;

            fn size(device: &Device<'_>, objects: &Objects, index: u16) -> Result<usize> {
                objects.queues.mapped(device, index).map(|_| PAGE_SIZE)
            }

            fn populate(
                device: &Device<'_>,
                _objects: &Objects,
                index: u16,
                _span: Span,
                setup: VmaSetup<'_, Fresh>,
            ) -> Result<Populated> {
                page(device, $first, index, setup)
            }

            fn access(
                device: &Device<'_>,
                objects: &Objects,
                index: u16,
                _offset: usize,
                access: Access<'_>,
            ) -> Result<usize> {
                objects.queues.mapped(device, index)?;
                $access(device, access)
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
    trapped
);
queue_page!(
    Doorbell,
    mmap::KIND_DOORBELL,
    "doorbell",
    true,
    layout::DOORBELL_PAGES,
    shared
);
queue_page!(
    Status,
    mmap::KIND_STATUS,
    "status",
    false,
    layout::STATUS_PAGES,
    shared
);

/// Maps page `index` of those that start at `first`.
fn page(
    device: &Device<'_>,
    first: usize,
    index: u16,
    setup: VmaSetup<'_, Fresh>,
) -> Result<Populated> {
    let range = device.register_page(first + usize::from(index) * PAGE_SIZE)?;
    setup
        .frames(Fork::Withheld, CachePolicy::Uncached)
        .io(range)
}

/// Refuses the access of a debugger: reading a trapped register may do something in the device.
fn trapped(_device: &Device<'_>, _access: Access<'_>) -> Result<usize> {
    Err(EPERM)
}

/// Carries out the access of a debugger to a page that is memory, unless the device is lost: an
/// access could take as long as QEMU waits for the server.
fn shared(device: &Device<'_>, access: Access<'_>) -> Result<usize> {
    if device.registers().is_lost() {
        return Err(EIO);
    }
    access.io()
}

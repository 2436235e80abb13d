// SPDX-License-Identifier: GPL-2.0-only

//! Memory of the kernel that a file owns and processes map, without the device.

use crate::{
    device::{
        limits::{
            Amount,
            Charge, //
        },
        owner::Owner, //
    },
    interface::{
        ioctl,
        mmap, //
    },
    mapping::{
        cache::CachePolicy,
        memory::{
            Contiguous,
            Scattered, //
        },
    },
};
use kernel::prelude::*;

/// Memory of the kernel that an open file owns.
pub(super) struct KernelMemory {
    pages: Pages,
    _charge: Charge,
}

enum Pages {
    Contiguous(Contiguous),
    Scattered(Scattered),
}

impl KernelMemory {
    /// Makes the memory that a call asks for, which has this number, and fills in the answer.
    ///
    /// # Errors
    ///
    /// `EINVAL` for an unknown kind, or one that cannot have the policy; `ENOSPC` over a limit;
    /// `ENOMEM`.
    pub(super) fn create(
        owner: &Owner,
        number: u16,
        size: usize,
        policy: CachePolicy,
        create: &mut ioctl::CreateMemory,
    ) -> Result<Self> {
        let charge = owner.charge(Amount {
            buffers: 1,
            bytes: size as u64,
            ..Amount::default()
        })?;
        let (pages, kind) = match create.kind {
            ioctl::MEMORY_CONTIGUOUS => {
                let pages = Pages::Contiguous(Contiguous::new(size, policy)?);
                (pages, mmap::KIND_CONTIGUOUS)
            }
            // The kernel uses pages of vmalloc by its own mapping, which is cached.
            ioctl::MEMORY_VMALLOC if policy == CachePolicy::Cached => {
                (Pages::Scattered(Scattered::new(size)?), mmap::KIND_VMALLOC)
            }
            _ => return Err(EINVAL),
        };
        create.size = size as u64;
        create.offset = mmap::encode(kind, number);
        Ok(Self {
            pages,
            _charge: charge,
        })
    }

    /// Returns the memory, if it is contiguous.
    pub(super) fn contiguous(&self) -> Option<&Contiguous> {
        match &self.pages {
            Pages::Contiguous(memory) => Some(memory),
            Pages::Scattered(_) => None,
        }
    }

    /// Returns the memory, if it is of vmalloc.
    pub(super) fn scattered(&self) -> Option<&Scattered> {
        match &self.pages {
            Pages::Contiguous(_) => None,
            Pages::Scattered(memory) => Some(memory),
        }
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! An access of a region, and the rules that it must keep.

use crate::device::{Device, Region};
use crate::refusal::Refusal;
use crate::session::find;
use crate::wire::{to_usize, Builder, MAX_TRANSFER};

/// A read or write of a region.
#[derive(Clone, Copy)]
pub(crate) struct Access {
    /// First byte in the region.
    pub(crate) offset: u64,
    /// Index of the region.
    pub(crate) region: u32,
    /// Number of bytes.
    pub(crate) count: u32,
}

impl Access {
    /// Fails if the access is too long, leaves its region, or is not allowed there.
    pub(crate) fn check<D: Device>(
        self,
        device: &D,
        allowed: impl Fn(&Region<D::Fd>) -> bool,
    ) -> Result<(), Refusal> {
        if to_usize(self.count) > MAX_TRANSFER {
            return Err(Refusal::Transfer {
                count: self.count,
                limit: MAX_TRANSFER,
            });
        }
        let region = region(device, self.region)?;
        if !region.holds(self.offset, self.count.into()) {
            return Err(Refusal::OutsideRegion {
                region: self.region,
                offset: self.offset,
                count: self.count,
                size: region.size,
            });
        }
        if !allowed(region) {
            return Err(Refusal::Permission(self.region));
        }
        Ok(())
    }

    /// Copies the fields into the reply, unchanged.
    pub(crate) fn echo(self, outgoing: &mut Builder) -> &mut Builder {
        outgoing.u64(self.offset).u32(self.region).u32(self.count)
    }
}

/// Returns the region with this index. Fails if the device has none.
pub(crate) fn region<D: Device>(device: &D, index: u32) -> Result<&Region<D::Fd>, Refusal> {
    let regions = device.regions();
    find(regions, index).ok_or(Refusal::Region {
        index,
        count: regions.len(),
    })
}

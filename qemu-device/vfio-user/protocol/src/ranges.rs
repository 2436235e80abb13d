// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The mapped DMA addresses, by the rules of the kernel's type 1 version 2.

use std::collections::BTreeMap;

use rustix::io::Errno;

use crate::device::DmaRange;
use crate::wire::MAX_DMA_MAPS;

/// Ranges that do not overlap, at most [`MAX_DMA_MAPS`], each with a value of the device.
///
/// It is the only list of mappings: the device keeps it, and the session keeps none.
///
/// ```
/// use ringbar_vfio_user::device::DmaRange;
/// use ringbar_vfio_user::ranges::Ranges;
///
/// let page = |number: u64| DmaRange::new(number * 4096, 4096).unwrap();
/// let mut ranges = Ranges::default();
/// ranges.insert(page(1), "one").unwrap();
/// ranges.insert(page(2), "two").unwrap();
///
/// assert!(ranges.insert(page(2), "again").is_err());
/// assert_eq!(ranges.find(0x1fff), Some((page(1), &"one")));
/// assert!(!ranges.is_empty());
/// assert_eq!(ranges.remove(DmaRange::ALL).unwrap().len(), 2);
/// assert!(ranges.is_empty());
/// ```
#[derive(Clone, Debug)]
pub struct Ranges<T> {
    /// Last address and value, by first address.
    by_first: BTreeMap<u64, (u64, T)>,
}

/// Reason for which a range is not mapped or not unmapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RangeFault {
    /// The range is mapped already, in part at least.
    #[error("DMA addresses {range} overlap the mapping {other}: unmap it first")]
    Overlap {
        /// Range to map.
        range: DmaRange,
        /// The mapping that is there.
        other: DmaRange,
    },
    /// There are too many mappings.
    #[error(
        "DMA addresses {range} are not mapped: {MAX_DMA_MAPS} mappings are the limit, and behind an \
         IOMMU each page can be one: unmap some first"
    )]
    Count {
        /// Range to map.
        range: DmaRange,
    },
    /// A mapping would be cut.
    #[error("unmapping DMA addresses {range} would split the mapping {other}")]
    Split {
        /// Range to unmap.
        range: DmaRange,
        /// The mapping.
        other: DmaRange,
    },
}

impl RangeFault {
    /// Returns the error number for the client.
    pub fn errno(self) -> Errno {
        match self {
            Self::Overlap { .. } => Errno::EXIST,
            Self::Count { .. } => Errno::NOSPC,
            Self::Split { .. } => Errno::INVAL,
        }
    }
}

impl<T> Default for Ranges<T> {
    fn default() -> Self {
        Self {
            by_first: BTreeMap::new(),
        }
    }
}

impl<T> Ranges<T> {
    /// Fails if `range` overlaps another, or if there are too many ranges.
    pub fn check_new(&self, range: DmaRange) -> Result<(), RangeFault> {
        // Two mappings of an address would make it ambiguous which memory the device reaches.
        // Ranges do not overlap each other. So the last one that begins at or before the end is the
        // only candidate.
        if let Some((other, _)) = self.up_to(range.last)
            && other.last >= range.first
        {
            return Err(RangeFault::Overlap { range, other });
        }
        // A client must not make the server allocate without bound.
        if self.len() >= MAX_DMA_MAPS {
            return Err(RangeFault::Count { range });
        }
        Ok(())
    }

    /// Adds a range.
    ///
    /// # Errors
    ///
    /// Fails if the range overlaps another, or if there are too many ranges.
    pub fn insert(&mut self, range: DmaRange, value: T) -> Result<(), RangeFault> {
        self.check_new(range)?;
        self.by_first.insert(range.first, (range.last, value));
        Ok(())
    }

    /// Fails if a range lies in `range` in part but not wholly: a mapping is unmapped as a whole or
    /// not at all.
    pub fn check_whole(&self, range: DmaRange) -> Result<(), RangeFault> {
        // Only the first and the last range can be cut. All others lie between the two.
        let before = range.first.checked_sub(1).and_then(|end| self.up_to(end));
        for (other, _) in before.into_iter().chain(self.up_to(range.last)) {
            let outside = other.first < range.first || other.last > range.last;
            if other.last >= range.first && outside {
                return Err(RangeFault::Split { range, other });
            }
        }
        Ok(())
    }

    /// Removes every range that lies in `range`. Returns their values.
    ///
    /// # Errors
    ///
    /// Fails if a range would be cut. None is removed then.
    pub fn remove(&mut self, range: DmaRange) -> Result<Vec<T>, RangeFault> {
        self.check_whole(range)?;
        let mut removed = Vec::new();
        // From the end, as the look-up there also takes a range whose end comes before its start.
        while let Some((found, _)) = self.up_to(range.last)
            && found.first >= range.first
        {
            removed.extend(self.by_first.remove(&found.first).map(|(_, value)| value));
        }
        Ok(removed)
    }

    /// Returns the range that holds `address`, and its value.
    pub fn find(&self, address: u64) -> Option<(DmaRange, &T)> {
        self.up_to(address)
            .filter(|(found, _)| found.last >= address)
    }

    /// Returns all ranges with their values, by address.
    pub fn iter(&self) -> impl Iterator<Item = (DmaRange, &T)> {
        self.by_first
            .iter()
            .map(|(&first, (last, value))| (DmaRange { first, last: *last }, value))
    }

    /// Returns the number of ranges.
    pub fn len(&self) -> usize {
        self.by_first.len()
    }

    /// Checks whether no range is mapped.
    pub fn is_empty(&self) -> bool {
        self.by_first.is_empty()
    }

    /// Returns the last range that begins at or before `address`.
    fn up_to(&self, address: u64) -> Option<(DmaRange, &T)> {
        let (&first, (last, value)) = self.by_first.range(..=address).next_back()?;
        Some((DmaRange { first, last: *last }, value))
    }
}

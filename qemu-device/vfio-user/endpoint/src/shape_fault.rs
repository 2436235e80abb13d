// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The rules for a shape. A shape that breaks one would write into registers of configuration space
//! that are no BARs, or describe interrupts that no client can connect.

use ringbar_vfio_user::wire::PAGE_SIZE;
use vfio_bindings::bindings::vfio::VFIO_PCI_BAR5_REGION_INDEX;

use crate::config_space::{Messages, MSI_VECTORS};
use crate::shape::{Backing, BarShape, Shape};

/// Number of the last BAR.
const LAST_BAR: u32 = VFIO_PCI_BAR5_REGION_INDEX;
/// Smallest size of a BAR for memory (PCI Local Bus Specification 3.0, 6.2.5.1).
const SMALLEST: u64 = 16;
/// Largest size of a BAR of 32 bits.
const LARGEST_NARROW: u64 = 1 << 31;
/// Most vectors of MSI-X.
const MSIX_VECTORS: u16 = 2048;
/// Size of an entry of the MSI-X table in bytes.
const TABLE_ENTRY: u64 = 16;
/// Pending bits per 8 bytes.
const PENDING_BITS: u16 = 64;

/// Rule that a [`Shape`] breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShapeFault {
    /// There is no BAR with this number.
    #[error("BAR {index}: the last one is {last}, and one of 64 bits takes two numbers")]
    Index {
        /// Number of the BAR.
        index: u32,
        /// Last number that it may have.
        last: u32,
    },
    /// Two BARs have the number, or it is the second half of a BAR of 64 bits.
    #[error("BAR {0} is there twice, or is the upper half of another one")]
    Taken(u32),
    /// The size is no power of two, or out of range.
    #[error("BAR {index} has {size:#x} bytes: use a power of two from {SMALLEST} to {most:#x}")]
    Size {
        /// Number of the BAR.
        index: u32,
        /// Size in bytes.
        size: u64,
        /// Largest size of this BAR.
        most: u64,
    },
    /// A part that the client maps leaves its BAR.
    #[error(
        "BAR {index} has {size:#x} bytes, and its part from {offset:#x} to {end:#x} leaves it"
    )]
    Area {
        /// Number of the BAR.
        index: u32,
        /// Size of the BAR in bytes.
        size: u64,
        /// First byte of the part.
        offset: u64,
        /// End of the part.
        end: u64,
    },
    /// A part is not of whole pages, so no client can map it.
    #[error(
        "BAR {index}: its part of {size:#x} bytes at {offset:#x} is not of whole pages of {PAGE_SIZE:#x}"
    )]
    Pages {
        /// Number of the BAR.
        index: u32,
        /// First byte of the part.
        offset: u64,
        /// Size of the part in bytes.
        size: u64,
    },
    /// The number of vectors is out of range.
    #[error("{vectors} vectors: use 1 to {most}")]
    Vectors {
        /// Number of vectors.
        vectors: u16,
        /// Most vectors of this kind.
        most: u16,
    },
    /// The BAR of MSI-X is not there, or is not one for it.
    #[error("MSI-X is in BAR {0}: add a BAR with that number and Backing::Messages")]
    MessagesBar(u32),
    /// Table or pending bits are not aligned to 8, leave their BAR, or overlap.
    #[error(
        "MSI-X needs {table_size} bytes at {table:#x} and {pending_size} at {pending:#x}, \
         apart from each other and in multiples of 8, in a BAR of {size:#x} bytes"
    )]
    MessagesPlace {
        /// Offset of the table.
        table: u32,
        /// Size of the table in bytes.
        table_size: u64,
        /// Offset of the pending bits.
        pending: u32,
        /// Size of the pending bits in bytes.
        pending_size: u64,
        /// Size of the BAR in bytes.
        size: u64,
    },
}

/// Checks a shape.
///
/// # Errors
///
/// The first rule that it breaks.
pub(crate) fn check(shape: &Shape) -> Result<(), ShapeFault> {
    let mut taken = [false; LAST_BAR as usize + 1];
    for bar in &shape.bars {
        check_bar(bar)?;
        for index in bar.index..=bar.index + u32::from(bar.backing.is_wide()) {
            if std::mem::replace(&mut taken[index as usize], true) {
                return Err(ShapeFault::Taken(index));
            }
        }
    }
    match shape.messages {
        Messages::Msi { vectors } => check_vectors(vectors, MSI_VECTORS),
        Messages::MsiX {
            vectors,
            bar,
            table,
            pending,
        } => {
            check_vectors(vectors, MSIX_VECTORS)?;
            let Some(Backing::Messages(size)) = shape.backing(bar) else {
                return Err(ShapeFault::MessagesBar(bar));
            };
            check_messages(vectors, *size, table, pending)
        }
    }
}

fn check_bar(bar: &BarShape) -> Result<(), ShapeFault> {
    let (index, size) = (bar.index, bar.backing.size());
    let (last, most) = match bar.backing.is_wide() {
        true => (LAST_BAR - 1, 1 << 63),
        false => (LAST_BAR, LARGEST_NARROW),
    };
    if index > last {
        return Err(ShapeFault::Index { index, last });
    }
    if !size.is_power_of_two() || !(SMALLEST..=most).contains(&size) {
        return Err(ShapeFault::Size { index, size, most });
    }
    let Backing::Parts(_, areas) = &bar.backing else {
        return Ok(());
    };
    for area in areas {
        let (offset, end) = (area.offset, area.offset.saturating_add(area.size));
        if end > size {
            return Err(ShapeFault::Area {
                index,
                size,
                offset,
                end,
            });
        }
        let size = area.size;
        if size == 0 || !(offset | size).is_multiple_of(PAGE_SIZE) {
            return Err(ShapeFault::Pages {
                index,
                offset,
                size,
            });
        }
    }
    Ok(())
}

fn check_vectors(vectors: u16, most: u16) -> Result<(), ShapeFault> {
    match (1..=most).contains(&vectors) {
        true => Ok(()),
        false => Err(ShapeFault::Vectors { vectors, most }),
    }
}

/// Checks the places of table and pending bits of MSI-X in a BAR of `size` bytes.
fn check_messages(vectors: u16, size: u64, table: u32, pending: u32) -> Result<(), ShapeFault> {
    let table_size = u64::from(vectors) * TABLE_ENTRY;
    let pending_size = u64::from(vectors.div_ceil(PENDING_BITS)) * 8;
    let place = |offset: u32, size: u64| u64::from(offset)..u64::from(offset) + size;
    let (entries, bits) = (place(table, table_size), place(pending, pending_size));
    let apart = entries.end <= bits.start || bits.end <= entries.start;
    let inside = entries.end <= size && bits.end <= size;
    if apart && inside && table.is_multiple_of(8) && pending.is_multiple_of(8) {
        return Ok(());
    }
    Err(ShapeFault::MessagesPlace {
        table,
        table_size,
        pending,
        pending_size,
        size,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config_space::Identity;
    use crate::memory::SharedMemory;
    use ringbar_vfio_user::device::Area;
    use std::sync::Arc;

    const MSIX: Messages = Messages::MsiX {
        vectors: 65,
        bar: 4,
        table: 0,
        pending: 0x800,
    };

    fn memory(size: usize) -> Arc<SharedMemory> {
        Arc::new(SharedMemory::new("test", size).expect("there is memory"))
    }

    /// Checks a shape with these BARs and a BAR for MSI-X.
    fn checked(bars: Vec<(u32, Backing)>, messages: Messages) -> Result<(), ShapeFault> {
        let more = [(4, Backing::Messages(0x1000))];
        let bars = bars.into_iter().chain(more);
        check(&Shape {
            identity: Identity {
                vendor: 0x1af4,
                device: 0x10f1,
                class: 0x12_0000,
                revision: 0,
            },
            bars: bars
                .map(|(index, backing)| BarShape { index, backing })
                .collect(),
            messages,
        })
    }

    fn text(bars: Vec<(u32, Backing)>, messages: Messages) -> String {
        checked(bars, messages).expect_err("a fault").to_string()
    }

    #[test]
    fn shape_with_each_backing_is_accepted() {
        let area = Area {
            offset: 0x1000,
            size: 0x1000,
        };
        let bars = vec![
            (0, Backing::Parts(memory(0x2000), vec![area])),
            (1, Backing::Trapped(16)),
            (2, Backing::Memory(memory(0x1000))),
            (5, Backing::Trapped(1 << 31)),
        ];
        assert_eq!(checked(bars, MSIX), Ok(()));
    }

    #[test]
    fn bar_that_no_function_has_is_refused() {
        assert_eq!(
            text(vec![(6, Backing::Trapped(16))], MSIX),
            "BAR 6: the last one is 5, and one of 64 bits takes two numbers"
        );
        assert_eq!(
            text(vec![(5, Backing::Memory(memory(0x1000)))], MSIX),
            "BAR 5: the last one is 4, and one of 64 bits takes two numbers"
        );
        let last = u32::MAX;
        assert!(checked(vec![(last, Backing::Trapped(16))], MSIX).is_err());
    }

    #[test]
    fn upper_half_of_a_bar_cannot_be_another_bar() {
        for upper in [2, 3] {
            let bars = vec![
                (2, Backing::Memory(memory(0x1000))),
                (upper, Backing::Trapped(16)),
            ];
            assert_eq!(checked(bars, MSIX), Err(ShapeFault::Taken(upper)));
        }
    }

    #[test]
    fn size_is_a_power_of_two_within_the_limits() {
        for size in [0, 8, 24, 1 << 32] {
            let fault = checked(vec![(0, Backing::Trapped(size))], MSIX);
            let most = 1 << 31;
            let index = 0;
            assert_eq!(fault, Err(ShapeFault::Size { index, size, most }));
        }
    }

    #[test]
    fn part_that_leaves_its_bar_is_refused() {
        for (offset, size) in [(0x1000, 0x1001), (0x2000, 1), (1, u64::MAX)] {
            let parts = Backing::Parts(memory(0x2000), vec![Area { offset, size }]);
            assert!(matches!(
                checked(vec![(0, parts)], MSIX),
                Err(ShapeFault::Area { .. })
            ));
        }
    }

    #[test]
    fn part_that_no_client_can_map_is_refused() {
        for (offset, size) in [(0, 0), (0x800, 0x800), (0, 0x800)] {
            let parts = Backing::Parts(memory(0x2000), vec![Area { offset, size }]);
            assert_eq!(
                checked(vec![(0, parts)], MSIX),
                Err(ShapeFault::Pages {
                    index: 0,
                    offset,
                    size
                })
            );
        }
    }

    #[test]
    fn vectors_are_within_the_limits_of_their_kind() {
        for vectors in [0, 33] {
            let messages = Messages::Msi { vectors };
            let most = 32;
            let fault = checked(vec![], messages);
            assert_eq!(fault, Err(ShapeFault::Vectors { vectors, most }));
        }
        assert_eq!(checked(vec![], Messages::Msi { vectors: 3 }), Ok(()));
    }

    #[test]
    fn table_and_pending_bits_are_apart_in_a_bar_for_them() {
        let place = |bar, table, pending| Messages::MsiX {
            vectors: 65,
            bar,
            table,
            pending,
        };
        assert_eq!(
            text(vec![], place(3, 0, 0x800)),
            "MSI-X is in BAR 3: add a BAR with that number and Backing::Messages"
        );
        assert_eq!(
            text(vec![], place(4, 0, 0x408)),
            "MSI-X needs 1040 bytes at 0x0 and 16 at 0x408, apart from each other and in \
             multiples of 8, in a BAR of 0x1000 bytes"
        );
        for (table, pending) in [(0xc00, 0), (0, 0xff8), (4, 0x800), (0, 0x804)] {
            assert!(checked(vec![], place(4, table, pending)).is_err());
        }
        assert_eq!(checked(vec![], place(4, 0x10, 0)), Ok(()));
    }
}

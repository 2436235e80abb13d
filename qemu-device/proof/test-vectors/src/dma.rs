// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Cases of an IOMMU: addresses that were never mapped, are mapped no more, or not in that
//! direction. For paths that decide themselves which memory the device reaches.
//!
//! The device either carries a descriptor out as a whole, or its status names the fault and nothing
//! was written. The error log has the address that could not be reached (data sheet 8 and 9).

use crate::scene::{Backing, Part, Rights};
use crate::{Path, Row, BATCH};
use fastrand::Rng;
use ringbar_spec::error::ErrorCode;
use ringbar_spec::ring::{Completion, Descriptor, Opcode, Status};
use std::ops::Range;

/// A path that maps memory for the device.
pub trait DmaPath: Path {
    /// Returns the size of the pages that it maps, at most 16 KiB.
    fn page_size(&self) -> usize;

    /// Lets the device reach a part of a memory at an address; whole pages. Fails if something is
    /// mapped there already.
    fn map(&mut self, address: u64, part: &Part, rights: Rights) -> Result<(), Self::Error>;

    /// Unmaps a range, which begins and ends with a mapping.
    fn unmap(&mut self, address: u64, size: usize) -> Result<(), Self::Error>;

    /// Opens a window that shows every address up to `limit`, so that offsets in it are addresses.
    fn window_of_addresses(&mut self, limit: u64) -> Result<u16, Self::Error>;

    /// Submits descriptors and does not wait.
    fn submit(&mut self, descriptors: &[Descriptor]) -> Result<(), Self::Error>;

    /// Waits for `count` completions. Returns them.
    fn finish(&mut self, count: usize) -> Result<Vec<Completion>, Self::Error>;

    /// Returns the errors in the device's log, at most 16, the oldest first. Empties the log.
    fn errors(&mut self) -> Result<Vec<(ErrorCode, u64)>, Self::Error>;
}

/// Pages of a memory that cases map.
const PAGES: usize = 64;
/// End of the addresses that windows show.
const LIMIT: u64 = 1 << 39;
/// Number of descriptors to random addresses.
const RANDOM: usize = 10_000;
/// Entries of the error log (data sheet 9), so as many descriptors are run together.
const LOG: usize = 16;
/// Number of such batches between two looks at the memories.
const LOOK: usize = 25;
/// Number of times that memory is taken away from a copy.
const ROUNDS: usize = 20;

/// Ground of a case: two memories, of which nothing is mapped at [`Pages::address`].
struct Ground<'a, P> {
    path: &'a mut P,
    pages: Pages,
    /// Index of the memory that is mapped.
    memory: usize,
    /// Bytes that it must hold.
    image: Vec<u8>,
    /// Window of all addresses.
    addresses: u16,
    /// Window on a memory of the path's own, the memory's index, and the bytes that it must hold.
    own: u16,
    own_memory: usize,
    own_image: Vec<u8>,
}

/// The pages that the path maps, by their size.
#[derive(Clone, Copy)]
struct Pages(usize);

impl Pages {
    /// Returns the size of so many pages.
    fn bytes(self, count: usize) -> usize {
        count * self.0
    }

    /// Returns the address at which cases map the memory: far from the path's own mappings, and within
    /// 39 bits. It is not round. A store of ranges by their low bits would otherwise replace these ranges
    /// by those of the rings, and hide that it keeps stale ones.
    fn address(self) -> u64 {
        0x20_0000_0000 + self.bytes(0x23) as u64
    }

    /// Returns the range of a page of the mapped memory.
    fn nth(self, number: usize) -> Range<usize> {
        self.bytes(number)..self.bytes(number + 1)
    }
}

type Outcome = Result<(), String>;
type Case<P> = fn(&mut Ground<'_, P>) -> Outcome;

/// Names of the cases, in the order of [`cases`].
const NAMES: [&str; 12] = [
    "iommu_address_never_mapped",
    "iommu_address_just_unmapped",
    "iommu_address_mapped_twice",
    "iommu_mapped_read_only",
    "iommu_mapped_write_only",
    "iommu_two_mappings_with_a_hole",
    "iommu_two_mappings_side_by_side",
    "iommu_only_the_first_page_is_mapped",
    "iommu_one_unmap_of_many_mappings",
    "iommu_address_shows_other_memory_meanwhile",
    "iommu_unmapped_while_operations_run",
    "iommu_random_addresses",
];

/// Returns the cases.
fn cases<P: DmaPath>() -> [Case<P>; NAMES.len()] {
    [
        never_mapped,
        just_unmapped,
        mapped_twice,
        read_only,
        write_only,
        hole,
        side_by_side,
        first_page_only,
        one_large_unmap,
        remapped,
        unmapped_meanwhile,
        random_addresses,
    ]
}

/// Returns the rows of a path on which every case passes.
pub fn expected() -> Vec<Row> {
    NAMES.map(passed).into()
}

/// Returns the row of a case that passes.
fn passed(name: &str) -> Row {
    Row {
        name: name.into(),
        ends: "as-required".into(),
        digest: 0,
        difference: None,
    }
}

/// Runs all cases on a new path. Reports one row per case, as soon as it is done.
///
/// # Errors
///
/// Fails if the path fails. A case that does not pass is a difference in its row.
pub fn run<P: DmaPath>(path: &mut P, seed: u64, mut report: impl FnMut(Row)) -> Outcome {
    let failed = |error: P::Error| error.to_string();
    let pages = Pages(path.page_size());
    let size = pages.bytes(PAGES);
    path.memory(Backing::Guest, size).map_err(failed)?;
    path.memory(Backing::Guest, size).map_err(failed)?;
    let own = [Part {
        memory: 1,
        range: 0..size,
    }];
    let mut ground = Ground {
        addresses: path.window_of_addresses(LIMIT).map_err(failed)?,
        own: path.window(&own, Rights::ReadWrite).map_err(failed)?,
        path,
        pages,
        memory: 0,
        own_memory: 1,
        image: Vec::new(),
        own_image: Vec::new(),
    };
    let mut random = Rng::with_seed(seed);
    for (name, case) in NAMES.into_iter().zip(cases()) {
        let mut bytes = || (0..size).map(|_| random.u8(..)).collect();
        (ground.image, ground.own_image) = (bytes(), bytes());
        ground.path.write(ground.memory, 0, &ground.image);
        ground.path.write(ground.own_memory, 0, &ground.own_image);
        // Empties the log, so that each case finds its own errors only.
        ground.path.errors().map_err(failed)?;
        let outcome = case(&mut ground).and_then(|()| ground.look());
        let row = passed(name);
        report(match outcome {
            Ok(()) => row,
            Err(difference) => Row {
                ends: "DIFFERS".into(),
                difference: Some(difference),
                ..row
            },
        });
    }
    Ok(())
}

impl<P: DmaPath> Ground<'_, P> {
    /// Maps a range of the memory at an address.
    fn map(&mut self, address: u64, range: Range<usize>, rights: Rights) -> Outcome {
        let memory = self.memory;
        let mapped = self.path.map(address, &Part { memory, range }, rights);
        mapped.map_err(|error| format!("cannot map {address:#x}: {error}"))
    }

    /// Unmaps a range.
    fn unmap(&mut self, address: u64, size: usize) -> Outcome {
        let unmapped = self.path.unmap(address, size);
        unmapped.map_err(|error| format!("cannot unmap {address:#x}: {error}"))
    }

    /// Makes a FILL at an address.
    fn fill(&self, address: u64, length: usize, byte: u8) -> Descriptor {
        Descriptor {
            opcode: Opcode::FILL.0,
            length: length as u32,
            destination_window: self.addresses,
            destination_offset: address,
            operand: u64::from_ne_bytes([byte; 8]),
            ..Descriptor::default()
        }
    }

    /// Makes a COPY from an address to the start of the path's own memory.
    fn fetch(&self, address: u64, length: usize) -> Descriptor {
        Descriptor {
            opcode: Opcode::COPY.0,
            length: length as u32,
            source_window: self.addresses,
            source_offset: address,
            destination_window: self.own,
            ..Descriptor::default()
        }
    }

    /// Carries out descriptors. Returns their statuses.
    fn run(&mut self, descriptors: &[Descriptor]) -> Result<Vec<Status>, String> {
        let done = self.path.run(descriptors);
        let done = done.map_err(|error| error.to_string())?;
        Ok(done.iter().map(|it| Status(it.status)).collect())
    }

    /// Carries out a descriptor. Fails unless it ends with OK.
    fn works(&mut self, descriptor: Descriptor) -> Outcome {
        match self.run(&[descriptor])?[..] {
            [Status::OK] => Ok(()),
            ref ended => Err(format!("ended {ended:?}, not OK: {descriptor:?}")),
        }
    }

    /// Carries out a descriptor. Fails unless it ends with a fault that is logged with this address
    /// (data sheet 8).
    fn faults(&mut self, descriptor: Descriptor, address: u64) -> Outcome {
        let ended = self.run(&[descriptor])?;
        if ended != [Status::DMA_FAULT] {
            return Err(format!("ended {ended:?}, not DMA_FAULT: {descriptor:?}"));
        }
        self.logged(&[address])?;
        self.look()
    }

    /// Fails unless the log has faults at exactly these addresses.
    fn logged(&mut self, addresses: &[u64]) -> Outcome {
        let errors = self.path.errors().map_err(|error| error.to_string())?;
        let must: Vec<_> = addresses
            .iter()
            .map(|address| (ErrorCode::MEMORY_FAULT, *address))
            .collect();
        if errors == must {
            Ok(())
        } else {
            Err(format!("the log has {errors:x?}, not {must:x?}"))
        }
    }

    /// Fails unless both memories hold the right bytes.
    fn look(&mut self) -> Outcome {
        for (memory, image) in [
            (self.memory, &self.image),
            (self.own_memory, &self.own_image),
        ] {
            let mut seen = vec![0; image.len()];
            self.path.read(memory, 0, &mut seen);
            if let Some(at) = seen.iter().zip(image).position(|(is, must)| is != must) {
                return Err(format!(
                    "byte {at:#x} of memory {memory} is {:#04x}, not {:#04x}",
                    seen[at], image[at]
                ));
            }
        }
        Ok(())
    }
}

/// Checks that an address that was never mapped is not reached.
fn never_mapped<P: DmaPath>(ground: &mut Ground<'_, P>) -> Outcome {
    let (pages, at) = (ground.pages, ground.pages.address());
    for length in [1, pages.bytes(1), pages.bytes(40)] {
        ground.faults(ground.fill(at + 3, length, 1), at + 3)?;
        ground.faults(ground.fetch(at + 3, length), at + 3)?;
    }
    Ok(())
}

/// Checks that an unmapped address is not reached, though it was just before.
fn just_unmapped<P: DmaPath>(ground: &mut Ground<'_, P>) -> Outcome {
    let (pages, at) = (ground.pages, ground.pages.address());
    ground.map(at, pages.nth(7), Rights::ReadWrite)?;
    ground.works(ground.fill(at, pages.bytes(1), 1))?;
    ground.image[pages.nth(7)].fill(1);
    ground.look()?;
    ground.unmap(at, pages.bytes(1))?;
    ground.faults(ground.fill(at, pages.bytes(1), 2), at)?;
    ground.faults(ground.fetch(at + 5, 1), at + 5)
}

/// Checks that a mapped address cannot be mapped again.
fn mapped_twice<P: DmaPath>(ground: &mut Ground<'_, P>) -> Outcome {
    let (pages, at) = (ground.pages, ground.pages.address());
    ground.map(at, pages.bytes(2)..pages.bytes(4), Rights::ReadWrite)?;
    for (address, range) in [
        (at, pages.nth(7)),
        (at + pages.bytes(1) as u64, pages.nth(8)),
    ] {
        if ground.map(address, range, Rights::ReadWrite).is_ok() {
            return Err(format!("{address:#x} is mapped a second time"));
        }
    }
    ground.works(ground.fill(at, pages.bytes(2), 1))?;
    ground.image[pages.bytes(2)..pages.bytes(4)].fill(1);
    ground.look()?;
    ground.unmap(at, pages.bytes(2))
}

/// Checks that memory that is mapped for reading is not written.
fn read_only<P: DmaPath>(ground: &mut Ground<'_, P>) -> Outcome {
    let (pages, at) = (ground.pages, ground.pages.address());
    let size = pages.bytes(40);
    ground.map(at, 0..size, Rights::Read)?;
    for length in [1, size] {
        ground.works(ground.fetch(at, length))?;
        ground.own_image[..length].copy_from_slice(&ground.image[..length]);
        ground.look()?;
        ground.faults(ground.fill(at, length, 1), at)?;
    }
    ground.unmap(at, size)
}

/// Checks that memory that is mapped for writing is written. Reading is not checked: QEMU has no
/// way to forbid it.
fn write_only<P: DmaPath>(ground: &mut Ground<'_, P>) -> Outcome {
    let (pages, at) = (ground.pages, ground.pages.address());
    let size = pages.bytes(40);
    ground.map(at, 0..size, Rights::Write)?;
    for (length, byte) in [(1, 1), (size, 2)] {
        ground.works(ground.fill(at, length, byte))?;
        ground.image[..length].fill(byte);
        ground.look()?;
    }
    ground.unmap(at, size)
}

/// Checks that an operation over a hole between two mappings writes nothing.
fn hole<P: DmaPath>(ground: &mut Ground<'_, P>) -> Outcome {
    let (pages, at) = (ground.pages, ground.pages.address());
    let after = at + pages.bytes(2) as u64;
    ground.map(at, pages.nth(1), Rights::ReadWrite)?;
    ground.map(after, pages.nth(2), Rights::ReadWrite)?;
    let missing = at + pages.bytes(1) as u64;
    ground.faults(ground.fill(at, pages.bytes(3), 1), missing)?;
    ground.faults(ground.fetch(at, pages.bytes(3)), missing)?;
    ground.faults(ground.fill(at + 1, pages.bytes(1) + 1, 1), missing)?;
    ground.faults(ground.fill(after - 1, 2, 1), after - 1)?;
    ground.unmap(at, pages.bytes(1))?;
    ground.unmap(after, pages.bytes(1))?;
    // Behind the first step of the device: all memory is found reachable before the first byte is
    // written (data sheet 8).
    let (first, size) = (pages.bytes(40), pages.bytes(PAGES));
    let after = at + (first + pages.bytes(1)) as u64;
    ground.map(at, 0..first, Rights::ReadWrite)?;
    ground.map(after, first + pages.bytes(1)..size, Rights::ReadWrite)?;
    ground.faults(ground.fill(at, size, 1), at + first as u64)?;
    ground.faults(ground.fetch(at, size), at + first as u64)?;
    ground.unmap(at, first)?;
    ground.unmap(after, size - first - pages.bytes(1))
}

/// Checks an operation over two neighbouring mappings of different memory.
fn side_by_side<P: DmaPath>(ground: &mut Ground<'_, P>) -> Outcome {
    let (pages, at) = (ground.pages, ground.pages.address());
    let second = at + pages.bytes(1) as u64;
    ground.map(at, pages.nth(9), Rights::ReadWrite)?;
    ground.map(second, pages.nth(4), Rights::ReadWrite)?;
    ground.works(ground.fill(second - 3, 8, 5))?;
    ground.image[pages.nth(9)][pages.bytes(1) - 3..].fill(5);
    ground.image[pages.nth(4)][..5].fill(5);
    ground.look()?;
    ground.unmap(at, pages.bytes(2))
}

/// Checks that an operation does not go on behind the end of a mapping.
fn first_page_only<P: DmaPath>(ground: &mut Ground<'_, P>) -> Outcome {
    let (pages, at) = (ground.pages, ground.pages.address());
    let end = at + pages.bytes(1) as u64;
    ground.map(at, pages.nth(0), Rights::ReadWrite)?;
    ground.works(ground.fill(end - 8, 8, 3))?;
    ground.image[pages.bytes(1) - 8..pages.bytes(1)].fill(3);
    ground.faults(ground.fill(end - 8, 9, 4), end)?;
    ground.faults(ground.fetch(end - 1, 2), end)?;
    ground.faults(ground.fill(at, pages.bytes(40), 4), end)?;
    ground.unmap(at, pages.bytes(1))
}

/// Checks that one unmap removes many mappings.
fn one_large_unmap<P: DmaPath>(ground: &mut Ground<'_, P>) -> Outcome {
    let (pages, at) = (ground.pages, ground.pages.address());
    // Backwards, so that no two of them can be merged.
    for number in 0..PAGES {
        let address = at + pages.bytes(number) as u64;
        ground.map(address, pages.nth(PAGES - 1 - number), Rights::ReadWrite)?;
    }
    ground.works(ground.fill(at, pages.bytes(PAGES), 6))?;
    ground.image.fill(6);
    ground.look()?;
    ground.unmap(at, pages.bytes(PAGES))?;
    for number in 0..PAGES {
        let address = at + pages.bytes(number) as u64;
        ground.faults(ground.fill(address, 1, 7), address)?;
    }
    Ok(())
}

/// Checks that an address shows the memory that was mapped last.
fn remapped<P: DmaPath>(ground: &mut Ground<'_, P>) -> Outcome {
    let (pages, at) = (ground.pages, ground.pages.address());
    for (number, byte) in [(3, 1), (5, 2), (3, 4)] {
        ground.map(at, pages.nth(number), Rights::ReadWrite)?;
        ground.works(ground.fill(at, pages.bytes(1), byte))?;
        ground.image[pages.nth(number)].fill(byte);
        ground.look()?;
        ground.unmap(at, pages.bytes(1))?;
    }
    Ok(())
}

/// Checks that memory is not written after its unmap was answered, while operations run.
fn unmapped_meanwhile<P: DmaPath>(ground: &mut Ground<'_, P>) -> Outcome {
    let (pages, at) = (ground.pages, ground.pages.address());
    let size = pages.bytes(PAGES);
    let fetch = ground.fetch(at, size);
    let store = Descriptor {
        source_window: ground.own,
        source_offset: 0,
        destination_window: ground.addresses,
        destination_offset: at,
        ..fetch
    };
    let operations = [store, fetch, ground.fill(at, size, 1)];
    let marks = vec![0xa5; size];
    for (round, operation) in (0..ROUNDS).zip(operations.into_iter().cycle()) {
        let batch = vec![operation; BATCH];
        ground.map(at, 0..size, Rights::ReadWrite)?;
        let submitted = ground.path.submit(&batch);
        submitted.map_err(|error| error.to_string())?;
        ground.unmap(at, size)?;
        // From here on the memory is the path's again. A late write of the device would destroy the
        // marks.
        ground.path.write(ground.memory, 0, &marks);
        let done = ground.path.finish(batch.len());
        let done = done.map_err(|error| error.to_string())?;
        let ended: Vec<_> = done.iter().map(|it| Status(it.status)).collect();
        let good = ended.iter().take_while(|it| **it == Status::OK).count();
        // The operation in progress ends ABORTED, or all ends as faults if none was in progress;
        // those behind it find no memory (data sheet 8).
        let rest = ended[good..].strip_prefix(&[Status::ABORTED]);
        let rest = rest.unwrap_or(&ended[good..]);
        if rest.iter().any(|it| *it != Status::DMA_FAULT) {
            return Err(format!("round {round}: ended {ended:?}"));
        }
        ground.image.copy_from_slice(&marks);
        if operation == fetch {
            // Operations that were carried out or broken off have written here.
            ground.path.write(ground.own_memory, 0, &ground.own_image);
        }
        ground.look()?;
        let errors = ground.path.errors().map_err(|error| error.to_string())?;
        let inside = |address| (at..at + size as u64).contains(&address);
        let named = |&(code, address): &_| code == ErrorCode::MEMORY_FAULT && inside(address);
        // Each of these ends is logged with an address of the range; the log keeps the last 16
        // (data sheet 9).
        if errors.len() != (ended.len() - good).min(LOG) || !errors.iter().all(named) {
            return Err(format!("round {round}: the log has {errors:x?}"));
        }
    }
    Ok(())
}

/// Checks random addresses in and around a memory with holes against a computation by byte.
fn random_addresses<P: DmaPath>(ground: &mut Ground<'_, P>) -> Outcome {
    let (pages, at) = (ground.pages, ground.pages.address());
    let mut random = Rng::with_seed(ground.image.iter().map(|byte| u64::from(*byte)).sum());
    // Every other page, and the last quarter without a gap.
    let mapped = |number: usize| number < PAGES && (number >= PAGES * 3 / 4 || number % 2 == 1);
    for number in (0..PAGES).filter(|number| mapped(*number)) {
        let address = at + pages.bytes(number) as u64;
        ground.map(address, pages.nth(number), Rights::ReadWrite)?;
    }
    let size = pages.bytes(PAGES);
    for round in 0..RANDOM / LOG {
        let mut batch = Vec::new();
        let (mut ends, mut faults) = (Vec::new(), Vec::new());
        for _ in 0..LOG {
            let most = 1 << random.u32(0..14);
            let length = random.usize(1..=most);
            let address = match random.u8(0..8) {
                0 => at - random.u64(1..=pages.bytes(2) as u64),
                1 => at + size as u64 + random.u64(0..1 << 30),
                2 => LIMIT - random.u64(length as u64..1 << 30),
                _ => at + random.u64(0..size as u64),
            };
            let own = random.usize(0..=size - length);
            let fill = random.bool().then(|| random.u8(..));
            batch.push(match fill {
                Some(byte) => ground.fill(address, length, byte),
                None => Descriptor {
                    destination_offset: own as u64,
                    ..ground.fetch(address, length)
                },
            });
            let reached = |address: &u64| {
                let offset = address.checked_sub(at).map(|it| it as usize);
                offset.is_some_and(|offset| mapped(offset / pages.0))
            };
            let all = address..address + length as u64;
            match all.clone().find(|address| !reached(address)) {
                Some(address) => {
                    ends.push(Status::DMA_FAULT);
                    faults.push(address);
                }
                None => {
                    ends.push(Status::OK);
                    let first = (address - at) as usize;
                    let bytes = first..first + length;
                    match fill {
                        Some(byte) => ground.image[bytes].fill(byte),
                        None => ground.own_image[own..own + length]
                            .copy_from_slice(&ground.image[bytes]),
                    }
                }
            }
        }
        let ended = ground.run(&batch)?;
        if ended != ends {
            return Err(format!("ended {ended:?}, not {ends:?}: {batch:x?}"));
        }
        ground.logged(&faults)?;
        // In the guest each byte of both memories takes its time.
        if round % LOOK == 0 {
            ground.look()?;
        }
    }
    for number in (0..PAGES).filter(|number| mapped(*number)) {
        ground.unmap(at + pages.bytes(number) as u64, pages.bytes(1))?;
    }
    Ok(())
}

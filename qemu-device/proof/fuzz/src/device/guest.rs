// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Memory that guest and device share. The guest has mappings of its own, as QEMU has.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use ringbar_driver_side::ring::RingMemory as _;
use ringbar_driver_side::{QueueMemory, Shared as _};
use ringbar_endpoint::memory::SharedMemory;
use ringbar_endpoint::Endpoint;
use ringbar_mapped::Mapped;
use ringbar_server::ringbar::Ringbar;
use ringbar_spec::layout::{DEVICE_MEMORY_BAR, DEVICE_MEMORY_MIN, REGISTER_BAR};
use ringbar_spec::ring::{Descriptor, Status};
use ringbar_spec::setup::QueueSetup;
use ringbar_spec::wake::Word;
use ringbar_vfio_user::device::{Device as _, DmaMap, DmaRange};
use vm_memory::{Bytes as _, FileOffset, MmapRegion, VolatileMemory as _};

use super::{queue_setup, Queue, QUEUES};

/// Bytes of a page.
pub(super) const PAGE: u64 = 4096;
/// DMA address of the first page.
pub(super) const BASE: u64 = 0x10_0000;
/// Number of pages. In order: set-up blocks, one submission ring per queue, completion rings, then
/// guards and open pages in turn.
pub(super) const PAGES: u64 = 10;
/// DMA address of the set-up blocks.
pub(super) const SETUP: u64 = BASE;
/// Pages that windows show for writing.
pub(super) const OPEN: [u64; 3] = [BASE + 5 * PAGE, BASE + 7 * PAGE, BASE + 9 * PAGE];
/// Pages that no window shows for writing. Two windows show them for reading.
pub(super) const GUARDS: [u64; 3] = [BASE + 4 * PAGE, BASE + 6 * PAGE, BASE + 8 * PAGE];
/// Bytes of device memory.
pub(super) const DEVICE_MEMORY: usize = DEVICE_MEMORY_MIN;
/// First offset of the device memory that no window shows for writing.
pub(super) const DEVICE_MEMORY_GUARD: usize = DEVICE_MEMORY - 2 * PAGE as usize;
/// Entries of each ring.
pub(super) const ENTRIES: u32 = 64;

/// Byte that fills the guards.
const UNTOUCHED: u8 = 0xa7;

/// The guest's mappings.
pub(super) struct Guest {
    memory: SharedMemory,
    shared: Mapped,
    device_memory: MmapRegion,
}

impl Guest {
    /// The guest of a device. Nothing is mapped for DMA.
    pub(super) fn new(device: &Endpoint<Ringbar>) -> Self {
        let map = |index: u32| {
            let region = &device.regions()[index as usize];
            let shared = region.shared.as_ref().expect("a region with a file");
            map_file(shared.file.as_fd(), region.size as usize)
        };
        let bytes = (PAGES * PAGE) as usize;
        let memory = SharedMemory::new("fuzz-guest", bytes).expect("a memfd");
        let shared = Mapped {
            registers: Arc::new(map(REGISTER_BAR)),
            memory: Arc::new(map_file(memory.file().as_fd(), bytes)),
            base: BASE,
        };
        let guest = Self {
            memory,
            shared,
            device_memory: map(DEVICE_MEMORY_BAR),
        };
        for address in GUARDS {
            guest.write(address, &[UNTOUCHED; PAGE as usize]);
        }
        let behind = &[UNTOUCHED; DEVICE_MEMORY - DEVICE_MEMORY_GUARD];
        let written = guest.device_memory.as_volatile_slice();
        written
            .write_slice(behind, DEVICE_MEMORY_GUARD)
            .expect("inside the device memory");
        guest
    }

    /// Maps pages for DMA, from `first` on, as one mapping.
    pub(super) fn map(&self, device: &mut Endpoint<Ringbar>, first: u64, pages: u64) {
        let file = self.memory.file().try_clone().expect("a descriptor more");
        // An overlap is allowed: the pages may be mapped already.
        let _overlap = device.dma_map(DmaMap {
            range: range(first, pages),
            read: true,
            write: true,
            file: Some((file.into(), first * PAGE)),
        });
    }

    /// Unmaps the pages.
    pub(super) fn unmap(device: &mut Endpoint<Ringbar>, first: u64, pages: u64) {
        let unmapped = device.dma_unmap(range(first, pages));
        unmapped.expect("whole mappings");
    }

    /// Writes bytes at a DMA address, which must be one of the guest's.
    pub(super) fn write(&self, address: u64, bytes: &[u8]) {
        self.shared.write(address, bytes);
    }

    /// Stores eight bytes at an aligned DMA address, which must be one of the guest's.
    pub(super) fn store(&self, address: u64, value: u64) {
        self.shared
            .memory
            .get_atomic_ref::<AtomicU64>((address - BASE) as usize)
            .expect("an aligned address")
            .store(value, Ordering::Relaxed);
    }

    /// Stores eight bytes in the device memory.
    pub(super) fn store_device_memory(&self, offset: usize, value: u64) {
        self.device_memory
            .get_atomic_ref::<AtomicU64>(offset)
            .expect("an aligned offset in the device memory")
            .store(value, Ordering::Relaxed);
    }

    /// Loads a shared word of a queue.
    pub(super) fn word(&self, word: Word, queue: u16) -> u32 {
        self.shared.load(word.offset(queue.into()))
    }

    /// Stores a shared word of a queue.
    pub(super) fn set_word(&self, word: Word, queue: u16, value: u32) {
        self.store_at(word.offset(queue.into()), value);
    }

    /// Stores four bytes at an aligned offset of BAR 0.
    pub(super) fn store_at(&self, offset: usize, value: u32) {
        self.shared.store(offset, value);
    }

    /// Puts a descriptor into the submission ring of a queue.
    pub(super) fn put(&self, queue: u16, index: u32, descriptor: &Descriptor) {
        let memory = QueueMemory::new(&self.shared, &queue_setup(queue));
        memory.put(index, descriptor);
    }

    /// Copies an entry of the submission ring of a queue beside its tail. Returns whether the copy
    /// has all of it.
    pub(super) fn put_inline(&self, queue: u16, index: u32) -> bool {
        QueueMemory::new(&self.shared, &queue_setup(queue)).put_inline(index)
    }

    /// Checks the completion of this index by the rules for each completion. Returns its tag.
    pub(super) fn completion(&self, queue: &Queue, index: u32) -> u32 {
        let setup = QueueSetup {
            completion_ring: queue.completion_ring,
            completion_entries: queue.completion_entries,
            ..QueueSetup::default()
        };
        let memory = QueueMemory::new(&self.shared, &setup);
        let completion = memory.get(index);
        let status = Status(completion.status);
        assert!(
            Status::ALL.iter().any(|(known, _)| *known == status),
            "{status:?}"
        );
        assert_eq!(completion.reserved, 0, "reserved bytes of a completion");
        if !matches!(status, Status::OK | Status::MISMATCH) {
            assert_eq!(completion.result, 0, "a result with {status:?}");
        }
        completion.tag
    }

    /// Fails if a byte changed that no window shows for writing.
    pub(super) fn check_guards(&self) {
        let mut bytes = [0; PAGE as usize];
        for address in GUARDS {
            self.shared.read(address, &mut bytes);
            let place = bytes.iter().position(|byte| *byte != UNTOUCHED);
            assert_eq!(place, None, "a byte of the guard at {address:#x} changed");
        }
        let mut bytes = [0; DEVICE_MEMORY - DEVICE_MEMORY_GUARD];
        let memory = self.device_memory.as_volatile_slice();
        memory
            .read_slice(&mut bytes, DEVICE_MEMORY_GUARD)
            .expect("inside the device memory");
        let place = bytes.iter().position(|byte| *byte != UNTOUCHED);
        assert_eq!(place, None, "a byte of the device memory's guard changed");
    }
}

/// Returns the DMA addresses of some pages.
fn range(first: u64, pages: u64) -> DmaRange {
    DmaRange::new(BASE + first * PAGE, pages * PAGE).expect("pages of the guest")
}

/// Returns the DMA address of a queue's submission ring.
pub(super) fn submission_ring(queue: u16) -> u64 {
    BASE + (1 + u64::from(queue)) * PAGE
}

/// Returns the DMA address of a queue's completion ring.
///
/// A queue that the device lacks shares another one's. [`Race`](super::Race) may change its number
/// into that of a running queue, and a guard lies behind the last ring.
pub(super) fn completion_ring(queue: u16) -> u64 {
    BASE + 3 * PAGE + u64::from(queue % QUEUES) * (PAGE / 2)
}

fn map_file(file: BorrowedFd<'_>, size: usize) -> MmapRegion {
    let file = file.try_clone_to_owned().expect("a descriptor more");
    MmapRegion::from_file(FileOffset::new(file.into(), 0), size).expect("a mapping")
}

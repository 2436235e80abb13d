// SPDX-License-Identifier: GPL-2.0-only

//! Counts, lists and revokes the mappings of an open file.
//!
//! The list of mappings gets a mapping that the mmap hook populated only after the hook has
//! returned. For a moment, the mapping has pages but cannot be found. So the hook notes the address
//! space first. Revocation takes the lock of each noted address space once, as a barrier.
//! Afterwards every mapping made before is in the list.

use super::cache::{
    self,
    Observed, //
};
use kernel::{
    bindings, fs,
    mm::{
        Mm,
        MmWithUser,
        MmWithUserAsync, //
    },
    new_mutex,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        },
        Mutex, //
    },
};

/// The address spaces that map an open file, and the list of its mappings.
///
/// # Invariants
///
/// `file` is the kernel's file that owns this, and so valid as long as that is open.
#[pin_data]
pub(crate) struct Mappings {
    file: *mut bindings::file,
    #[pin]
    spaces: Mutex<Spaces>,
    count: Atomic<i64>,
}

/// Address spaces in the order in which they were noted.
#[derive(Default)]
struct Spaces {
    list: KVec<Space>,
    written: u64,
}

struct Space {
    number: u64,
    space: ARef<Mm>,
    /// Number of its mappings of the file, as far as their hooks have ended.
    mappings: usize,
}

impl Spaces {
    fn find(&mut self, space: *mut bindings::mm_struct) -> Option<&mut Space> {
        let mut known = self.list.iter_mut();
        known.find(|known| known.space.as_raw() == space)
    }

    /// Returns the first one noted after the one with this number, if its own number is at most
    /// `last`.
    fn after(&self, number: u64, last: u64) -> Option<(u64, ARef<Mm>)> {
        let mut later = self.list.iter();
        let next = later.find(|space| space.number > number && space.number <= last)?;
        Some((next.number, next.space.clone()))
    }
}

// SAFETY: The file belongs to no thread, and the caller of `new` keeps it open.
unsafe impl Send for Mappings {}
// SAFETY: Through the file only its list of mappings is used, for which the kernel has locks of its
// own.
unsafe impl Sync for Mappings {}

impl Mappings {
    /// Returns the mappings of `file`, of which there are none yet.
    ///
    /// # Safety
    ///
    /// The value must not be used after `file` was released.
    pub(crate) unsafe fn new(file: &fs::File) -> impl PinInit<Self> {
        let file = file.as_ptr();
        // INVARIANT: The caller ends the use with the file.
        pin_init!(Self { file, spaces <- new_mutex!(Spaces::default()), count: Atomic::new(0) })
    }

    /// Notes an address space that is about to map the file. Called before any page is there: in
    /// the mmap hook, inside the gate, and for a VMA that fork, split or mremap makes.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn remember(&self, space: &MmWithUser) -> Result {
        let mut spaces = self.spaces.lock();
        if spaces.find(space.as_raw()).is_none() {
            let number = spaces.written + 1;
            let space: &Mm = space;
            let space = Space {
                number,
                space: space.into(),
                mappings: 0,
            };
            spaces.list.push(space, GFP_KERNEL)?;
            spaces.written = number;
        }
        Ok(())
    }

    /// Returns the number of mappings. Each VMA counts, so a split makes two of one.
    pub(crate) fn count(&self) -> i64 {
        self.count.load(Relaxed)
    }

    /// Counts a mapping that was made or copied, in this address space.
    pub(crate) fn count_one_more(&self, space: *mut bindings::mm_struct) {
        self.count.fetch_add(1, Relaxed);
        if let Some(known) = self.spaces.lock().find(space) {
            known.mappings += 1;
        }
    }

    /// Counts a mapping down. Forgets an address space without mappings: otherwise the list would
    /// grow with each process that ever mapped the file.
    pub(crate) fn count_one_less(&self, space: *mut bindings::mm_struct) {
        self.count.fetch_sub(1, Relaxed);
        let mut spaces = self.spaces.lock();
        if let Some(known) = spaces.find(space) {
            known.mappings = known.mappings.saturating_sub(1);
            if known.mappings == 0 {
                spaces.list.retain(|known| known.space.as_raw() != space);
            }
        }
    }

    /// Calls `f` for each mapping of the file that is found.
    pub(crate) fn for_each(&self, mut f: impl FnMut(&Mapping)) {
        self.for_each_space(|space| {
            let _lock = space.mmap_read_lock();
            let mut address = 0;
            loop {
                // SAFETY: The address space is in use and its lock is held.
                let vma = unsafe { bindings::find_vma(space.as_raw(), address) };
                if vma.is_null() {
                    break;
                }
                // SAFETY: The VMA is valid while the lock is held, which it is.
                let (mapping, end) = unsafe { Mapping::look(vma, self.file) };
                if let Some(mapping) = mapping {
                    f(&mapping);
                }
                address = end;
            }
        });
    }

    /// Removes the pages of all mappings of the file: touching them gives SIGBUS from now on.
    ///
    /// Called when the gate is closed: no hook and no fault enters a page any more. A VMA that fork
    /// copies meanwhile is in the kernel's list already, as the one that it is copied from.
    pub(crate) fn revoke(&self) {
        self.await_hooks();
        self.spaces.lock().list.clear();
        // For `unmap_mapping_range`, length 0 is up to the end.
        self.unmap(0, 0);
    }

    /// Removes the pages of all mappings of one region, `length` bytes from `offset` of the file
    /// on. From now on, touching them raises SIGBUS.
    ///
    /// The caller has removed the region from the file's objects, so that no hook finds it any
    /// more. It holds no lock that the mmap hook takes. No other file of the device has a region
    /// there: its mappings would lose their pages too.
    pub(crate) fn revoke_region(&self, offset: u64, length: usize) {
        self.await_hooks();
        self.unmap(offset, length);
    }

    /// Waits until every mmap hook that was under way has ended.
    fn await_hooks(&self) {
        self.for_each_space(|space| drop(space.mmap_read_lock()));
    }

    /// Calls `f` for each address space that was noted by now and is in use. Leaves out those that
    /// come meanwhile: a process that forks without end would keep this from ending.
    fn for_each_space(&self, mut f: impl FnMut(&MmWithUser)) {
        let last = self.spaces.lock().written;
        let mut number = 0;
        // Not under the lock: the mmap hook takes it inside `mmap_lock`.
        while let Some((next, space)) = self.next_space(number, last) {
            number = next;
            if let Some(space) = space.mmget_not_zero() {
                // The last reference ends the address space, which may wait for other processes. So
                // that is left to the kernel's own thread.
                let space: ARef<MmWithUserAsync> = MmWithUser::into_mmput_async(space);
                f(&space);
            }
        }
    }

    fn next_space(&self, number: u64, last: u64) -> Option<(u64, ARef<Mm>)> {
        self.spaces.lock().after(number, last)
    }

    fn unmap(&self, offset: u64, length: usize) {
        if cfg!(sabotage = "no-revocation") {
            return;
        }
        // SAFETY: By the type invariants the file is open, and an open file has a valid list of
        // mappings.
        unsafe {
            bindings::unmap_mapping_range((*self.file).f_mapping, offset as i64, length as i64, 1);
        }
    }
}

/// A mapping, as it was found.
pub(crate) struct Mapping {
    /// First address, and the first one after the end.
    pub(crate) range: (usize, usize),
    /// Offset of its beginning in the file, in pages.
    pub(crate) pgoff: usize,
    /// Cache bits of the first page that is there, if one is.
    pub(crate) policy: Option<Observed>,
}

impl Mapping {
    /// Looks at a VMA. Returns the mapping, if it is one of `file`, and the end of the VMA.
    ///
    /// # Safety
    ///
    /// The VMA must be valid and the lock of its address space held.
    unsafe fn look(
        vma: *mut bindings::vm_area_struct,
        file: *mut bindings::file,
    ) -> (Option<Self>, usize) {
        // SAFETY: The caller promises that the VMA is valid. The lock is held, so it does not
        // change.
        let (start, end, pgoff, mapped) = unsafe {
            let range = &(*vma).__bindgen_anon_1.__bindgen_anon_1;
            (
                range.vm_start,
                range.vm_end,
                (*vma).vm_pgoff,
                (*vma).vm_file,
            )
        };
        // Only the address is compared: `file` is open, so no other file can have it.
        let mapping = (mapped == file).then(|| Self {
            range: (start, end),
            pgoff,
            policy: (start..end)
                .step_by(kernel::page::PAGE_SIZE)
                // SAFETY: The caller promises that the VMA is valid and the lock held. The address
                // lies in its range.
                .find_map(|address| unsafe { cache::observe(vma, address) }),
        });
        (mapping, end)
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The client's memory files, each mapped into this process once and whole.
//!
//! A touch of a byte that the file has lost kills the process. So this process touches a mapping
//! only if no other process can take bytes from the file. It reaches other files by copies that the
//! kernel makes; see [`untouched`].

mod kind;
mod list;
mod untouched;

use std::cell::Cell;
use std::fs::File;
use std::io;

use log::Level;
use ringbar_vfio_user::device::DmaRange;
use rustix::io::Errno;
use vm_memory::VolatileSlice;

use crate::client_log;
use crate::error::Error;
use kind::{Facts, Way};
use list::List;

pub(crate) use kind::Unreached;
pub(crate) use list::Place;
pub(crate) use untouched::{CopyFailed, Untouched};

/// The mapped files.
#[derive(Debug, Default)]
pub(crate) struct Files {
    /// Files that keep their bytes.
    touched: List,
    /// All others.
    copied: List,
    said: Said,
}

/// Lines that are in the log. One of each is enough: a client may map as often as it wants.
#[derive(Debug, Default)]
struct Said {
    copied: Cell<bool>,
    failed: Cell<bool>,
    unreached: [Cell<bool>; Unreached::COUNT],
}

/// Bytes of a range, and the way to them.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Backing {
    /// This process may touch them.
    Touched(Place),
    /// The kernel copies them.
    Copied(Place),
}

impl Files {
    /// Finds or makes the mapping of `file` for one more range, which the device may write if `write`
    /// is set, and checks that the file holds the bytes. Returns the reason if the device will never
    /// reach them.
    pub(crate) fn back(
        &mut self,
        file: File,
        offset: u64,
        range: DmaRange,
        write: bool,
    ) -> Result<Result<Backing, Unreached>, Error> {
        let facts = Facts::of(&file).map_err(Error::DmaMap)?;
        let file_size = facts.size();
        let end = range.size().and_then(|size| offset.checked_add(size));
        if end.is_none_or(|end| end > file_size) {
            return Err(Error::DmaFile {
                range,
                offset,
                file_size,
            });
        }
        // The mapping is accepted all the same: QEMU would end if it were refused.
        let way = match facts.way(write) {
            Ok(way) => way,
            Err(reason) => {
                self.name(range, reason);
                return Ok(Err(reason));
            }
        };
        let size =
            usize::try_from(file_size).map_err(|error| Error::DmaMap(io::Error::other(error)))?;
        let backing = match way {
            Way::Touch => {
                let file = self.touched.share(file, facts.id(), size, true)?;
                Backing::Touched(Place { file, offset })
            }
            Way::Copy { writable } => {
                self.say_copied(range);
                let file = self.copied.share(file, facts.id(), size, writable)?;
                Backing::Copied(Place { file, offset })
            }
        };
        Ok(Ok(backing))
    }

    /// Drops one reference to a mapped file, and the mapping with the last.
    pub(crate) fn let_go(&mut self, backing: Backing) {
        match backing {
            Backing::Touched(place) => self.touched.let_go(place),
            Backing::Copied(place) => self.copied.let_go(place),
        }
    }

    /// Returns `length` bytes of a range that may be touched, from `skip` bytes behind its start.
    #[inline]
    pub(crate) fn slice(&self, place: Place, skip: u64, length: u64) -> Option<VolatileSlice<'_>> {
        self.touched.slice(place, skip, length)
    }

    /// Returns `length` bytes of a range that the kernel copies, from `skip` bytes behind its start.
    pub(crate) fn untouched(&self, place: Place, skip: u64, length: u64) -> Option<Untouched<'_>> {
        let slice = self.copied.slice(place, skip, length)?;
        Some(Untouched::new(self, &slice))
    }

    /// Returns the number of mapped files.
    pub(crate) fn len(&self) -> usize {
        self.touched.len() + self.copied.len()
    }

    /// Names memory that the device never reaches, with the remedy, once for each reason.
    pub(crate) fn name(&self, range: DmaRange, reason: Unreached) {
        if first(self.said.unreached.get(reason as usize)) {
            warn(format_args!("cannot reach DMA addresses {range}: {reason}"));
        }
    }

    /// Notes that a range is reached by copies.
    fn say_copied(&self, range: DmaRange) {
        if first(Some(&self.said.copied)) {
            client_log::note(
                module_path!(),
                Level::Info,
                format_args!(
                    "DMA addresses {range} are in a file that can shrink, or of huge pages: each \
                     access takes a system call; with QEMU's memory-backend-memfd it takes none"
                ),
            );
        }
    }

    /// Notes that a copy failed.
    fn say_failed(&self, error: Errno) {
        if first(Some(&self.said.failed)) {
            warn(format_args!(
                "cannot copy guest memory: {error}: the client made its file shorter, or the \
                 system has no page left for it (huge pages: see vm.nr_hugepages)"
            ));
        }
    }
}

/// Returns whether it is the first time.
fn first(said: Option<&Cell<bool>>) -> bool {
    said.is_some_and(|said| !said.replace(true))
}

/// Writes a warning.
fn warn(what: std::fmt::Arguments<'_>) {
    client_log::note(module_path!(), Level::Warn, what);
}

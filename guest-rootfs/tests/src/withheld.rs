// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Memory of this process that the kernel has to ask for (`userfaultfd`). A thread that touches it
//! hangs in its page fault until the memory is given, also if it touches it in a system call.

#![expect(unsafe_code, reason = "maps memory and serves its page faults")]

use crate::{until, Skip};
use ringbar_client::page_size;
use rustix::io::Errno;
use rustix::mm::{mmap_anonymous, munmap, userfaultfd, MapFlags, ProtFlags, UserfaultfdFlags};
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr;

/// `UFFDIO_API` of Linux's `userfaultfd.h`. Its argument has version, features, ioctls.
const API: u64 = 0xc018_aa3f;
/// `UFFDIO_REGISTER`. Its argument has address, length, mode, ioctls.
const REGISTER: u64 = 0xc020_aa00;
/// `UFFDIO_COPY`. Its argument has destination, source, length, mode, bytes copied.
const COPY: u64 = 0xc028_aa03;
/// The only version of the interface.
const VERSION: u64 = 0xaa;
/// Asks for pages that are missing (`UFFDIO_REGISTER_MODE_MISSING`).
const MISSING: u64 = 1;
/// Bytes of a message (`struct uffd_msg`).
const MESSAGE: usize = 32;

/// A page that is withheld until it is given. When dropped, a thread that hangs goes on with zeros.
#[derive(Debug)]
pub struct Withheld {
    /// Closed first, which ends the page faults.
    monitor: Option<OwnedFd>,
    page: *mut u8,
}

// SAFETY: The page belongs to the process, not to a thread, and no method writes to it.
unsafe impl Send for Withheld {}
// SAFETY: As above.
unsafe impl Sync for Withheld {}

impl Withheld {
    /// Maps a page and withholds it.
    ///
    /// # Errors
    ///
    /// [`Skip`] if the kernel has no `userfaultfd`.
    pub fn new() -> Result<Self, Skip> {
        // SAFETY: The file serves faults of one page alone, which this value has mapped.
        let monitor =
            match unsafe { userfaultfd(UserfaultfdFlags::CLOEXEC | UserfaultfdFlags::NONBLOCK) } {
                Err(Errno::NOSYS) => {
                    let reason = "the kernel has no userfaultfd (CONFIG_USERFAULTFD)";
                    return Err(Skip(reason.into()));
                }
                made => made.expect("root may serve page faults"),
            };
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: The kernel chooses a free address.
        let page =
            unsafe { mmap_anonymous(ptr::null_mut(), page_size(), protection, MapFlags::PRIVATE) };
        let withheld = Self {
            monitor: Some(monitor),
            page: page.expect("there is memory").cast(),
        };
        withheld.tell(API, [VERSION, 0, 0]);
        let address = withheld.address() as u64;
        withheld.tell(REGISTER, [address, page_size() as u64, MISSING, 0]);
        Ok(withheld)
    }

    /// Returns the address of the page.
    pub fn address(&self) -> usize {
        self.page.addr()
    }

    /// Reads the first byte of the page. Hangs until the page is given.
    pub fn read(&self) -> u8 {
        // SAFETY: The page is mapped as long as this value, and any bits are a valid byte.
        unsafe { self.page.read_volatile() }
    }

    /// Waits until a thread hangs as it touches the page.
    #[track_caller]
    pub fn until_wanted(&self) {
        until("the kernel asks for the page", || {
            rustix::io::read(self.monitor(), &mut [0_u8; MESSAGE]).is_ok()
        });
    }

    /// Gives the page, with these bytes at its beginning. The thread that hangs goes on.
    pub fn give(&self, bytes: &[u8]) {
        let mut source = vec![0_u8; page_size()];
        source[..bytes.len()].copy_from_slice(bytes);
        let from = source.as_ptr().expose_provenance() as u64;
        let to = self.address() as u64;
        self.tell(COPY, [to, from, page_size() as u64, 0, 0]);
    }

    /// Waits until a process that hung has the page that was given.
    #[track_caller]
    pub fn until_had_by(process: u32) {
        until("the process has the page", || {
            let place = fs::read_to_string(format!("/proc/{process}/wchan"));
            place.expect("procfs is mounted") != "handle_userfault"
        });
    }

    fn monitor(&self) -> &OwnedFd {
        self.monitor.as_ref().expect("open until this is dropped")
    }

    /// Issues an ioctl with its argument.
    #[track_caller]
    fn tell<const WORDS: usize>(&self, number: u64, mut argument: [u64; WORDS]) {
        let file = self.monitor().as_raw_fd();
        // SAFETY: The number has the size of the argument, which is borrowed for the call. It names
        // the page of this value, and for a copy as many bytes of a live array.
        let done = unsafe { libc::ioctl(file, number, argument.as_mut_ptr()) };
        let error = io::Error::last_os_error();
        assert_eq!(done, 0, "ioctl {number:#x} of userfaultfd: {error}");
    }
}

impl Drop for Withheld {
    fn drop(&mut self) {
        self.monitor = None;
        // SAFETY: `new` has mapped the page, and no reference to it exists.
        let unmapped = unsafe { munmap(self.page.cast(), page_size()) };
        unmapped.expect("the page is mapped");
    }
}

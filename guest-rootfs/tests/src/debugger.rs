// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Memory of a process, as debuggers and other kernel interfaces reach it from outside.

#![expect(unsafe_code, reason = "calls ptrace, process_vm_readv and vmsplice")]

use rustix::io::Errno;
use std::fs::OpenOptions;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::{io, ptr};

/// Reads memory of a process through `/proc/PID/mem`. Returns the number of bytes.
///
/// # Errors
/// `EIO` if the kernel reaches none of them.
pub fn read(process: u32, address: usize, bytes: &mut [u8]) -> Result<usize, Errno> {
    let memory = OpenOptions::new().read(true).open(memory_of(process));
    let memory = memory.expect("root may read the memory of any process");
    memory.read_at(bytes, address as u64).map_err(errno)
}

/// Writes memory of a process through `/proc/PID/mem`. Returns the number of bytes.
///
/// # Errors
/// `EIO` if the kernel reaches none of them.
pub fn write(process: u32, address: usize, bytes: &[u8]) -> Result<usize, Errno> {
    let memory = OpenOptions::new().write(true).open(memory_of(process));
    let memory = memory.expect("root may write the memory of any process");
    memory.write_at(bytes, address as u64).map_err(errno)
}

fn memory_of(process: u32) -> String {
    format!("/proc/{process}/mem")
}

/// Reads memory of a process with `process_vm_readv`, which needs its pages.
///
/// # Errors
/// `EFAULT` if the kernel has no pages there.
pub fn read_pages(process: u32, address: usize, bytes: &mut [u8]) -> Result<usize, Errno> {
    let local = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    let remote = libc::iovec {
        iov_base: ptr::without_provenance_mut(address),
        iov_len: bytes.len(),
    };
    // SAFETY: The local part is borrowed for the call. The kernel checks the remote one.
    let count = unsafe { libc::process_vm_readv(process.cast_signed(), &local, 1, &remote, 1, 0) };
    usize::try_from(count).map_err(|_| errno(io::Error::last_os_error()))
}

/// Puts memory of this process into a pipe with `vmsplice`. The kernel takes its pages as it does
/// for `O_DIRECT`, for which the guest has no file system on a disk.
///
/// # Errors
/// `EFAULT` if the kernel has no pages there.
pub fn splice_pages(address: usize, length: usize) -> Result<usize, Errno> {
    let (_reader, writer) = io::pipe().expect("a pipe can be made");
    let part = libc::iovec {
        iov_base: ptr::without_provenance_mut(address),
        iov_len: length,
    };
    // SAFETY: The kernel checks the address, and only reads there. Pages that it takes go with the
    // pipe, at the end of this function.
    let count = unsafe { libc::vmsplice(writer.as_raw_fd(), &part, 1, libc::SPLICE_F_NONBLOCK) };
    usize::try_from(count).map_err(|_| errno(io::Error::last_os_error()))
}

/// A process that this one traces. It is stopped until this value is dropped.
#[derive(Debug)]
pub struct Traced {
    process: libc::pid_t,
}

impl Traced {
    /// Attaches to a process and stops it, without a signal.
    pub fn stop(process: u32) -> Self {
        let process = process.cast_signed();
        // SAFETY: The call takes numbers only.
        let seized = unsafe { libc::ptrace(libc::PTRACE_SEIZE, process, 0, 0) };
        assert_eq!(seized, 0, "cannot trace: {}", io::Error::last_os_error());
        let traced = Self { process };
        // SAFETY: The call takes numbers only, and the process is traced.
        let stopped = unsafe { libc::ptrace(libc::PTRACE_INTERRUPT, process, 0, 0) };
        assert_eq!(stopped, 0, "cannot stop: {}", io::Error::last_os_error());
        let mut status = 0;
        // SAFETY: The status is there to be written.
        let waited = unsafe { libc::waitpid(process, &mut status, libc::__WALL) };
        assert_eq!(waited, process, "{}", io::Error::last_os_error());
        traced
    }

    /// Reads a word of its memory (`PTRACE_PEEKDATA`).
    ///
    /// # Errors
    /// `EIO` if the kernel does not reach the word.
    pub fn peek(&self, address: usize) -> Result<u64, Errno> {
        let mut word = 0u64;
        // SAFETY: The kernel call itself, unlike the C library's function, writes the word to the
        // address in its last argument. The word is there to be written.
        let peeked = unsafe {
            libc::syscall(
                libc::SYS_ptrace,
                libc::PTRACE_PEEKDATA,
                self.process,
                address,
                &raw mut word,
            )
        };
        match peeked {
            0 => Ok(word),
            _ => Err(errno(io::Error::last_os_error())),
        }
    }

    /// Writes a word of its memory (`PTRACE_POKEDATA`).
    ///
    /// # Errors
    /// `EIO` if the kernel does not reach the word.
    pub fn poke(&self, address: usize, word: u64) -> Result<(), Errno> {
        // SAFETY: The kernel checks the address, which is one of another process.
        let poked = unsafe { libc::ptrace(libc::PTRACE_POKEDATA, self.process, address, word) };
        match poked {
            0 => Ok(()),
            _ => Err(errno(io::Error::last_os_error())),
        }
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        // SAFETY: The call takes numbers only. If the process is gone, it fails and does nothing.
        unsafe { libc::ptrace(libc::PTRACE_DETACH, self.process, 0, 0) };
    }
}

fn errno(error: io::Error) -> Errno {
    Errno::from_io_error(&error).expect("the kernel gives a number")
}

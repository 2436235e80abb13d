// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! System calls as a 32-bit process makes them: `int 0x80`, which a 64-bit process may execute too.

#![expect(
    unsafe_code,
    reason = "executes an instruction that no library has, on memory with short addresses"
)]

use ringbar_tests::{page_size, Skip};
use rustix::io::Errno;
use rustix::mm::{mmap_anonymous, munmap, MapFlags, ProtFlags};
#[cfg(target_arch = "x86_64")]
use std::arch::asm;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;

// Numbers of 32-bit system calls (Linux `arch/x86/entry/syscalls/syscall_32.tbl`).
const OPEN: u32 = 5;
const IOCTL: u32 = 54;
/// The older mmap, which takes its six arguments from memory and the offset in bytes.
const MMAP: u32 = 90;
/// Flag for an address that 32 bits can hold.
#[cfg(target_arch = "x86_64")]
const BELOW_4_GIB: u32 = libc::MAP_32BIT as u32;
#[cfg(not(target_arch = "x86_64"))]
const BELOW_4_GIB: u32 = 0;
/// A setting that only kernels with 32-bit system calls have (Linux `arch/x86/entry/vdso`).
const OF_32_BIT_CALLS: &str = "/proc/sys/abi/vsyscall32";

/// Proof that the kernel has 32-bit system calls.
pub(crate) struct Call(());

impl Call {
    /// Returns the calls, or skips the case if the kernel has none. The instruction is not tried:
    /// it would raise a fault, which the kernel logs in the words of an oops.
    pub(crate) fn new() -> Result<Self, Skip> {
        if !cfg!(target_arch = "x86_64") {
            return Err(Skip(
                "a 64-bit process of this architecture has no 32-bit system calls".into(),
            ));
        }
        if Path::new(OF_32_BIT_CALLS).exists() {
            return Ok(Self(()));
        }
        Err(Skip("the kernel has no 32-bit system calls".into()))
    }

    /// Opens a file for reading and writing.
    pub(crate) fn open(&self, path: &Low) -> Result<i32, Errno> {
        // SAFETY: The kernel reads the path, which ends with 0.
        answer(unsafe { int_0x80(OPEN, [path.address(), 2, 0]) })
    }

    /// Calls an ioctl with an argument.
    pub(crate) fn ioctl(&self, file: &File, number: u32, argument: &Low) -> Result<i32, Errno> {
        let fd = file.as_raw_fd() as u32;
        // SAFETY: The argument has a page, more than any argument of the driver.
        answer(unsafe { int_0x80(IOCTL, [fd, number, argument.address()]) })
    }

    /// Maps a page of a file, shared and read-only, at any address.
    pub(crate) fn mmap(&self, file: &File, offset: u32) -> Result<i32, Errno> {
        let (read, shared) = (ProtFlags::READ.bits(), MapFlags::SHARED.bits());
        let fd = file.as_raw_fd() as u32;
        let words = [0, page_size() as u32, read, shared, fd, offset];
        let arguments = Low::new(&words.map(u32::to_le_bytes).concat());
        // SAFETY: The kernel reads the six words. A new mapping is at an unused address.
        answer(unsafe { int_0x80(MMAP, [arguments.address(), 0, 0]) })
    }
}

/// A page with an address that 32 bits can hold.
pub(crate) struct Low(*mut u8, usize);

impl Low {
    /// Returns a page that begins with these bytes.
    pub(crate) fn new(bytes: &[u8]) -> Self {
        assert!(bytes.len() <= page_size(), "{} bytes", bytes.len());
        let (rights, low) = (
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::from_bits_retain(BELOW_4_GIB),
        );
        // SAFETY: A new mapping is at an unused address.
        let page = unsafe {
            mmap_anonymous(
                std::ptr::null_mut(),
                page_size(),
                rights,
                MapFlags::PRIVATE | low,
            )
        };
        let page = page.expect("there is memory below 4 GiB").cast::<u8>();
        // SAFETY: The page is new, and has room.
        unsafe { page.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        Self(page, bytes.len())
    }

    /// Returns as many bytes as it began with.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: The page lives as long as `self`, and only a call writes it, which has ended.
        unsafe { std::slice::from_raw_parts(self.0, self.1) }
    }

    fn address(&self) -> u32 {
        u32::try_from(self.0.addr()).expect("an address of 32 bits")
    }
}

impl Drop for Low {
    fn drop(&mut self) {
        // SAFETY: The page is this object's, and nothing borrows it any more.
        let unmapped = unsafe { munmap(self.0.cast(), page_size()) };
        assert_eq!(unmapped, Ok(()));
    }
}

/// Returns the value of a system call, or its error: the values from -4095 to -1.
fn answer(value: i32) -> Result<i32, Errno> {
    match value {
        -4095..=-1 => Err(Errno::from_raw_os_error(-value)),
        value => Ok(value),
    }
}

/// Makes a 32-bit system call with three arguments.
///
/// # Safety
///
/// As for the call.
#[cfg(target_arch = "x86_64")]
unsafe fn int_0x80(number: u32, [first, second, third]: [u32; 3]) -> i32 {
    let value: i32;
    // SAFETY: The caller promises that the call is sound. The kernel changes `eax`, and on some
    // versions `r8` to `r11`. The compiler keeps `rbx` to itself, so it is put back.
    unsafe {
        asm!(
            "xchg rbx, rsi",
            "int 0x80",
            "xchg rbx, rsi",
            inlateout("eax") number => value,
            inout("rsi") u64::from(first) => _,
            in("ecx") second,
            in("edx") third,
            lateout("r8") _, lateout("r9") _, lateout("r10") _, lateout("r11") _,
        );
    }
    value
}

/// There is no such call: see [`Call::new`].
///
/// # Safety
///
/// None is needed. It is as on x86-64.
#[cfg(not(target_arch = "x86_64"))]
unsafe fn int_0x80(_number: u32, _arguments: [u32; 3]) -> i32 {
    unreachable!("`Call` is made on x86-64 alone")
}

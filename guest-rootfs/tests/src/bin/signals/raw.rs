// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Calls as a C program makes them: the client library hides signals.

#![expect(
    unsafe_code,
    reason = "issues ioctls, with addresses in their arguments"
)]

use ringbar_client::Device;
use ringbar_spec::ring::{Completion, Descriptor};
use ringbar_tests::PATIENCE;
use ringbar_uapi::ioctl::{self, CreateQueue, Execute, Transfer, Wait};
use rustix::io::Errno;
use rustix::ioctl::{Opcode, Updater};
use std::io;
use std::os::fd::AsRawFd;

/// The longest time of a call that is not about its end.
pub(crate) const LONG_MS: u32 = PATIENCE.as_millis() as u32;

/// Calls `WAIT`.
pub(crate) fn wait(device: &Device, wait: &mut Wait) -> Result<(), Errno> {
    // SAFETY: A `Wait` has no addresses.
    unsafe { call::<{ ioctl::WAIT as Opcode }, _>(device, wait) }
}

/// Calls `CREATE_QUEUE`.
pub(crate) fn create_queue(device: &Device, create: &mut CreateQueue) -> Result<(), Errno> {
    // SAFETY: A `CreateQueue` has no addresses of the process.
    unsafe { call::<{ ioctl::CREATE_QUEUE as Opcode }, _>(device, create) }
}

/// Calls `CREATE_QUEUE` with the argument at an address of this process, which may have no page yet.
pub(crate) fn create_queue_at(device: &Device, address: usize) -> Result<(), Errno> {
    // SAFETY: The driver reads and writes a `CreateQueue` there. No Rust value has the address.
    let done = unsafe {
        libc::ioctl(
            device.file().as_raw_fd(),
            ioctl::CREATE_QUEUE.into(),
            address,
        )
    };
    match done {
        0 => Ok(()),
        _ => Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)),
    }
}

/// Calls `EXECUTE` with the addresses and the number of these descriptors.
pub(crate) fn execute(
    device: &Device,
    execute: &mut Execute,
    descriptors: &[Descriptor],
    completions: &mut [Completion],
) -> Result<(), Errno> {
    assert_eq!(descriptors.len(), completions.len());
    execute.descriptors = descriptors.as_ptr().expose_provenance() as u64;
    execute.completions = completions.as_mut_ptr().expose_provenance() as u64;
    execute.count = descriptors.len() as u32;
    // SAFETY: The driver reads `count` descriptors and writes as many completions. Both slices have
    // so many, and are borrowed for the call.
    unsafe { call::<{ ioctl::EXECUTE as Opcode }, _>(device, execute) }
}

/// Calls `TRANSFER` with the address and the number of these bytes.
pub(crate) fn transfer(
    device: &Device,
    transfer: &mut Transfer,
    bytes: &mut [u8],
) -> Result<(), Errno> {
    transfer.address = bytes.as_mut_ptr().expose_provenance() as u64;
    transfer.length = bytes.len() as u64;
    // SAFETY: The driver reads or writes `length` bytes, which are borrowed for the call.
    unsafe { call::<{ ioctl::TRANSFER as Opcode }, _>(device, transfer) }
}

/// # Safety
///
/// The driver must be allowed to read and write at the addresses in the argument.
unsafe fn call<const NUMBER: Opcode, T>(device: &Device, argument: &mut T) -> Result<(), Errno> {
    // SAFETY: The callers pair each number with its argument, of which the driver writes no more
    // than its size.
    let call = unsafe { Updater::<NUMBER, T>::new(argument) };
    // SAFETY: The file is the driver's. By the safety section it may use the addresses.
    unsafe { rustix::ioctl::ioctl(&**device.file(), call) }
}

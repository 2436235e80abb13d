// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The driver leaves the device while a process hangs in a page fault of its own, in the middle of
//! a call. The page may never come, so the end of the driver must not wait for it.

#![expect(
    unsafe_code,
    reason = "issues ioctls with memory that is not there yet"
)]

use ringbar_client::{Device, Mapping, Rights};
use ringbar_spec::ring::Completion;
use ringbar_tests::{case, nop, open, page_size, PciFunction, Skip, Withheld, PATIENCE};
use ringbar_uapi::ioctl::{
    self, CreateBuffer, Execute, OpenUserWindow, OpenWindow, Transfer, WindowPart,
    TRANSFER_INTO_WINDOW,
};
use rustix::io::Errno;
use std::io;
use std::os::fd::AsRawFd;
use std::thread;
use std::time::{Duration, Instant};
use zerocopy::IntoBytes;

/// Calls an ioctl with the argument at an address of this process.
///
/// # Safety
///
/// The driver may read and write the argument of `number` there, and the addresses in it.
unsafe fn call(device: &Device, number: u32, argument: usize) -> Result<(), Errno> {
    // SAFETY: As the caller promises.
    let done = unsafe { libc::ioctl(device.file().as_raw_fd(), number.into(), argument) };
    match done {
        0 => Ok(()),
        _ => Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)),
    }
}

/// Calls an ioctl with this argument, which names memory that is withheld.
fn call_with<T: IntoBytes>(device: &Device, number: u32, mut argument: T) -> Result<(), Errno> {
    let address = std::ptr::from_mut(&mut argument).expose_provenance();
    // SAFETY: The argument is borrowed for the call. It names the page that is withheld, in which
    // no Rust value lies, and nothing else of this process.
    unsafe { call(device, number, address) }
}

/// Calls an ioctl whose argument is in the page that is withheld.
fn call_at(device: &Device, number: u32, page: &Withheld) -> Result<(), Errno> {
    // SAFETY: The argument is in the page, in which no Rust value lies, and has no addresses.
    unsafe { call(device, number, page.address()) }
}

/// Has a thread hang in `body` until it gets a page with `bytes`, and takes the driver off the
/// device meanwhile. Fails if the driver does not leave before that. Returns the result of `body`.
#[track_caller]
fn unbind_while_a_thread_hangs<R: Send>(
    device: &Device,
    page: &Withheld,
    bytes: &[u8],
    body: impl FnOnce() -> R + Send,
) -> R {
    let function = PciFunction::under_test();
    let buffer = device.create_buffer(page_size(), Rights::Read).unwrap();
    thread::scope(|scope| {
        let hanging = scope.spawn(body);
        page.until_wanted();
        // The thread that hangs keeps no other from mapping.
        let mapped = Mapping::new(device.file().clone(), buffer.offset(), page_size(), false);
        let unbinding = scope.spawn(|| function.unbind());
        let deadline = Instant::now() + PATIENCE;
        while !unbinding.is_finished() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
        let ended = unbinding.is_finished();
        // Before the case fails: otherwise its threads would never end.
        page.give(bytes);
        let unbound = unbinding.join().unwrap();
        let result = hanging.join().unwrap();
        drop(unbound);
        assert!(ended, "the driver did not leave within {PATIENCE:?}");
        mapped.expect("the address space is not locked");
        result
    })
}

#[case]
fn driver_leaves_while_a_process_hangs_in_a_page_fault() -> Result<(), Skip> {
    let (device, page) = (open(), Withheld::new()?);
    let touch = || page.read();
    let seen = unbind_while_a_thread_hangs(&device, &page, &[7], touch);
    assert_eq!(seen, 7);
    Ok(())
}

#[case]
fn driver_leaves_while_an_argument_cannot_be_read() -> Result<(), Skip> {
    let (device, page) = (open(), Withheld::new()?);
    let create = CreateBuffer {
        size: page_size() as u64,
        rights: ioctl::RIGHT_READ,
        ..Default::default()
    };
    let create_it = || call_at(&device, ioctl::CREATE_BUFFER, &page);
    let outcome = unbind_while_a_thread_hangs(&device, &page, create.as_bytes(), create_it);
    assert_eq!(outcome, Err(Errno::NODEV));
    Ok(())
}

#[case]
fn driver_leaves_while_an_answer_cannot_be_written() -> Result<(), Skip> {
    let (device, page) = (open(), Withheld::new()?);
    let ask = || call_at(&device, ioctl::INFO, &page);
    let outcome = unbind_while_a_thread_hangs(&device, &page, &[], ask);
    assert_eq!(outcome, Ok(()), "the answer was there before");
    Ok(())
}

#[case]
fn driver_leaves_while_descriptors_cannot_be_read() -> Result<(), Skip> {
    let (device, page) = (open(), Withheld::new()?);
    let queue = device.create_kernel_queue(4).unwrap();
    let mut completion = [Completion::default()];
    let execute = Execute {
        descriptors: page.address() as u64,
        completions: completion.as_mut_ptr().expose_provenance() as u64,
        queue: queue.number(),
        count: 1,
        timeout_ms: PATIENCE.as_millis() as u32,
        ..Default::default()
    };
    let carry_out = || call_with(&device, ioctl::EXECUTE, execute);
    let outcome = unbind_while_a_thread_hangs(&device, &page, nop(1).as_bytes(), carry_out);
    assert_eq!(outcome, Err(Errno::NODEV));
    Ok(())
}

#[case]
fn driver_leaves_while_bytes_of_a_transfer_cannot_be_read() -> Result<(), Skip> {
    let (device, page) = (open(), Withheld::new()?);
    let queue = device.create_kernel_queue(4).unwrap();
    let buffer = device.create_buffer(page_size(), Rights::Write).unwrap();
    let transfer = Transfer {
        address: page.address() as u64,
        length: 16,
        queue: queue.number(),
        window: buffer.window().into(),
        direction: TRANSFER_INTO_WINDOW,
        timeout_ms: PATIENCE.as_millis() as u32,
        ..Default::default()
    };
    let move_them = || call_with(&device, ioctl::TRANSFER, transfer);
    let outcome = unbind_while_a_thread_hangs(&device, &page, &[], move_them);
    assert_eq!(outcome, Err(Errno::NODEV));
    Ok(())
}

#[case]
fn driver_leaves_while_parts_of_a_window_cannot_be_read() -> Result<(), Skip> {
    let (device, page) = (open(), Withheld::new()?);
    let buffer = device.create_buffer(page_size(), Rights::Read).unwrap();
    let part = WindowPart {
        buffer: buffer.window().into(),
        length: 16,
        ..Default::default()
    };
    let window = OpenWindow {
        parts: page.address() as u64,
        count: 1,
        rights: ioctl::RIGHT_READ,
        ..Default::default()
    };
    let open_it = || call_with(&device, ioctl::OPEN_WINDOW, window);
    let outcome = unbind_while_a_thread_hangs(&device, &page, part.as_bytes(), open_it);
    assert_eq!(outcome, Err(Errno::NODEV));
    Ok(())
}

#[case]
fn driver_leaves_while_memory_of_a_process_cannot_be_pinned() -> Result<(), Skip> {
    let (device, page) = (open(), Withheld::new()?);
    let window = OpenUserWindow {
        address: page.address() as u64,
        length: page_size() as u64,
        rights: ioctl::RIGHT_READ,
        ..Default::default()
    };
    let open_it = || call_with(&device, ioctl::OPEN_USER_WINDOW, window);
    let outcome = unbind_while_a_thread_hangs(&device, &page, &[], open_it);
    assert_eq!(outcome, Err(Errno::NODEV));
    Ok(())
}

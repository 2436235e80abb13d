// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! An open device, and what it gives.

#![expect(unsafe_code, reason = "issues ioctls")]

use crate::{Error, KernelQueue, Mapping, Queue};
use ringbar_spec::layout::PAGE_SIZE;
use ringbar_spec::ring::{Completion, Descriptor, Status};
use ringbar_uapi::{ioctl, mmap};
use rustix::io::Errno;
use rustix::ioctl::{Getter, Opcode, Setter, Updater};
use std::fs::{File, OpenOptions};
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// What descriptors may do with a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// Read it.
    Read,
    /// Write it.
    Write,
    /// Both.
    ReadWrite,
}

impl Rights {
    const fn bits(self) -> u32 {
        match self {
            Self::Read => ioctl::RIGHT_READ,
            Self::Write => ioctl::RIGHT_WRITE,
            Self::ReadWrite => ioctl::RIGHT_READ | ioctl::RIGHT_WRITE,
        }
    }
}

/// A part of the device memory; it decides how a range of it is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Mapped write-combining.
    WriteCombining,
    /// Mapped uncached.
    Uncached,
    /// Mapped page by page, when it is touched; write-combining.
    Lazy,
}

/// Memory of the kernel that is not the device's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// Physically contiguous.
    Contiguous(Policy),
    /// Contiguous in the kernel's address space alone.
    Vmalloc,
}

/// How the processor may cache memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// As any memory.
    Cached,
    /// Writes may be gathered, nothing is cached.
    WriteCombining,
    /// Every access reaches memory, in order.
    Uncached,
}

/// An open node of the driver.
#[derive(Clone, Debug)]
pub struct Device {
    file: Arc<File>,
    /// Whether what comes from it is mapped writable.
    writable: bool,
}

impl Device {
    /// Opens a node, `/dev/ringbar0` being the first.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_as(path.as_ref(), true)
    }

    /// Opens a node read-only: what comes from it is mapped read-only, and stays so.
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_as(path.as_ref(), false)
    }

    fn open_as(path: &Path, writable: bool) -> Result<Self, Error> {
        let file = OpenOptions::new().read(true).write(writable).open(path);
        let file = file.map_err(|error| Error::Open {
            path: path.to_owned(),
            errno: Errno::from_io_error(&error).unwrap_or(Errno::IO),
        })?;
        Ok(Self {
            file: Arc::new(file),
            writable,
        })
    }

    /// Maps all of a region.
    pub(crate) fn map(&self, offset: u64, size: usize) -> Result<Mapping, Error> {
        Mapping::new(self.file.clone(), offset, size, self.writable)
    }

    /// Maps all of a buffer or range of device memory, or gives it back.
    fn map_or_destroy(&self, offset: u64, size: u64, window: u32) -> Result<Mapping, Error> {
        self.map(offset, size as usize).inspect_err(|_| {
            // Nobody will use it; the error that counts is why.
            let _given_back = self.destroy_buffer(window);
        })
    }

    /// The file underneath, for calls of one's own.
    pub fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// What the device is and what its limits are.
    pub fn info(&self) -> Result<ioctl::Info, Error> {
        // SAFETY: The number belongs to a call that fills in an `Info`.
        let call = unsafe { Getter::<{ ioctl::INFO as Opcode }, ioctl::Info>::new() };
        // SAFETY: As above.
        let answer = unsafe { rustix::ioctl::ioctl(&*self.file, call) };
        answer.map_err(|errno| Error::Refused {
            call: "INFO",
            errno,
        })
    }

    /// Takes a queue with `entries` in each ring, a power of two, and maps it.
    pub fn create_queue(&self, entries: u32) -> Result<Queue, Error> {
        let create = self.start_queue(entries)?;
        Queue::map(self, &create).inspect_err(|_| {
            // Nobody will use it; the error that counts is why.
            let _given_back = self.destroy_queue(create.queue);
        })
    }

    /// Takes a queue and maps nothing of it, for programs that do so themselves.
    pub fn start_queue(&self, entries: u32) -> Result<ioctl::CreateQueue, Error> {
        self.take_queue(entries, 0)
    }

    /// Takes a queue of the kernel, with `entries` in each ring, a power of two.
    pub fn create_kernel_queue(&self, entries: u32) -> Result<KernelQueue, Error> {
        let create = self.take_queue(entries, ioctl::QUEUE_KERNEL)?;
        Ok(KernelQueue::new(self, create.queue))
    }

    fn take_queue(&self, entries: u32, flags: u32) -> Result<ioctl::CreateQueue, Error> {
        let mut create = ioctl::CreateQueue {
            entries,
            flags,
            ..Default::default()
        };
        self.update::<{ ioctl::CREATE_QUEUE as Opcode }, _>("CREATE_QUEUE", &mut create)?;
        Ok(create)
    }

    /// Makes a DMA buffer of at least `size` bytes.
    pub fn create_buffer(&self, size: usize, rights: Rights) -> Result<Buffer, Error> {
        let mut create = ioctl::CreateBuffer {
            size: size as u64,
            rights: rights.bits(),
            ..Default::default()
        };
        self.update::<{ ioctl::CREATE_BUFFER as Opcode }, _>("CREATE_BUFFER", &mut create)?;
        let mapping = self.map_or_destroy(create.offset, create.size, create.window)?;
        Ok(Buffer {
            device: self.clone(),
            mapping,
            window: create.window as u16,
            offset: create.offset,
        })
    }

    /// Takes at least `size` bytes of a part of the device memory.
    pub fn create_device_memory(
        &self,
        part: Part,
        size: usize,
        rights: Rights,
    ) -> Result<DeviceMemory, Error> {
        let mut create = ioctl::CreateDeviceMemory {
            size: size as u64,
            rights: rights.bits(),
            part: match part {
                Part::WriteCombining => ioctl::PART_WRITE_COMBINING,
                Part::Uncached => ioctl::PART_UNCACHED,
                Part::Lazy => ioctl::PART_LAZY,
            },
            ..Default::default()
        };
        let call = "CREATE_DEVICE_MEMORY";
        self.update::<{ ioctl::CREATE_DEVICE_MEMORY as Opcode }, _>(call, &mut create)?;
        let mapping = self.map_or_destroy(create.offset, create.size, create.window)?;
        Ok(DeviceMemory {
            device: self.clone(),
            mapping,
            window: create.window as u16,
            offset: create.offset,
        })
    }

    /// Makes at least `size` bytes of memory of the kernel.
    pub fn create_memory(&self, memory: Memory, size: usize) -> Result<KernelMemory, Error> {
        let (kind, policy) = match memory {
            Memory::Contiguous(policy) => (ioctl::MEMORY_CONTIGUOUS, policy),
            Memory::Vmalloc => (ioctl::MEMORY_VMALLOC, Policy::Cached),
        };
        let mut create = ioctl::CreateMemory {
            size: size as u64,
            kind,
            policy: match policy {
                Policy::Cached => ioctl::POLICY_CACHED,
                Policy::WriteCombining => ioctl::POLICY_WRITE_COMBINING,
                Policy::Uncached => ioctl::POLICY_UNCACHED,
            },
            ..Default::default()
        };
        self.update::<{ ioctl::CREATE_MEMORY as Opcode }, _>("CREATE_MEMORY", &mut create)?;
        let mapping = self.map(create.offset, create.size as usize)?;
        Ok(KernelMemory {
            mapping,
            offset: create.offset,
        })
    }

    /// Maps the public registers. Needs `CAP_SYS_RAWIO`.
    pub fn map_public_registers(&self) -> Result<Mapping, Error> {
        self.map(mmap::PUBLIC_REGISTERS, PAGE_SIZE)
    }

    /// Opens one more window, on parts of buffers or device memory, in this order.
    pub fn open_window(
        &self,
        parts: &[ioctl::WindowPart],
        rights: Rights,
    ) -> Result<Window, Error> {
        let mut open = ioctl::OpenWindow {
            parts: parts.as_ptr().addr() as u64,
            count: parts.len().try_into().unwrap_or(u32::MAX),
            rights: rights.bits(),
            ..Default::default()
        };
        self.update::<{ ioctl::OPEN_WINDOW as Opcode }, _>("OPEN_WINDOW", &mut open)?;
        Ok(Window {
            device: self.clone(),
            number: open.window as u16,
        })
    }

    /// Opens a window on part of a mapping, memory of the process's own or of a file in memory.
    ///
    /// Its pages stay where they are, count against `RLIMIT_MEMLOCK`, and are the window's until it
    /// is closed, also if they are unmapped.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`], with the errors of `OPEN_USER_WINDOW`.
    pub fn open_user_window(
        &self,
        memory: &Mapping,
        range: Range<usize>,
        rights: Rights,
    ) -> Result<Window, Error> {
        let length = range.end.saturating_sub(range.start);
        assert!(range.end <= memory.len(), "the range leaves the mapping");
        let address = memory.as_ptr().wrapping_add(range.start);
        // SAFETY: The bytes are the mapping's, which nobody borrows.
        unsafe {
            self.open_user_window_at(address.expose_provenance() as u64, length as u64, rights)
        }
    }

    /// As [`open_user_window`](Self::open_user_window), on any addresses of the process.
    ///
    /// # Safety
    ///
    /// With the right to write, the device may write the bytes at any time until the window is
    /// closed: nobody may borrow them, and they must belong to whoever wants them written.
    pub unsafe fn open_user_window_at(
        &self,
        address: u64,
        length: u64,
        rights: Rights,
    ) -> Result<Window, Error> {
        let mut open = ioctl::OpenUserWindow {
            address,
            length,
            rights: rights.bits(),
            ..Default::default()
        };
        self.update::<{ ioctl::OPEN_USER_WINDOW as Opcode }, _>("OPEN_USER_WINDOW", &mut open)?;
        Ok(Window {
            device: self.clone(),
            number: open.window as u16,
        })
    }

    /// Waits for completions of a queue; [`Queue::wait`] does it for a queue of one's own.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`], [`Error::Refused`].
    pub fn wait(&self, wait: &mut ioctl::Wait) -> Result<(), Error> {
        let waited = self.update::<{ ioctl::WAIT as Opcode }, _>("WAIT", wait);
        waited.map_err(|error| match error.errno() {
            Some(Errno::TIMEDOUT) => Error::TimedOut,
            _ => error,
        })
    }

    /// Stops a queue and starts it anew; [`Queue::reset`] does it for a queue of one's own.
    pub fn reset_queue(&self, queue: u32) -> Result<(), Error> {
        self.name::<{ ioctl::RESET_QUEUE as Opcode }>("RESET_QUEUE", queue)
    }

    /// Stops a queue and gives it back, by its number.
    pub fn destroy_queue(&self, queue: u32) -> Result<(), Error> {
        self.name::<{ ioctl::DESTROY_QUEUE as Opcode }>("DESTROY_QUEUE", queue)
    }

    /// Gives a buffer or range of device memory back, by the number of its own window.
    pub fn destroy_buffer(&self, window: u32) -> Result<(), Error> {
        self.name::<{ ioctl::DESTROY_BUFFER as Opcode }>("DESTROY_BUFFER", window)
    }

    /// Closes a window that [`Device::open_window`] or [`Device::open_user_window`] opened, by its
    /// number.
    pub fn close_window(&self, window: u32) -> Result<(), Error> {
        self.name::<{ ioctl::CLOSE_WINDOW as Opcode }>("CLOSE_WINDOW", window)
    }

    /// Sets the eventfd that interrupts of a queue signal, or takes it away.
    pub fn set_event_fd(&self, queue: u32, event: Option<BorrowedFd<'_>>) -> Result<(), Error> {
        let fd = event.map_or(-1, |event| event.as_raw_fd());
        let set = ioctl::SetEventFd { queue, fd };
        self.set::<{ ioctl::SET_EVENTFD as Opcode }, _>("SET_EVENTFD", set)
    }

    /// Has the kernel carry out descriptors; [`KernelQueue::execute`] does it for a queue of one's own.
    pub fn execute(
        &self,
        queue: u32,
        descriptors: &[Descriptor],
        completions: &mut [Completion],
        timeout: Duration,
    ) -> Result<usize, Error> {
        let count = descriptors.len().min(completions.len());
        // The driver writes no more completions than it was given descriptors.
        let mut execute = ioctl::Execute {
            descriptors: descriptors.as_ptr().addr() as u64,
            completions: completions.as_mut_ptr().expose_provenance() as u64,
            queue,
            count: count.try_into().unwrap_or(u32::MAX),
            timeout_ms: timeout.as_millis().try_into().unwrap_or(u32::MAX),
            reserved: 0,
        };
        self.update::<{ ioctl::EXECUTE as Opcode }, _>("EXECUTE", &mut execute)?;
        Ok(execute.count as usize)
    }

    /// Moves the bytes at `address` of the process into a window, or those of the window there.
    pub(crate) fn transfer(&self, transfer: &mut ioctl::Transfer) -> Result<(), Error> {
        self.update::<{ ioctl::TRANSFER as Opcode }, _>("TRANSFER", transfer)?;
        match Status(transfer.status as u16) {
            Status::OK => Ok(()),
            status => Err(Error::NotMoved {
                status,
                moved: transfer.length,
            }),
        }
    }

    fn name<const NUMBER: Opcode>(&self, call: &'static str, number: u32) -> Result<(), Error> {
        let object = ioctl::Object {
            number,
            reserved: 0,
        };
        self.set::<NUMBER, _>(call, object)
    }

    /// A call that reads a `T`.
    fn set<const NUMBER: Opcode, T: IntoBytes + Immutable>(
        &self,
        call: &'static str,
        argument: T,
    ) -> Result<(), Error> {
        const { assert!(size_of::<T>() == size(NUMBER)) };
        // SAFETY: The number belongs to a call that reads as many bytes as a `T` has.
        let set = unsafe { Setter::<NUMBER, T>::new(argument) };
        // SAFETY: As above.
        let answer = unsafe { rustix::ioctl::ioctl(&*self.file, set) };
        answer.map_err(|errno| Error::Refused { call, errno })
    }

    /// A call that reads and writes a `T`. What that points to is the caller's to answer for.
    fn update<const NUMBER: Opcode, T: FromBytes + IntoBytes>(
        &self,
        call: &'static str,
        argument: &mut T,
    ) -> Result<(), Error> {
        const { assert!(size_of::<T>() == size(NUMBER)) };
        // SAFETY: The number belongs to a call that reads and writes as many bytes as a `T` has,
        // which can be any.
        let update = unsafe { Updater::<NUMBER, T>::new(argument) };
        // SAFETY: As above.
        let answer = unsafe { rustix::ioctl::ioctl(&*self.file, update) };
        answer.map_err(|errno| Error::Refused { call, errno })
    }
}

impl AsFd for Device {
    /// For `poll` and `epoll`: readable while a queue has completions that were not taken.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Bytes of the argument of a call, as its number says.
const fn size(number: Opcode) -> usize {
    number as usize >> 16 & 0x3fff
}

/// A window on parts of buffers or device memory, or on memory of the process's own.
///
/// Stays open until its file is closed, unless [`close`](Self::close) closes it before.
#[derive(Debug)]
pub struct Window {
    device: Device,
    number: u16,
}

impl Window {
    /// Its number, for descriptors.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// Closes it. What descriptors do in it is broken off.
    pub fn close(self) -> Result<(), Error> {
        self.device.close_window(self.number.into())
    }
}

/// A DMA buffer, mapped.
#[derive(Debug)]
pub struct Buffer {
    device: Device,
    mapping: Mapping,
    window: u16,
    offset: u64,
}

impl Buffer {
    /// A part of it, for [`Device::open_window`].
    pub fn part(&self, range: Range<u64>) -> ioctl::WindowPart {
        ioctl::WindowPart {
            buffer: self.window.into(),
            reserved: 0,
            offset: range.start,
            length: range.end.saturating_sub(range.start),
        }
    }

    /// Closes all windows on it and gives it back. Its pages are gone, also where they are mapped
    /// again.
    pub fn close(self) -> Result<(), Error> {
        self.device.destroy_buffer(self.window.into())
    }

    /// Number of the window, for descriptors.
    pub fn window(&self) -> u16 {
        self.window
    }

    /// The memory.
    pub fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// The mmap offset of its start, to map it again.
    pub fn offset(&self) -> u64 {
        self.offset
    }
}

/// A range of the device memory, mapped.
#[derive(Debug)]
pub struct DeviceMemory {
    device: Device,
    mapping: Mapping,
    window: u16,
    offset: u64,
}

impl DeviceMemory {
    /// A part of it, for [`Device::open_window`].
    pub fn part(&self, range: Range<u64>) -> ioctl::WindowPart {
        ioctl::WindowPart {
            buffer: self.window.into(),
            reserved: 0,
            offset: range.start,
            length: range.end.saturating_sub(range.start),
        }
    }

    /// Closes all windows on it and gives it back. Its pages are gone, also where they are mapped
    /// again.
    pub fn close(self) -> Result<(), Error> {
        self.device.destroy_buffer(self.window.into())
    }

    /// Number of the window, for descriptors.
    pub fn window(&self) -> u16 {
        self.window
    }

    /// The memory.
    pub fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// The mmap offset of its start, to map it again.
    pub fn offset(&self) -> u64 {
        self.offset
    }
}

/// Memory of the kernel, mapped.
#[derive(Debug)]
pub struct KernelMemory {
    mapping: Mapping,
    offset: u64,
}

impl KernelMemory {
    /// The memory.
    pub fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// The mmap offset of its start, to map it again.
    pub fn offset(&self) -> u64 {
        self.offset
    }
}

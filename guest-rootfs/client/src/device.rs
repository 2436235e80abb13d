// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! An open device and the objects that it makes.

#![expect(unsafe_code, reason = "issues ioctls")]

use crate::{page_size, Error, KernelQueue, Mapping, Queue};
use ringbar_spec::ring::{Completion, Descriptor, Status};
use ringbar_uapi::{ioctl, mmap};
use rustix::fs::{fcntl_getfl, OFlags};
use rustix::io::{retry_on_intr, Errno};
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
    /// Read its bytes.
    Read,
    /// Write its bytes.
    Write,
    /// Read and write its bytes.
    ReadWrite,
}

impl Rights {
    /// Returns the rights as the driver encodes them.
    const fn bits(self) -> u32 {
        match self {
            Self::Read => ioctl::RIGHT_READ,
            Self::Write => ioctl::RIGHT_WRITE,
            Self::ReadWrite => ioctl::RIGHT_READ | ioctl::RIGHT_WRITE,
        }
    }
}

/// A part of the device memory, which determines how a range of it is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Mapped write-combining.
    WriteCombining,
    /// Mapped uncached.
    Uncached,
    /// Mapped page by page at the first access, write-combining.
    Lazy,
}

/// Memory of the kernel, outside the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryKind {
    /// Physically contiguous memory.
    Contiguous(Policy),
    /// Memory that is contiguous in the kernel's address space only.
    Vmalloc,
}

/// Cache policy of a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Cached like ordinary memory.
    Cached,
    /// Writes may be combined; nothing is cached.
    WriteCombining,
    /// Every access reaches the memory, in order.
    Uncached,
}

/// An open node of the driver.
#[derive(Clone, Debug)]
pub struct Device {
    file: Arc<File>,
    /// Whether regions of it are mapped writable.
    writable: bool,
}

impl Device {
    /// Opens a node. `/dev/ringbar0` is the first one.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_as(path.as_ref(), true)
    }

    /// Opens a node read-only. All its mappings are read-only and cannot become writable.
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_as(path.as_ref(), false)
    }

    /// Opens a node, writable or not.
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

    /// Takes an open file of a node: one that another process has passed on, or that was left open
    /// across `exec`. Its regions are mapped writable if the file is.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] if the kernel does not tell how the file was opened.
    pub fn from_file(file: File) -> Result<Self, Error> {
        let flags = fcntl_getfl(&file).map_err(|errno| Error::Refused {
            call: "F_GETFL",
            errno,
        })?;
        Ok(Self {
            file: Arc::new(file),
            writable: flags.contains(OFlags::RDWR),
        })
    }

    /// Maps a whole region.
    pub(crate) fn map(&self, offset: u64, size: usize) -> Result<Mapping, Error> {
        Mapping::new(self.file.clone(), offset, size, self.writable)
    }

    /// Maps a whole buffer or range of device memory. Destroys it if that fails.
    fn map_or_destroy(&self, offset: u64, size: u64, window: u32) -> Result<Mapping, Error> {
        self.map(offset, size as usize).inspect_err(|_| {
            // An error here is ignored. The caller needs the error of the mapping, and the file's
            // close destroys the object in any case.
            let _given_back = self.destroy_buffer(window);
        })
    }

    /// Returns the file, for ioctls that this library does not have.
    pub fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// Returns the identity of the device and its limits.
    pub fn info(&self) -> Result<ioctl::Info, Error> {
        // SAFETY: The number belongs to a call that fills in an `Info`.
        let call = unsafe { Getter::<{ ioctl::INFO as Opcode }, ioctl::Info>::new() };
        // SAFETY: The kernel writes an `Info` to the space that the getter has for one, and nothing
        // else.
        let answer = unsafe { rustix::ioctl::ioctl(&*self.file, call) };
        answer.map_err(|errno| Error::Refused {
            call: "INFO",
            errno,
        })
    }

    /// Creates a queue with `entries` in each ring, a power of two, and maps it.
    pub fn create_queue(&self, entries: u32) -> Result<Queue, Error> {
        let create = self.start_queue(entries)?;
        Queue::map(self, &create).inspect_err(|_| {
            // An error here is ignored. The caller needs the error of the mapping, and the file's
            // close destroys the queue in any case.
            let _given_back = self.destroy_queue(create.queue);
        })
    }

    /// Creates a queue without mapping it, for programs that map it themselves.
    pub fn start_queue(&self, entries: u32) -> Result<ioctl::CreateQueue, Error> {
        self.take_queue(entries, 0)
    }

    /// Creates a queue of the kernel, with `entries` in each ring, a power of two.
    pub fn create_kernel_queue(&self, entries: u32) -> Result<KernelQueue, Error> {
        let create = self.take_queue(entries, ioctl::QUEUE_KERNEL)?;
        Ok(KernelQueue::new(self, create.queue))
    }

    /// Creates a queue with these flags.
    fn take_queue(&self, entries: u32, flags: u32) -> Result<ioctl::CreateQueue, Error> {
        let mut create = ioctl::CreateQueue {
            entries,
            flags,
            ..Default::default()
        };
        self.update::<{ ioctl::CREATE_QUEUE as Opcode }, _>("CREATE_QUEUE", &mut create)?;
        Ok(create)
    }

    /// Creates a DMA buffer of at least `size` bytes and maps it.
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

    /// Creates a range of at least `size` bytes in a part of the device memory, and maps it.
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

    /// Creates kernel memory of at least `size` bytes and maps it.
    pub fn create_memory(&self, memory: MemoryKind, size: usize) -> Result<KernelMemory, Error> {
        let (kind, policy) = match memory {
            MemoryKind::Contiguous(policy) => (ioctl::MEMORY_CONTIGUOUS, policy),
            MemoryKind::Vmalloc => (ioctl::MEMORY_VMALLOC, Policy::Cached),
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

    /// Maps the public registers. The caller needs `CAP_SYS_RAWIO`.
    pub fn map_public_registers(&self) -> Result<Mapping, Error> {
        self.map(mmap::PUBLIC_REGISTERS, page_size())
    }

    /// Opens a window on parts of buffers or device memory, in this order.
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

    /// Opens a window on part of a mapping: anonymous memory or a file in memory.
    ///
    /// The driver pins its pages until the window is closed, even if they are unmapped meanwhile.
    /// They count against `RLIMIT_MEMLOCK`.
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
        // SAFETY: The bytes belong to the mapping, and no reference to them exists.
        unsafe {
            self.open_user_window_at(address.expose_provenance() as u64, length as u64, rights)
        }
    }

    /// Opens a window as [`open_user_window`](Self::open_user_window) does, on any addresses of the
    /// process.
    ///
    /// # Safety
    ///
    /// With the right to write, the device may write the bytes at any time until the window is
    /// closed. Until then no reference to them may exist, and the caller must own them.
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

    /// Waits for completions of a queue. [`Queue::wait`] does so for its own queue. A signal does
    /// not end the wait.
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

    /// Stops a queue and starts it again. [`Queue::reset`] does so for its own queue.
    pub fn reset_queue(&self, queue: u32) -> Result<(), Error> {
        self.name::<{ ioctl::RESET_QUEUE as Opcode }>("RESET_QUEUE", queue)
    }

    /// Stops a queue and destroys it, by its number.
    pub fn destroy_queue(&self, queue: u32) -> Result<(), Error> {
        self.name::<{ ioctl::DESTROY_QUEUE as Opcode }>("DESTROY_QUEUE", queue)
    }

    /// Destroys a buffer or range of device memory, by the number of its own window.
    pub fn destroy_buffer(&self, window: u32) -> Result<(), Error> {
        self.name::<{ ioctl::DESTROY_BUFFER as Opcode }>("DESTROY_BUFFER", window)
    }

    /// Closes a window that [`Device::open_window`] or [`Device::open_user_window`] opened, by its
    /// number.
    pub fn close_window(&self, window: u32) -> Result<(), Error> {
        self.name::<{ ioctl::CLOSE_WINDOW as Opcode }>("CLOSE_WINDOW", window)
    }

    /// Sets the eventfd that interrupts of a queue signal; `None` removes it.
    pub fn set_event_fd(&self, queue: u32, event: Option<BorrowedFd<'_>>) -> Result<(), Error> {
        let fd = event.map_or(-1, |event| event.as_raw_fd());
        let set = ioctl::SetEventFd { queue, fd };
        self.set::<{ ioctl::SET_EVENTFD as Opcode }, _>("SET_EVENTFD", set)
    }

    /// Lets the kernel carry out descriptors. [`KernelQueue::execute`] does so for its own queue.
    ///
    /// A signal does not end it: it goes on with the descriptors that are left, for the time that
    /// is left.
    pub fn execute(
        &self,
        queue: u32,
        descriptors: &[Descriptor],
        completions: &mut [Completion],
        timeout: Duration,
    ) -> Result<usize, Error> {
        let count = descriptors.len().min(completions.len());
        // The smaller count: the driver writes one completion per descriptor, and must not write
        // beyond the slice.
        let (descriptors, completions) = (&descriptors[..count], &mut completions[..count]);
        let mut done = 0;
        let mut began = 0;
        loop {
            let (descriptors, completions) = (&descriptors[done..], &mut completions[done..]);
            let mut execute = ioctl::Execute {
                descriptors: descriptors.as_ptr().addr() as u64,
                completions: completions.as_mut_ptr().expose_provenance() as u64,
                queue,
                count: descriptors.len().try_into().unwrap_or(u32::MAX),
                timeout_ms: timeout.as_millis().try_into().unwrap_or(u32::MAX),
                began,
            };
            self.update::<{ ioctl::EXECUTE as Opcode }, _>("EXECUTE", &mut execute)?;
            done += execute.count as usize;
            began = execute.began;
            // With a mark, a signal has ended the call before its end.
            if began == 0 || done >= count {
                return Ok(done);
            }
        }
    }

    /// Moves bytes between `address` of the process and a window, in the direction that `transfer`
    /// names. Goes on after a signal.
    pub(crate) fn transfer(&self, transfer: &mut ioctl::Transfer) -> Result<(), Error> {
        let mut left = transfer.length;
        let mut moved = 0;
        loop {
            self.update::<{ ioctl::TRANSFER as Opcode }, _>("TRANSFER", transfer)?;
            moved += transfer.length;
            match Status(transfer.status as u16) {
                // With a mark, a signal has ended the call before its end.
                Status::OK if transfer.began == 0 => return Ok(()),
                Status::OK => {}
                status => return Err(Error::NotMoved { status, moved }),
            }
            left = left.saturating_sub(transfer.length);
            transfer.address += transfer.length;
            transfer.offset += transfer.length;
            transfer.length = left;
        }
    }

    /// Issues a call whose argument is the number of an object.
    fn name<const NUMBER: Opcode>(&self, call: &'static str, number: u32) -> Result<(), Error> {
        let object = ioctl::Object {
            number,
            reserved: 0,
        };
        self.set::<NUMBER, _>(call, object)
    }

    /// Issues a call that reads a `T`. Issues it again if a signal came first.
    fn set<const NUMBER: Opcode, T: IntoBytes + Immutable + Copy>(
        &self,
        call: &'static str,
        argument: T,
    ) -> Result<(), Error> {
        const { assert!(size_of::<T>() == size(NUMBER)) };
        let answer = retry_on_intr(|| {
            // SAFETY: The number belongs to a call that reads as many bytes as a `T` has, which the
            // assertion checks.
            let set = unsafe { Setter::<NUMBER, T>::new(argument) };
            // SAFETY: The setter holds a `T` that the kernel only reads. Addresses in it are
            // checked by the kernel.
            unsafe { rustix::ioctl::ioctl(&*self.file, set) }
        });
        answer.map_err(|errno| Error::Refused { call, errno })
    }

    /// Issues a call that reads and writes a `T`. The caller is responsible for memory that the
    /// argument points to. Issues it again if a signal came first: the driver has done nothing
    /// then, and the argument is ready for it.
    fn update<const NUMBER: Opcode, T: FromBytes + IntoBytes>(
        &self,
        call: &'static str,
        argument: &mut T,
    ) -> Result<(), Error> {
        const { assert!(size_of::<T>() == size(NUMBER)) };
        let answer = retry_on_intr(|| {
            // SAFETY: The number belongs to a call that reads and writes as many bytes as a `T`
            // has, which the assertion checks. Any bytes are a valid `T`.
            let update = unsafe { Updater::<NUMBER, T>::new(argument) };
            // SAFETY: The updater borrows `argument` exclusively. Apart from it, the kernel writes
            // only to memory that `argument` points to, which callers of this function own.
            unsafe { rustix::ioctl::ioctl(&*self.file, update) }
        });
        answer.map_err(|errno| Error::Refused { call, errno })
    }
}

impl AsFd for Device {
    /// Returns the file for `poll` and `epoll`. It is readable while a queue has completions that
    /// were not taken.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Returns the size of a call's argument, which is encoded in its number.
const fn size(number: Opcode) -> usize {
    number as usize >> 16 & 0x3fff
}

/// A window on parts of buffers or device memory, or on memory of the process.
///
/// It stays open until its file is closed, unless [`close`](Self::close) closes it earlier.
#[derive(Debug)]
pub struct Window {
    device: Device,
    number: u16,
}

impl Window {
    /// Returns its number, for descriptors.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// Closes it. The device breaks off descriptors that use it.
    pub fn close(self) -> Result<(), Error> {
        self.device.close_window(self.number.into())
    }
}

/// A mapped DMA buffer.
#[derive(Debug)]
pub struct Buffer {
    device: Device,
    mapping: Mapping,
    window: u16,
    offset: u64,
}

impl Buffer {
    /// Returns a part of it, for [`Device::open_window`].
    pub fn part(&self, range: Range<u64>) -> ioctl::WindowPart {
        ioctl::WindowPart {
            buffer: self.window.into(),
            reserved: 0,
            offset: range.start,
            length: range.end.saturating_sub(range.start),
        }
    }

    /// Closes all windows on it and destroys it. Its pages disappear from all mappings.
    pub fn close(self) -> Result<(), Error> {
        self.device.destroy_buffer(self.window.into())
    }

    /// Returns the number of its window, for descriptors.
    pub fn window(&self) -> u16 {
        self.window
    }

    /// Returns the mapped memory.
    pub fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// Returns the mmap offset of its start, to map it again.
    pub fn offset(&self) -> u64 {
        self.offset
    }
}

/// A mapped range of device memory.
#[derive(Debug)]
pub struct DeviceMemory {
    device: Device,
    mapping: Mapping,
    window: u16,
    offset: u64,
}

impl DeviceMemory {
    /// Returns a part of it, for [`Device::open_window`].
    pub fn part(&self, range: Range<u64>) -> ioctl::WindowPart {
        ioctl::WindowPart {
            buffer: self.window.into(),
            reserved: 0,
            offset: range.start,
            length: range.end.saturating_sub(range.start),
        }
    }

    /// Closes all windows on it and destroys it. Its pages disappear from all mappings.
    pub fn close(self) -> Result<(), Error> {
        self.device.destroy_buffer(self.window.into())
    }

    /// Returns the number of its window, for descriptors.
    pub fn window(&self) -> u16 {
        self.window
    }

    /// Returns the mapped memory.
    pub fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// Returns the mmap offset of its start, to map it again.
    pub fn offset(&self) -> u64 {
        self.offset
    }
}

/// Mapped memory of the kernel.
#[derive(Debug)]
pub struct KernelMemory {
    mapping: Mapping,
    offset: u64,
}

impl KernelMemory {
    /// Returns the mapped memory.
    pub fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// Returns the mmap offset of its start, to map it again.
    pub fn offset(&self) -> u64 {
        self.offset
    }
}

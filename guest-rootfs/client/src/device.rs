// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! An open device, and what it gives.

#![expect(unsafe_code, reason = "issues ioctls")]

use crate::{Error, Mapping, Queue};
use ringbar_spec::layout::PAGE_SIZE;
use ringbar_uapi::{ioctl, mmap};
use rustix::io::Errno;
use rustix::ioctl::{Getter, Opcode, Setter, Updater};
use std::fs::{File, OpenOptions};
use std::path::Path;
use std::sync::Arc;

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

    /// Takes a queue with `entries` in each ring, a power of two.
    pub fn create_queue(&self, entries: u32) -> Result<Queue, Error> {
        let mut create = ioctl::CreateQueue {
            entries,
            ..Default::default()
        };
        self.update::<{ ioctl::CREATE_QUEUE as Opcode }, _>("CREATE_QUEUE", &mut create)?;
        Queue::map(self.clone(), &create)
    }

    /// Makes a DMA buffer of at least `size` bytes.
    pub fn create_buffer(&self, size: usize, rights: Rights) -> Result<Buffer, Error> {
        let mut create = ioctl::CreateBuffer {
            size: size as u64,
            rights: rights.bits(),
            ..Default::default()
        };
        self.update::<{ ioctl::CREATE_BUFFER as Opcode }, _>("CREATE_BUFFER", &mut create)?;
        let mapping = self.map(create.offset, create.size as usize)?;
        Ok(Buffer {
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
        let mapping = self.map(create.offset, create.size as usize)?;
        Ok(DeviceMemory {
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

    /// Announces indices of a queue; [`Queue::submit`] does it for a queue of one's own.
    pub fn submit(&self, submit: ioctl::Submit) -> Result<(), Error> {
        // SAFETY: The number belongs to a call that reads a `Submit`.
        let call = unsafe { Setter::<{ ioctl::SUBMIT as Opcode }, _>::new(submit) };
        // SAFETY: As above.
        let answer = unsafe { rustix::ioctl::ioctl(&*self.file, call) };
        answer.map_err(|errno| Error::Refused {
            call: "SUBMIT",
            errno,
        })
    }

    /// Waits for completions of a queue; [`Queue::wait`] does it for a queue of one's own.
    pub fn wait(&self, wait: &mut ioctl::Wait) -> Result<(), Error> {
        self.update::<{ ioctl::WAIT as Opcode }, _>("WAIT", wait)
    }

    fn update<const NUMBER: Opcode, T: Argument>(
        &self,
        call: &'static str,
        argument: &mut T,
    ) -> Result<(), Error> {
        const { assert!(NUMBER == T::NUMBER as Opcode) };
        // SAFETY: The number belongs to a call that reads and writes a `T`.
        let update = unsafe { Updater::<NUMBER, T>::new(argument) };
        // SAFETY: As above.
        let answer = unsafe { rustix::ioctl::ioctl(&*self.file, update) };
        answer.map_err(|errno| Error::Refused { call, errno })
    }
}

/// An argument that a call reads and writes.
trait Argument {
    /// The call it belongs to.
    const NUMBER: u32;
}

impl Argument for ioctl::CreateQueue {
    const NUMBER: u32 = ioctl::CREATE_QUEUE;
}
impl Argument for ioctl::CreateBuffer {
    const NUMBER: u32 = ioctl::CREATE_BUFFER;
}
impl Argument for ioctl::CreateDeviceMemory {
    const NUMBER: u32 = ioctl::CREATE_DEVICE_MEMORY;
}
impl Argument for ioctl::CreateMemory {
    const NUMBER: u32 = ioctl::CREATE_MEMORY;
}
impl Argument for ioctl::Wait {
    const NUMBER: u32 = ioctl::WAIT;
}

/// A DMA buffer, mapped.
#[derive(Debug)]
pub struct Buffer {
    mapping: Mapping,
    window: u16,
    offset: u64,
}

impl Buffer {
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
    mapping: Mapping,
    window: u16,
    offset: u64,
}

impl DeviceMemory {
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

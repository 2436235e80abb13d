// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The driver: initializes the device, opens windows, carries out descriptors.

use crate::space::{failed, fd, file, refused};
use crate::words::SharedPages;
use crate::{Error, Space};
use ringbar_client::Mapping;
use ringbar_spec::error::ErrorCode;
use ringbar_spec::ids::{DEVICE_ID, IDENT, VENDOR_ID, VERSION_MAJOR};
use ringbar_spec::layout::{DOORBELL_PAGES, PAGE_SIZE, REGISTER_BAR_SIZE};
use ringbar_spec::regs::{Register, ERROR_LOG_ENTRIES, ERROR_LOG_ENTRY, RESET_KEY, VERSION};
use ringbar_spec::ring::{distance, slot, Completion, Descriptor};
use ringbar_spec::setup::{QueueSetup, WindowSetup};
use ringbar_spec::wake::{self, Waiter, Word, Words};
use ringbar_test_vectors::blocks::{self, Place};
use ringbar_test_vectors::dma::DmaPath;
use ringbar_test_vectors::scene::{Backing, Part, Rights};
use ringbar_test_vectors::BATCH;
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::fs::{ftruncate, memfd_create, MemfdFlags};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use vfio_bindings::bindings::vfio::{
    VFIO_PCI_BAR0_REGION_INDEX, VFIO_PCI_BAR2_REGION_INDEX, VFIO_PCI_CONFIG_REGION_INDEX,
    VFIO_PCI_MSIX_IRQ_INDEX, VFIO_PCI_MSI_IRQ_INDEX,
};
use vfio_ioctls::VfioDevice;
use vmm_sys_util::eventfd::{EventFd, EFD_NONBLOCK};
use zerocopy::IntoBytes;

/// Size of the driver's memory in bytes.
const SIZE: usize = 4 << 20;
/// Address of that memory for the device.
const BASE: u64 = 0x1_0000_0000;
/// Entries of both rings.
const ENTRIES: u32 = BATCH as u32;
/// Protection domain of the queue, and one that the queue has no access to.
const DOMAIN: u32 = 1;
const OTHER_DOMAIN: u32 = 2;
/// Longest time that completions may take. It catches a lost interrupt, and is long enough for a
/// busy host.
const PATIENCE: Duration = Duration::from_secs(60);
/// Command register and its bits for memory space and bus mastering.
const COMMAND: u64 = 4;
const COMMAND_ON: u16 = 1 << 1 | 1 << 2;

/// A memory of the test vectors.
#[derive(Clone, Copy)]
struct Memory {
    backing: Backing,
    /// First byte, counted in the driver's or the device's memory.
    start: usize,
}

/// A device that was initialized.
pub struct VfioDriver {
    device: VfioDevice,
    registers: Mapping,
    shared: SharedPages,
    device_memory: Mapping,
    device_used: usize,
    memory: Mapping,
    used: usize,
    /// Kind of interrupts, as VFIO numbers them.
    kind: u32,
    /// One per vector.
    interrupts: Vec<EventFd>,
    submission: usize,
    completion: usize,
    block: usize,
    memories: Vec<Memory>,
    next_window: u16,
    submitted: u32,
    taken: u32,
    // Last: fields drop in order. While the device is open it can access the memory, so the address
    // space must outlive it.
    space: Space,
}

impl VfioDriver {
    /// Opens the device with this folder in sysfs and initializes it. `vfio-pci` must be bound to
    /// it.
    pub fn open(space: Space, folder: &Path) -> Result<Self, Error> {
        let device = space.open(folder)?;
        let shared = REGISTER_BAR_SIZE - DOORBELL_PAGES;
        let map = |index, offset: usize, size| {
            let start = device.get_region_offset(index) + offset as u64;
            Mapping::new(file(&device)?, start, size, true).map_err(Error::from)
        };
        let bar2 = device.get_region_size(VFIO_PCI_BAR2_REGION_INDEX) as usize;
        let mut driver = Self {
            registers: map(VFIO_PCI_BAR0_REGION_INDEX, 0, 2 * PAGE_SIZE)?,
            shared: SharedPages(map(VFIO_PCI_BAR0_REGION_INDEX, DOORBELL_PAGES, shared)?),
            device_memory: map(VFIO_PCI_BAR2_REGION_INDEX, 0, bar2)?,
            device_used: 0,
            memory: memory(SIZE)?,
            used: 0,
            kind: VFIO_PCI_MSIX_IRQ_INDEX,
            interrupts: Vec::new(),
            submission: 0,
            completion: 0,
            block: 0,
            memories: Vec::new(),
            next_window: 1,
            submitted: 0,
            taken: 0,
            device,
            space,
        };
        driver.submission = driver.take(ENTRIES as usize * size_of::<Descriptor>())?;
        driver.completion = driver.take(ENTRIES as usize * size_of::<Completion>())?;
        driver.block = driver.take(2 * PAGE_SIZE)?;
        driver.check()?;
        let all = 0..driver.memory.len();
        driver
            .space
            .map(BASE, &driver.memory, all, Rights::ReadWrite)?;
        driver.connect_interrupts()?;
        driver.bring_up()?;
        Ok(driver)
    }

    /// Returns the device, for calls that this driver does not have.
    pub fn device(&self) -> &VfioDevice {
        &self.device
    }

    /// Returns the device's file, for mappings that this driver does not have.
    pub fn file(&self) -> Result<Arc<File>, Error> {
        file(&self.device)
    }

    /// Initializes the device after a reset, which has closed all windows.
    pub fn begin_again(&mut self) -> Result<(), Error> {
        self.next_window = 1;
        (self.submitted, self.taken) = (0, 0);
        self.bring_up()
    }

    /// Switches memory space and bus mastering on.
    pub fn enable(&self) {
        let command = COMMAND_ON.to_le_bytes();
        self.device
            .region_write(VFIO_PCI_CONFIG_REGION_INDEX, &command, COMMAND);
    }

    /// Checks that the device is one that this driver supports.
    fn check(&self) -> Result<(), Error> {
        let mut ids = [0; 4];
        self.device
            .region_read(VFIO_PCI_CONFIG_REGION_INDEX, &mut ids, 0);
        let version = VERSION::from_raw(self.get(Register::VERSION) as u32);
        for (what, found, wanted) in [
            (
                "vendor and device",
                u32::from_le_bytes(ids).into(),
                u64::from(DEVICE_ID) << 16 | u64::from(VENDOR_ID),
            ),
            ("identity", self.get(Register::IDENT), IDENT.into()),
            (
                "major version",
                version.major().into(),
                VERSION_MAJOR.into(),
            ),
        ] {
            if found != wanted {
                return Err(Error::WrongDevice {
                    what,
                    found,
                    wanted,
                });
            }
        }
        Ok(())
    }

    /// Makes an eventfd for each vector: of MSI-X if the device has it, otherwise of MSI.
    fn connect_interrupts(&mut self) -> Result<(), Error> {
        let vectors = |index| self.device.get_irq_info(index).map_or(0, |it| it.count);
        if vectors(self.kind) == 0 {
            self.kind = VFIO_PCI_MSI_IRQ_INDEX;
        }
        for _ in 0..vectors(self.kind) {
            let event = EventFd::new(EFD_NONBLOCK).map_err(failed("eventfd"))?;
            self.interrupts.push(event);
        }
        self.connect_interrupts_again()
    }

    /// Connects the eventfds to the vectors. A reset disconnects them.
    pub fn connect_interrupts_again(&self) -> Result<(), Error> {
        let events = self.interrupts.iter().collect();
        Ok(self.device.enable_irq(self.kind, events)?)
    }

    /// Returns the eventfd of the queue's vector.
    pub fn interrupt_fd(&self) -> RawFd {
        self.interrupts[self.vector() as usize].as_raw_fd()
    }

    /// Initializes the device (data sheet 14).
    fn bring_up(&mut self) -> Result<(), Error> {
        self.enable();
        self.set(Register::RESET, RESET_KEY.into());
        // A reset leaves these words 0 (data sheet 12). An `INTERRUPT_AT` of 0 asks for an
        // interrupt at the first completion; all ones asks for none.
        for (word, value) in [
            (Word::SubmissionTail, 0),
            (Word::SubmissionInline, 0),
            (Word::CompletionHead, 0),
            (Word::InterruptAt, u32::MAX),
            (Word::DriverInterruptAt, u32::MAX),
        ] {
            self.shared.store(word, value);
        }
        self.start_queue()
    }

    /// Starts the queue, which must be stopped.
    pub fn start_queue(&mut self) -> Result<(), Error> {
        let setup = QueueSetup {
            queue: 0,
            domain: DOMAIN,
            submission_ring: address(self.submission),
            completion_ring: address(self.completion),
            submission_entries: ENTRIES,
            completion_entries: ENTRIES,
            vector: self.vector(),
            ..QueueSetup::default()
        };
        self.memory.write_bytes(self.block, setup.as_bytes());
        self.command(Register::QUEUE_START, address(self.block))
    }

    /// Returns the queue's vector: vector 1 if there are several, since vector 0 reports errors.
    fn vector(&self) -> u32 {
        u32::from(self.interrupts.len() > 1)
    }

    /// Reserves whole pages of the driver's memory. Returns the offset of the first byte.
    fn take(&mut self, size: usize) -> Result<usize, Error> {
        let start = self.used;
        let end = start.checked_add(size.next_multiple_of(PAGE_SIZE));
        let end = end.filter(|end| *end <= self.memory.len());
        self.used = end.ok_or(Error::Full(size))?;
        Ok(start)
    }

    /// Opens a window on these places. Returns its number.
    fn open_window(
        &mut self,
        domain: u32,
        rights: Rights,
        places: &[(Place, u64)],
    ) -> Result<u16, Error> {
        let number = self.next_window;
        let (setup, segments) = blocks::window(domain, rights, places);
        let setup = WindowSetup {
            window: number.into(),
            ..setup
        };
        self.memory.write_bytes(self.block, setup.as_bytes());
        let list = self.block + size_of::<WindowSetup>();
        self.memory.write_bytes(list, segments.as_bytes());
        self.command(Register::WINDOW_OPEN, address(self.block))?;
        self.next_window += 1;
        Ok(number)
    }

    /// Reads a register of the first two pages.
    pub fn get(&self, register: Register) -> u64 {
        let info = register.info();
        match info.width {
            8 => self.registers.read(info.offset),
            _ => self.registers.read::<u32>(info.offset).into(),
        }
    }

    /// Writes a register of the first two pages.
    pub fn set(&self, register: Register, value: u64) {
        let info = register.info();
        match info.width {
            8 => self.registers.write(info.offset, value),
            _ => self.registers.write(info.offset, value as u32),
        }
    }

    /// Issues an admin command. Fails if the device refuses it.
    fn command(&self, register: Register, value: u64) -> Result<(), Error> {
        self.set(register, value);
        match ErrorCode(self.get(Register::ADMIN_STATUS) as u16) {
            ErrorCode::NONE => Ok(()),
            code => Err(Error::RefusedByDevice {
                command: register.info().name,
                code,
            }),
        }
    }

    /// Wakes the queue by a write system call, since the kick page is not mapped.
    fn kick(&self) {
        let kick = Register::KICK.info().offset as u64;
        self.device
            .region_write(VFIO_PCI_BAR0_REGION_INDEX, &1_u32.to_le_bytes(), kick);
    }

    /// Waits until `count` completions have come. Fails if their interrupt does not come, even if
    /// they do.
    fn wait(&mut self, count: u32) -> Result<(), Error> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let came = self.sleep(deadline.saturating_duration_since(Instant::now()))?;
            let there = distance(self.taken, self.shared.load(Word::CompletionTail));
            match (came, there >= count) {
                (true, true) => return Ok(()),
                // The interrupt may be for an error, or for completions before the last. Sleep
                // again.
                (true, false) => {}
                (false, _) => {
                    return Err(Error::Late {
                        there,
                        wanted: count,
                        limit: PATIENCE,
                    })
                }
            }
        }
    }

    /// Sleeps until the queue's interrupt comes, or until `limit` has passed. Returns whether it
    /// came.
    fn sleep(&self, limit: Duration) -> Result<bool, Error> {
        let event = &self.interrupts[self.vector() as usize];
        let limit = Timespec::try_from(limit).unwrap_or_default();
        let mut polled = [PollFd::from_borrowed_fd(fd(event), PollFlags::IN)];
        let came = poll(&mut polled, Some(&limit)).map_err(refused("poll"))? == 1;
        if came {
            event.read().map_err(failed("read"))?;
        }
        Ok(came)
    }

    /// Returns the mapping of a memory and its first byte there.
    fn place(&self, memory: usize) -> (&Mapping, usize) {
        let Memory { backing, start } = self.memories[memory];
        match backing {
            Backing::Guest => (&self.memory, start),
            Backing::Device => (&self.device_memory, start),
        }
    }
}

impl ringbar_test_vectors::Path for VfioDriver {
    type Error = Error;

    fn memory(&mut self, backing: Backing, size: usize) -> Result<(), Error> {
        let start = match backing {
            Backing::Guest => self.take(size)?,
            Backing::Device => {
                let start = self.device_used;
                let end = start.checked_add(size);
                let end = end.filter(|end| *end <= self.device_memory.len());
                self.device_used = end.ok_or(Error::Full(size))?;
                start
            }
        };
        self.memories.push(Memory { backing, start });
        Ok(())
    }

    fn window(&mut self, parts: &[Part], rights: Rights) -> Result<u16, Error> {
        let places: Vec<_> = parts
            .iter()
            .map(|part| {
                let Memory { backing, start } = self.memories[part.memory];
                let first = start + part.range.start;
                let place = match backing {
                    Backing::Guest => Place::Guest(address(first)),
                    Backing::Device => Place::Device(first as u64),
                };
                (place, part.range.len() as u64)
            })
            .collect();
        self.open_window(DOMAIN, rights, &places)
    }

    fn foreign_window(&mut self) -> Result<u16, Error> {
        let start = self.take(PAGE_SIZE)?;
        let page = (Place::Guest(address(start)), PAGE_SIZE as u64);
        self.open_window(OTHER_DOMAIN, Rights::ReadWrite, &[page])
    }

    fn close(&mut self, window: u16) -> Result<(), Error> {
        self.command(Register::WINDOW_CLOSE, window.into())
    }

    fn write(&mut self, memory: usize, offset: usize, bytes: &[u8]) {
        let (mapping, start) = self.place(memory);
        mapping.write_bytes(start + offset, bytes);
    }

    fn read(&mut self, memory: usize, offset: usize, bytes: &mut [u8]) {
        let (mapping, start) = self.place(memory);
        mapping.read_into(start + offset, bytes);
    }

    fn run(&mut self, descriptors: &[Descriptor]) -> Result<Vec<Completion>, Error> {
        self.submit(descriptors)?;
        self.finish(descriptors.len())
    }
}

impl DmaPath for VfioDriver {
    fn map(&mut self, address: u64, part: &Part, rights: Rights) -> Result<(), Error> {
        let start = self.memories[part.memory].start;
        let range = start + part.range.start..start + part.range.end;
        self.space.map(address, &self.memory, range, rights)
    }

    fn unmap(&mut self, address: u64, size: usize) -> Result<(), Error> {
        self.space.unmap(address, size)
    }

    fn window_of_addresses(&mut self, limit: u64) -> Result<u16, Error> {
        self.open_window(DOMAIN, Rights::ReadWrite, &[(Place::Guest(0), limit)])
    }

    fn submit(&mut self, descriptors: &[Descriptor]) -> Result<(), Error> {
        for descriptor in descriptors {
            let entry = slot(self.submitted, ENTRIES) as usize * size_of::<Descriptor>();
            let words: [u64; 8] = zerocopy::transmute!(*descriptor);
            self.memory.write_words(self.submission + entry, words);
            self.submitted = self.submitted.wrapping_add(1);
        }
        // Armed before the submission. Otherwise the device could post the last completion before
        // it sees the request, and no interrupt would come.
        wake::arm(
            &self.shared,
            Waiter::Process,
            self.submitted.wrapping_sub(1),
        );
        if wake::submit(&self.shared, self.submitted) {
            self.kick();
        }
        Ok(())
    }

    fn finish(&mut self, count: usize) -> Result<Vec<Completion>, Error> {
        self.wait(count as u32)?;
        let completions = (0..count).map(|_| {
            let entry = slot(self.taken, ENTRIES) as usize * size_of::<Completion>();
            let words: [u64; 2] = self.memory.read_words(self.completion + entry);
            self.taken = self.taken.wrapping_add(1);
            zerocopy::transmute!(words)
        });
        let completions = completions.collect();
        // Frees the entries. Otherwise the completion ring would fill up, and the device would
        // wait.
        self.shared.store(Word::CompletionHead, self.taken);
        Ok(completions)
    }

    fn errors(&mut self) -> Result<Vec<(ErrorCode, u64)>, Error> {
        let count = self.get(Register::ERROR_COUNT);
        // The log keeps the last entries only (data sheet 9). Older ones were overwritten.
        let oldest = count.saturating_sub(ERROR_LOG_ENTRIES as u64);
        let errors = (oldest + 1..=count).map(|number| {
            let entry = |register: Register| {
                let info = register.info();
                let place = info.offset + number as usize % info.count * info.stride;
                self.registers.read::<u64>(place)
            };
            let code = ERROR_LOG_ENTRY::from_raw(entry(Register::ERROR_LOG_ENTRY)).code();
            (ErrorCode(code as u16), entry(Register::ERROR_LOG_VALUE))
        });
        let errors = errors.collect();
        // Otherwise the next call would return these errors again.
        self.set(Register::ERROR_CLEAR, 0);
        Ok(errors)
    }
}

/// Returns the DMA address of an offset in the driver's memory.
fn address(offset: usize) -> u64 {
    BASE + offset as u64
}

/// Maps memory of the process. It belongs to a file, so that parts of it can be mapped for the
/// device one by one.
fn memory(size: usize) -> Result<Mapping, Error> {
    let file =
        memfd_create("ringbar-vfio", MemfdFlags::CLOEXEC).map_err(refused("memfd_create"))?;
    ftruncate(file.as_fd(), size as u64).map_err(refused("ftruncate"))?;
    Ok(Mapping::new(Arc::new(File::from(file)), 0, size, true)?)
}

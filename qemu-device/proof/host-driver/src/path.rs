// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The driver: brings the device up, opens windows, carries descriptors out.

use crate::memory::{load, map, store, GuestMemory, PAGE};
use crate::relay::Relay;
use crate::words::Shared;
use crate::Error;
use ringbar_spec::error::ErrorCode;
use ringbar_spec::layout::REGISTER_BAR_SIZE;
use ringbar_spec::regs::{Register, ERROR_LOG_ENTRIES, ERROR_LOG_ENTRY, RESET_KEY};
use ringbar_spec::ring::{distance, slot, Completion, Descriptor};
use ringbar_spec::setup::{QueueSetup, WindowSetup};
use ringbar_spec::wake::{self, Waiter, Word, Words};
use ringbar_test_vectors::blocks::{self, Place};
use ringbar_test_vectors::dma::DmaPath;
use ringbar_test_vectors::scene::{Backing, Part, Rights};
use ringbar_test_vectors::BATCH;
use rustix::event::{eventfd, poll, EventfdFlags, PollFd, PollFlags, Timespec};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};
use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_DATA_EVENTFD, VFIO_PCI_BAR0_REGION_INDEX,
    VFIO_PCI_BAR2_REGION_INDEX, VFIO_PCI_CONFIG_REGION_INDEX, VFIO_PCI_MSIX_IRQ_INDEX,
};
use vfio_user::Client;
use vm_memory::MmapRegion;
use zerocopy::{FromZeros, IntoBytes};

/// Bytes of the guest's memory.
const SIZE: usize = 4 << 20;
/// DMA address at which the device sees it.
const BASE: u64 = 0x1_0000_0000;
/// Entries of both rings.
const ENTRIES: u32 = BATCH as u32;
/// Vector of the queue.
const VECTOR: u32 = 1;
/// Protection domain of the queue, and another one.
const DOMAIN: u32 = 41;
const OTHER_DOMAIN: u32 = 42;
/// Longest time that completions may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Command register and its bits for memory space and bus mastering.
const COMMAND: u64 = 4;
const COMMAND_ON: u16 = 1 << 1 | 1 << 2;

/// Memory of a vector.
struct Memory {
    backing: Backing,
    /// Offset of its first byte in the guest's or the device's memory.
    start: usize,
}

/// A connection to the server with a device that was brought up.
pub struct HostDriver {
    client: Client,
    relay: Relay,
    guest: GuestMemory,
    shared: MmapRegion,
    device_memory: MmapRegion,
    device_used: usize,
    interrupt: File,
    submission: usize,
    completion: usize,
    block: usize,
    memories: Vec<Memory>,
    next_window: u16,
    submitted: u32,
    taken: u32,
}

impl HostDriver {
    /// Connects to a server that listens at `socket`, and brings its device up.
    ///
    /// # Errors
    ///
    /// Fails if the server does not listen or follow the protocol, or the device refuses a command.
    pub fn connect(socket: &std::path::Path) -> Result<Self, Error> {
        let relay = Relay::start(socket).map_err(Error::Relay)?;
        let client = Client::new(relay.socket())?;
        let mut guest = GuestMemory::new(SIZE)?;
        let ring = ENTRIES as usize * size_of::<Descriptor>();
        let mut this = Self {
            shared: region(&client, VFIO_PCI_BAR0_REGION_INDEX)?,
            device_memory: region(&client, VFIO_PCI_BAR2_REGION_INDEX)?,
            device_used: 0,
            interrupt: eventfd(0, EventfdFlags::NONBLOCK)
                .map_err(|errno| Error::Memory(errno.into()))?
                .into(),
            submission: guest.take(ring)?,
            completion: guest.take(ENTRIES as usize * size_of::<Completion>())?,
            block: guest.take(2 * PAGE)?,
            memories: Vec::new(),
            next_window: 1,
            submitted: 0,
            taken: 0,
            guest,
            relay,
            client,
        };
        this.bring_up()?;
        Ok(this)
    }

    /// Makes a call of the client. Fails if the server refuses it, which the client itself does not
    /// notice.
    pub fn ask<T>(
        &mut self,
        call: impl FnOnce(&mut Client) -> Result<T, vfio_user::Error>,
    ) -> Result<T, Error> {
        let answer = call(&mut self.client)?;
        match self.relay.refusal() {
            Some(errno) => Err(Error::RefusedByServer(errno)),
            None => Ok(answer),
        }
    }

    /// Connects an eventfd to the queue's vector.
    pub fn connect_interrupt(&mut self) -> Result<(), Error> {
        let event = self.interrupt.as_raw_fd();
        self.ask(|client| {
            client.set_irqs(
                VFIO_PCI_MSIX_IRQ_INDEX,
                VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
                VECTOR,
                1,
                &[event],
            )
        })
    }

    /// Ends the connection.
    pub fn hang_up(self) -> Result<(), Error> {
        Ok(self.client.shutdown()?)
    }

    /// Brings the device up (data sheet 14).
    fn bring_up(&mut self) -> Result<(), Error> {
        let (size, file) = (self.guest.size() as u64, self.guest.file().as_raw_fd());
        self.ask(|client| client.dma_map(0, BASE, size, file))?;
        self.connect_interrupt()?;
        let command = COMMAND_ON.to_le_bytes();
        self.ask(|client| client.region_write(VFIO_PCI_CONFIG_REGION_INDEX, COMMAND, &command))?;
        // Data sheet 14, step 2: the device may have been used before.
        self.set(Register::RESET, RESET_KEY.into())?;
        // Data sheet 14, step 4: all ones ask for no interrupt.
        let words = Shared(&self.shared);
        for (word, value) in [
            (Word::SubmissionTail, 0),
            (Word::SubmissionInline, 0),
            (Word::CompletionHead, 0),
            (Word::InterruptAt, u32::MAX),
            (Word::DriverInterruptAt, u32::MAX),
        ] {
            words.store(word, value);
        }
        self.start_queue()
    }

    /// Starts the queue, which must not run (data sheet 5).
    pub fn start_queue(&mut self) -> Result<(), Error> {
        let setup = QueueSetup {
            queue: 0,
            domain: DOMAIN,
            submission_ring: address(self.submission),
            completion_ring: address(self.completion),
            submission_entries: ENTRIES,
            completion_entries: ENTRIES,
            vector: VECTOR,
            ..QueueSetup::default()
        };
        store(self.guest.mapping(), self.block, setup.as_bytes());
        self.command(Register::QUEUE_START, address(self.block))
    }

    /// Opens a window on places. Returns its number.
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
        // The same block for each command: the device copies it before it answers (data sheet 5).
        store(self.guest.mapping(), self.block, setup.as_bytes());
        let list = self.block + size_of::<WindowSetup>();
        store(self.guest.mapping(), list, segments.as_bytes());
        self.command(Register::WINDOW_OPEN, address(self.block))?;
        self.next_window += 1;
        Ok(number)
    }

    /// Reads a register.
    fn get(&mut self, register: Register) -> Result<u64, Error> {
        self.get_nth(register, 0)
    }

    /// Reads a register of an array, by number modulo the length of the array.
    fn get_nth(&mut self, register: Register, number: u64) -> Result<u64, Error> {
        let mut bytes = [0; 8];
        let info = register.info();
        let place = info.offset + number as usize % info.count * info.stride;
        let read = &mut bytes[..info.width];
        self.ask(|client| client.region_read(VFIO_PCI_BAR0_REGION_INDEX, place as u64, read))?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// Writes a register.
    fn set(&mut self, register: Register, value: u64) -> Result<(), Error> {
        let info = register.info();
        let bytes = &value.to_le_bytes()[..info.width];
        self.ask(|client| {
            client.region_write(VFIO_PCI_BAR0_REGION_INDEX, info.offset as u64, bytes)
        })
    }

    /// Writes an admin command. Fails if the device refuses it.
    fn command(&mut self, register: Register, value: u64) -> Result<(), Error> {
        self.set(register, value)?;
        // The outcome is there when the write is answered (data sheet 5).
        match ErrorCode(self.get(Register::ADMIN_STATUS)? as u16) {
            ErrorCode::NONE => Ok(()),
            code => Err(Error::Refused {
                command: register.info().name,
                code,
            }),
        }
    }

    /// Waits until `count` completions are there and their interrupt has come. Fails without the
    /// interrupt, as that is under test as well.
    fn wait(&mut self, count: u32) -> Result<(), Error> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let came = self.sleep(left).map_err(Error::Memory)?;
            let tail = Shared(&self.shared).load(Word::CompletionTail);
            let there = distance(self.taken, tail);
            match (came, there >= count) {
                (true, true) => return Ok(()),
                // An error that stops the queue raises its vector as well (data sheet 10).
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

    /// Sleeps until the queue's interrupt comes, but no longer than `limit`. Returns whether it
    /// came.
    fn sleep(&mut self, limit: Duration) -> io::Result<bool> {
        let limit = Timespec::try_from(limit).map_err(io::Error::other)?;
        let mut polled = [PollFd::new(&self.interrupt, PollFlags::IN)];
        let came = poll(&mut polled, Some(&limit))? == 1;
        if came {
            self.interrupt.read_exact(&mut [0; 8])?;
        }
        Ok(came)
    }
}

impl ringbar_test_vectors::Path for HostDriver {
    type Error = Error;

    fn memory(&mut self, backing: Backing, size: usize) -> Result<(), Error> {
        let start = match backing {
            Backing::Guest => self.guest.take(size)?,
            Backing::Device => {
                let start = self.device_used;
                let end = start.checked_add(size);
                let end = end.filter(|end| *end <= self.device_memory.size());
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
        let start = self.guest.take(PAGE)?;
        let page = (Place::Guest(address(start)), PAGE as u64);
        self.open_window(OTHER_DOMAIN, Rights::ReadWrite, &[page])
    }

    fn close(&mut self, window: u16) -> Result<(), Error> {
        self.command(Register::WINDOW_CLOSE, window.into())
    }

    fn write(&mut self, memory: usize, offset: usize, bytes: &[u8]) {
        let (mapping, start) = self.place(memory);
        store(mapping, start + offset, bytes);
    }

    fn read(&mut self, memory: usize, offset: usize, bytes: &mut [u8]) {
        let (mapping, start) = self.place(memory);
        load(mapping, start + offset, bytes);
    }

    fn run(&mut self, descriptors: &[Descriptor]) -> Result<Vec<Completion>, Error> {
        self.submit(descriptors)?;
        self.finish(descriptors.len())
    }
}

impl DmaPath for HostDriver {
    fn map(&mut self, address: u64, part: &Part, rights: Rights) -> Result<(), Error> {
        let start = self.memories[part.memory].start + part.range.start;
        let file = self.guest.file().as_raw_fd();
        self.relay.map_with(rights);
        let size = part.range.len() as u64;
        let mapped = self.ask(|client| client.dma_map(start as u64, address, size, file));
        self.relay.map_with(Rights::ReadWrite);
        mapped
    }

    fn unmap(&mut self, address: u64, size: usize) -> Result<(), Error> {
        self.ask(|client| client.dma_unmap(address, size as u64))
    }

    fn window_of_addresses(&mut self, limit: u64) -> Result<u16, Error> {
        self.open_window(DOMAIN, Rights::ReadWrite, &[(Place::Guest(0), limit)])
    }

    fn submit(&mut self, descriptors: &[Descriptor]) -> Result<(), Error> {
        for descriptor in descriptors {
            let entry = slot(self.submitted, ENTRIES) as usize * size_of::<Descriptor>();
            store(
                self.guest.mapping(),
                self.submission + entry,
                descriptor.as_bytes(),
            );
            self.submitted = self.submitted.wrapping_add(1);
        }
        let last = self.submitted.wrapping_sub(1);
        // Armed before the submission, so that the device sees the wish when it posts (data sheet
        // 10). Otherwise it could be done before, and no interrupt would come.
        wake::arm(&Shared(&self.shared), Waiter::Process, last);
        if wake::submit(&Shared(&self.shared), self.submitted) {
            self.set(Register::KICK, 1)?;
        }
        Ok(())
    }

    fn finish(&mut self, count: usize) -> Result<Vec<Completion>, Error> {
        self.wait(count as u32)?;
        let completions = (0..count).map(|_| {
            let entry = slot(self.taken, ENTRIES) as usize * size_of::<Completion>();
            let mut completion = Completion::new_zeroed();
            let bytes = completion.as_mut_bytes();
            load(self.guest.mapping(), self.completion + entry, bytes);
            self.taken = self.taken.wrapping_add(1);
            completion
        });
        let completions = completions.collect();
        // Hands the slots back only after the completions were copied (data sheet 6).
        Shared(&self.shared).store(Word::CompletionHead, self.taken);
        Ok(completions)
    }

    fn errors(&mut self) -> Result<Vec<(ErrorCode, u64)>, Error> {
        let count = self.get(Register::ERROR_COUNT)?;
        // The log keeps the last 16 errors, in entry n modulo 16 (data sheet 9).
        let oldest = count.saturating_sub(ERROR_LOG_ENTRIES as u64);
        let mut errors = Vec::new();
        for number in oldest + 1..=count {
            let entry = self.get_nth(Register::ERROR_LOG_ENTRY, number)?;
            let value = self.get_nth(Register::ERROR_LOG_VALUE, number)?;
            let code = ERROR_LOG_ENTRY::from_raw(entry).code();
            errors.push((ErrorCode(code as u16), value));
        }
        self.set(Register::ERROR_CLEAR, 0)?;
        Ok(errors)
    }
}

impl HostDriver {
    /// Returns the mapping that holds a memory, and the memory's offset in it.
    fn place(&self, memory: usize) -> (&MmapRegion, usize) {
        let Memory { backing, start } = self.memories[memory];
        match backing {
            Backing::Guest => (self.guest.mapping(), start),
            Backing::Device => (&self.device_memory, start),
        }
    }
}

/// Returns the DMA address of an offset in the guest's memory.
fn address(offset: usize) -> u64 {
    BASE + offset as u64
}

/// Maps a region of the device. Of BAR 0 only the shared pages have a meaning (data sheet 2).
fn region(client: &Client, index: u32) -> Result<MmapRegion, Error> {
    let region = client.region(index).ok_or(Error::NoFile(index))?;
    let file = region.file_offset.as_ref().ok_or(Error::NoFile(index))?;
    let size = match index {
        VFIO_PCI_BAR0_REGION_INDEX => REGISTER_BAR_SIZE,
        _ => region.size as usize,
    };
    map(file.file(), size)
}

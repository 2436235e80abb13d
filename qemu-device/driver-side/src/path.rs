// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A driver without a kernel, but for its transport. It is a path of the test vectors. Paths B
//! (`guest-rootfs/vfio`) and C (`proof/host-driver`) share it.

use crate::ring::Ring;
use crate::{admin, blocks, bring_up, error_log, Error, Function, QueueMemory, Shared};
use ringbar_spec::error::ErrorCode;
use ringbar_spec::layout::{PAGE_LENGTH, PAGE_STRIDE};
use ringbar_spec::regs::Register;
use ringbar_spec::ring::{distance, Completion, Descriptor};
use ringbar_spec::setup::{QueueSetup, Segment, WindowSetup, RIGHT_READ, RIGHT_WRITE};
use ringbar_spec::wake::{Word, Words};
use ringbar_test_vectors::dma::DmaPath;
use ringbar_test_vectors::scene::{Backing, Part, Rights};
use ringbar_test_vectors::{Path, BATCH};
use std::fmt::Display;
use std::ops::Range;
use std::time::{Duration, Instant};

/// Entries of both rings.
const ENTRIES: u32 = BATCH as u32;
/// Protection domain of the queue, and one that the queue has no access to.
const DOMAIN: u32 = 41;
const OTHER_DOMAIN: u32 = 42;
/// Longest time that completions may take. It catches a lost interrupt, and is long enough for a
/// busy host.
const PATIENCE: Duration = Duration::from_secs(60);

/// Connection of a driver to its device.
pub trait Transport: Function {
    /// Memory shared with the device. Clones are the same memory.
    type Shared: Shared + Clone;

    /// Returns the memory shared with the device.
    fn shared(&self) -> &Self::Shared;

    /// Returns the DMA addresses of the driver's memory.
    fn memory(&self) -> Range<u64>;

    /// Returns the size of the device memory in bytes.
    fn device_memory_size(&self) -> usize;

    /// Copies bytes out of the device memory.
    fn read_device_memory(&self, offset: usize, bytes: &mut [u8]);

    /// Copies bytes into the device memory.
    fn write_device_memory(&self, offset: usize, bytes: &[u8]);

    /// Connects the interrupts. May be called again.
    fn request_interrupts(&mut self) -> Result<(), Self::Error>;

    /// Returns the vector for completions of the queue.
    fn vector(&self) -> u32;

    /// Sleeps until that vector is raised, or until `limit` has passed. Returns whether it was.
    fn wait_interrupt(&mut self, limit: Duration) -> Result<bool, Self::Error>;

    /// Returns the size of the pages by which [`map`](Self::map) works.
    fn page_size(&self) -> usize;

    /// Lets the device access the driver's memory from `start` on, in whole pages, at another
    /// address too.
    fn map(
        &mut self,
        address: u64,
        start: u64,
        size: usize,
        rights: Rights,
    ) -> Result<(), Self::Error>;

    /// Ends that for a range of addresses.
    fn unmap(&mut self, address: u64, size: usize) -> Result<(), Self::Error>;
}

/// A memory of the test vectors.
#[derive(Clone, Copy)]
struct Memory {
    backing: Backing,
    /// DMA address, or offset in the device memory.
    start: u64,
}

/// Memory that is handed out in whole pages of any kernel, never to come back.
struct Room {
    free: Range<u64>,
    size: usize,
}

impl Room {
    fn new(all: Range<u64>) -> Self {
        let size = (all.end - all.start) as usize;
        Self { free: all, size }
    }

    /// Hands out memory. Returns its first byte.
    fn take<E>(&mut self, size: usize) -> Result<u64, Error<E>> {
        let start = self.free.start;
        let pages = size.checked_next_multiple_of(PAGE_STRIDE);
        let end = pages.and_then(|pages| start.checked_add(pages as u64));
        let limit = self.size;
        let end = end.filter(|end| *end <= self.free.end);
        self.free.start = end.ok_or(Error::NoMemory { size, limit })?;
        Ok(start)
    }
}

/// A device with a queue that runs.
pub struct Driver<T: Transport> {
    transport: T,
    ring: Ring<QueueMemory<T::Shared>>,
    setup: QueueSetup,
    block: u64,
    guest: Room,
    device: Room,
    memories: Vec<Memory>,
    next_window: u16,
}

impl<T: Transport> Driver<T> {
    /// Brings the device up (data sheet 14).
    ///
    /// # Errors
    ///
    /// Fails if the transport does, the device is another one, or it refuses a command.
    pub fn new(mut transport: T) -> Result<Self, Error<T::Error>> {
        bring_up::begin(&mut transport)?;
        transport.request_interrupts()?;
        let mut guest = Room::new(transport.memory());
        let rings = guest.take(blocks::ring_bytes(ENTRIES))?;
        let block = guest.take(2 * PAGE_LENGTH)?;
        let setup = QueueSetup {
            domain: DOMAIN,
            vector: transport.vector(),
            ..blocks::queue(rings, ENTRIES)
        };
        let shared = transport.shared().clone();
        let memory = admin::start_queue(&mut transport, shared, block, &setup)?;
        Ok(Self {
            ring: Ring::new(memory, ENTRIES, false),
            setup,
            block,
            guest,
            device: Room::new(0..transport.device_memory_size() as u64),
            memories: Vec::new(),
            next_window: 1,
            transport,
        })
    }

    /// Returns the transport.
    pub fn transport(&mut self) -> &mut T {
        &mut self.transport
    }

    /// Returns the transport, and forgets the device.
    pub fn into_transport(self) -> T {
        self.transport
    }

    /// Brings the device up again after a reset, which has closed all windows.
    pub fn begin_again(&mut self) -> Result<(), Error<T::Error>> {
        bring_up::begin(&mut self.transport)?;
        self.next_window = 1;
        self.start_queue()
    }

    /// Starts the queue, which must be stopped.
    pub fn start_queue(&mut self) -> Result<(), Error<T::Error>> {
        let shared = self.transport.shared().clone();
        admin::start_queue(&mut self.transport, shared, self.block, &self.setup)?;
        self.ring.restart();
        Ok(())
    }

    /// Opens a window. Returns its number.
    fn open_window(
        &mut self,
        domain: u32,
        setup: WindowSetup,
        list: &[Segment],
    ) -> Result<u16, Error<T::Error>> {
        let window = self.next_window;
        let setup = WindowSetup {
            window: window.into(),
            domain,
            ..setup
        };
        let shared = self.transport.shared().clone();
        admin::open_window(&mut self.transport, shared, self.block, &setup, list)?;
        self.next_window += 1;
        Ok(window)
    }

    /// Opens a window on guest memory.
    fn open_segments(
        &mut self,
        domain: u32,
        rights: Rights,
        list: &[Segment],
    ) -> Result<u16, Error<T::Error>> {
        self.open_window(domain, blocks::segments(bits(rights), list), list)
    }

    /// Waits until `count` completions have come. Fails if their interrupt does not come, even if
    /// they do.
    fn wait(&mut self, count: u32) -> Result<(), Error<T::Error>> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let came = self.transport.wait_interrupt(left)?;
            let there = self.ring.has(count).map_err(Error::Ring)?;
            match (came, there) {
                (true, true) => return Ok(()),
                // The interrupt may be for an error, or for completions before the last. Sleep
                // again.
                (true, false) => {}
                (false, _) => {
                    let tail = self.ring.memory().load(Word::CompletionTail);
                    return Err(Error::Late {
                        there: distance(self.ring.head(), tail),
                        wanted: count,
                        limit: PATIENCE,
                    });
                }
            }
        }
    }
}

impl<T: Transport> Path for Driver<T>
where
    T::Error: Display,
{
    type Error = Error<T::Error>;

    fn memory(&mut self, backing: Backing, size: usize) -> Result<(), Self::Error> {
        let start = match backing {
            Backing::Guest => self.guest.take(size)?,
            Backing::Device => self.device.take(size)?,
        };
        self.memories.push(Memory { backing, start });
        Ok(())
    }

    fn window(&mut self, parts: &[Part], rights: Rights) -> Result<u16, Self::Error> {
        let places = parts.iter().map(|part| {
            let Memory { backing, start } = self.memories[part.memory];
            let segment = Segment {
                address: start + part.range.start as u64,
                length: part.range.len() as u64,
            };
            (backing, segment)
        });
        let places: Vec<_> = places.collect();
        // Device memory is a window by itself: no kind of window mixes the two (data sheet 5).
        if let [(Backing::Device, place)] = *places {
            let setup = blocks::device_memory(bits(rights), place.address, place.length);
            return self.open_window(DOMAIN, setup, &[]);
        }
        let list: Vec<_> = places.into_iter().map(|(_, segment)| segment).collect();
        self.open_segments(DOMAIN, rights, &list)
    }

    fn foreign_window(&mut self) -> Result<u16, Self::Error> {
        let page = Segment {
            address: self.guest.take(PAGE_LENGTH)?,
            length: PAGE_LENGTH as u64,
        };
        self.open_segments(OTHER_DOMAIN, Rights::ReadWrite, &[page])
    }

    fn close(&mut self, window: u16) -> Result<(), Self::Error> {
        admin::command(&mut self.transport, Register::WINDOW_CLOSE, window.into())
    }

    fn write(&mut self, memory: usize, offset: usize, bytes: &[u8]) {
        let Memory { backing, start } = self.memories[memory];
        let place = start + offset as u64;
        match backing {
            Backing::Guest => self.transport.shared().write(place, bytes),
            Backing::Device => self.transport.write_device_memory(place as usize, bytes),
        }
    }

    fn read(&mut self, memory: usize, offset: usize, bytes: &mut [u8]) {
        let Memory { backing, start } = self.memories[memory];
        let place = start + offset as u64;
        match backing {
            Backing::Guest => self.transport.shared().read(place, bytes),
            Backing::Device => self.transport.read_device_memory(place as usize, bytes),
        }
    }

    fn run(&mut self, descriptors: &[Descriptor]) -> Result<Vec<Completion>, Self::Error> {
        self.submit(descriptors)?;
        self.finish(descriptors.len())
    }
}

impl<T: Transport> DmaPath for Driver<T>
where
    T::Error: Display,
{
    fn page_size(&self) -> usize {
        self.transport.page_size()
    }

    fn map(&mut self, address: u64, part: &Part, rights: Rights) -> Result<(), Self::Error> {
        let start = self.memories[part.memory].start + part.range.start as u64;
        let size = part.range.len();
        Ok(self.transport.map(address, start, size, rights)?)
    }

    fn unmap(&mut self, address: u64, size: usize) -> Result<(), Self::Error> {
        Ok(self.transport.unmap(address, size)?)
    }

    fn window_of_addresses(&mut self, limit: u64) -> Result<u16, Self::Error> {
        let all = Segment {
            address: 0,
            length: limit,
        };
        self.open_segments(DOMAIN, Rights::ReadWrite, &[all])
    }

    fn submit(&mut self, descriptors: &[Descriptor]) -> Result<(), Self::Error> {
        for descriptor in descriptors {
            self.ring.push(descriptor).map_err(Error::Ring)?;
        }
        // Armed before the submission. Otherwise the device could post the last completion before
        // it sees the request, and no interrupt would come.
        let last = self.ring.in_flight();
        self.ring.arm(last).map_err(Error::Ring)?;
        if self.ring.submit() {
            self.transport.kick(self.setup.queue)?;
        }
        Ok(())
    }

    fn finish(&mut self, count: usize) -> Result<Vec<Completion>, Self::Error> {
        self.wait(count as u32)?;
        let completions = (0..count).map_while(|_| self.ring.pop().transpose());
        completions.collect::<Result<_, _>>().map_err(Error::Ring)
    }

    fn errors(&mut self) -> Result<Vec<(ErrorCode, u64)>, Self::Error> {
        let logged = error_log::take(&mut self.transport)?;
        Ok(logged.iter().map(|it| (it.code, it.value)).collect())
    }
}

/// Returns the bits of rights in a set-up block.
fn bits(rights: Rights) -> u32 {
    match rights {
        Rights::Read => RIGHT_READ,
        Rights::Write => RIGHT_WRITE,
        Rights::ReadWrite => RIGHT_READ | RIGHT_WRITE,
    }
}

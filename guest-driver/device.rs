// SPDX-License-Identifier: GPL-2.0-only

//! The device while the driver is bound to it: registers, and numbers and memory to hand out.

mod commands;
mod errors;
pub(crate) mod identity;
pub(crate) mod kept;
pub(crate) mod limits;
mod numbers;
pub(crate) mod owner;
pub(crate) mod ranges;
pub(crate) mod registers;
pub(crate) mod resources;

use crate::{
    interface::{
        layout::{
            self,
            MemoryPart, //
        },
        setup::{
            QueueSetup,
            Segment,
            WindowKind,
            WindowSetup, //
        },
    },
    mapping::{
        gate::{
            self,
            HasDevice, //
        },
        pci::IoRange, //
    },
};
use commands::Commands;
use errors::ErrorLog;
use identity::Limits;
use kept::Kept;
use kernel::{
    device::Bound,
    new_mutex,
    pci,
    prelude::*,
    sync::Mutex, //
};
use numbers::Numbers;
use ranges::{
    Range,
    Ranges, //
};
use registers::Registers;
use resources::{
    zero,
    RequestedBar,
    WriteCombiningMapping, //
};

/// The memory that a window shows.
pub(crate) enum WindowTarget<'a> {
    /// Memory in pieces, at most as many as [`Limits::segments`].
    Memory(&'a [Segment]),
    /// A range of the device memory.
    DeviceMemory(Range),
}

/// The driver, as the mapping layer knows it.
pub(crate) enum Ringbar {}

impl HasDevice for Ringbar {
    type Device<'bound> = Device<'bound>;
}

/// The way to a bound [`Device`].
pub(crate) type Gate = gate::Gate<Ringbar>;

/// A bound device. Reached through [`Gate`].
#[pin_data]
pub(crate) struct Device<'bound> {
    pdev: &'bound pci::Device<Bound>,
    registers: Registers<'bound>,
    // Dropped before the BAR is given back.
    _lazy: WriteCombiningMapping,
    memory: RequestedBar<'bound>,
    limits: Limits,
    vectors: u32,
    kept: Kept,
    #[pin]
    admin: Mutex<Admin>,
}

/// The way to give admin commands, one at a time, and the things that they are about.
struct Admin {
    commands: Commands,
    queues: Numbers,
    windows: Numbers,
    write_combining: Ranges,
    uncached: Ranges,
    lazy: Ranges,
}

impl<'bound> Device<'bound> {
    /// Takes the device into use: checks and resets it, reads its limits.
    ///
    /// # Errors
    ///
    /// `ENODEV` if the driver does not know the device, `EBUSY` if a BAR is in use; `ENOMEM`.
    pub(crate) fn new(
        pdev: &'bound pci::Device<Bound>,
        vectors: u32,
    ) -> Result<impl PinInit<Self, Error> + 'bound> {
        let registers = Registers::new(pdev)?;
        let memory = RequestedBar::new(pdev, layout::DEVICE_MEMORY_BAR)?;
        let limits = Limits::read(pdev, &registers)?;
        let admin = Admin::new(pdev, &limits, memory.size()?)?;
        let (start, length) = layout::memory_part(memory.size()?, MemoryPart::Lazy);
        let lazy = WriteCombiningMapping::new(memory.range()?.part(start, length)?)?;
        Ok(try_pin_init!(Self {
            pdev,
            registers,
            _lazy: lazy,
            memory,
            limits,
            vectors,
            kept: Kept::new(),
            admin <- new_mutex!(admin),
        }))
    }

    /// Returns the PCI device.
    pub(crate) fn pdev(&self) -> &'bound pci::Device<Bound> {
        self.pdev
    }

    /// Returns the limits of the device.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Returns the number of interrupt vectors in use.
    pub(crate) fn vectors(&self) -> u32 {
        self.vectors
    }

    /// Returns the size of the device memory in bytes.
    pub(crate) fn memory_size(&self) -> Result<usize> {
        self.memory.size()
    }

    /// Returns the page of BAR 0 at `offset`.
    pub(crate) fn register_page(&self, offset: usize) -> Result<IoRange> {
        IoRange::new(self.pdev, layout::REGISTER_BAR, offset, layout::PAGE_SIZE)
    }

    /// Returns a range of the device memory as a range of the BAR.
    pub(crate) fn memory_range(&self, range: Range) -> Result<IoRange> {
        self.memory.range()?.part(range.start, range.length)
    }

    /// Returns the registers.
    pub(crate) fn registers(&self) -> &Registers<'bound> {
        &self.registers
    }

    /// Returns the record of memory that is never freed.
    pub(crate) fn kept(&self) -> &Kept {
        &self.kept
    }

    /// Returns the device's log of recent errors.
    pub(crate) fn errors(&self) -> ErrorLog<'_, 'bound> {
        ErrorLog::new(&self.registers)
    }

    /// Checks that the server still serves the device, unless it is known to be lost. Notices a
    /// reset.
    ///
    /// # Errors
    ///
    /// `EIO` if the device is lost.
    pub(crate) fn check(&self) -> Result {
        let _admin = self.admin.lock();
        self.registers.check()
    }

    /// Checks that the device is not known to be lost, before an access for a process that has
    /// other use of the processor than to wait as long as QEMU waits for the server.
    ///
    /// # Errors
    ///
    /// `EIO` if it is.
    pub(crate) fn check_not_lost(&self) -> Result {
        if self.registers.is_lost() {
            Err(EIO)
        } else {
            Ok(())
        }
    }

    /// Returns the interrupt vector of a queue.
    pub(crate) fn vector(&self, queue: u32) -> u32 {
        // Vector 0 is for errors, unless it is the only one.
        (queue + 1).min(self.vectors - 1)
    }

    /// Takes a free queue. Returns its number.
    ///
    /// # Errors
    ///
    /// `ENOSPC` if all queues are taken.
    pub(crate) fn take_queue(&self) -> Result<u32> {
        let mut admin = self.admin.lock();
        let queue = admin.queues.lowest()?;
        admin.queues.take(queue);
        Ok(queue)
    }

    /// Gives a queue back that [`Device::take_queue`] took. It is stopped, and no process reaches
    /// its pages.
    pub(crate) fn give_back_queue(&self, queue: u32) {
        self.admin.lock().queues.give_back(queue);
    }

    /// Starts a queue with rings of `entries` at these DMA addresses. Returns the reset generation
    /// in which it runs.
    ///
    /// # Errors
    ///
    /// `EIO` if the device refuses or is lost.
    pub(crate) fn start_queue(
        &self,
        queue: u32,
        domain: u32,
        entries: u32,
        submission_ring: u64,
        completion_ring: u64,
    ) -> Result<u32> {
        let setup = QueueSetup {
            queue,
            domain,
            submission_ring,
            completion_ring,
            submission_entries: entries,
            completion_entries: entries,
            vector: self.vector(queue),
            reserved: [0; 7],
        };
        let admin = self.admin.lock();
        admin.commands.start_queue(&self.registers, setup)
    }

    /// Stops a queue that [`Device::start_queue`] started in `generation`. Its rings are the
    /// caller's again.
    ///
    /// # Errors
    ///
    /// `EIO` if the device is lost: it may still use the rings.
    pub(crate) fn stop_queue(&self, generation: u32, queue: u32) -> Result {
        let admin = self.admin.lock();
        admin
            .commands
            .stop_queue(&self.registers, generation, queue)
    }

    /// Opens a window for the queues of `domain`. Returns its number, and the reset generation in
    /// which it is open.
    ///
    /// # Errors
    ///
    /// `ENOSPC` if all windows are taken, `EIO` if the device refuses or is lost; `ENOMEM`.
    pub(crate) fn open_window(
        &self,
        domain: u32,
        rights: u32,
        target: WindowTarget<'_>,
    ) -> Result<(u16, u32)> {
        let mut admin = self.admin.lock();
        // A descriptor has 16 bits for the number.
        let window = u16::try_from(admin.windows.lowest()?).map_err(|_| ENOSPC)?;
        let (kind, length, offset, segments): (_, u64, _, &[_]) = match target {
            WindowTarget::Memory(segments) => {
                let length = segments.iter().map(|segment| segment.length).sum();
                (WindowKind::SEGMENTS, length, 0, segments)
            }
            WindowTarget::DeviceMemory(range) => (
                WindowKind::DEVICE_MEMORY,
                range.length as u64,
                range.start as u64,
                &[],
            ),
        };
        let setup = WindowSetup {
            window: window.into(),
            domain,
            kind: kind.0,
            rights,
            length,
            offset,
            segments: segments.len() as u32,
            reserved: [0; 7],
        };
        let generation =
            admin
                .commands
                .open_window(self.pdev, &self.registers, &self.kept, setup, segments)?;
        admin.windows.take(window.into());
        Ok((window, generation))
    }

    /// Closes a window that [`Device::open_window`] opened in `generation`. The device does not use
    /// it any more.
    ///
    /// # Errors
    ///
    /// `EIO` if the device is lost: it may still use the memory, so the number stays taken.
    pub(crate) fn close_window(&self, generation: u32, window: u16) -> Result {
        let mut admin = self.admin.lock();
        let window = window.into();
        admin
            .commands
            .close_window(&self.registers, generation, window)?;
        admin.windows.give_back(window);
        Ok(())
    }

    /// Takes a zeroed range of `part` of the device memory, `length` bytes in whole pages.
    ///
    /// # Errors
    ///
    /// `ENOSPC` if the part has no such range left; `ENOMEM`; `EIO` if the device is lost, or was
    /// reset meanwhile.
    pub(crate) fn take_memory(&self, part: MemoryPart, length: usize) -> Result<Range> {
        let mut admin = self.admin.lock();
        let range = admin.ranges(part).take(length)?;
        self.zero(range)
            .inspect_err(|_| admin.ranges(part).give_back(range))?;
        Ok(range)
    }

    /// Fills a range with zeros: it may hold secrets of its last owner. The caller holds the lock.
    fn zero(&self, range: Range) -> Result {
        let target = self.memory_range(range)?;
        let generation = self.registers.settle()?;
        zero(target)?;
        // While its function is reset, the device drops writes and keeps the old bytes.
        if self.registers.is_current(generation) {
            Ok(())
        } else {
            Err(EIO)
        }
    }

    /// Gives a range back that [`Device::take_memory`] took.
    pub(crate) fn give_back_memory(&self, part: MemoryPart, range: Range) {
        self.admin.lock().ranges(part).give_back(range);
    }
}

impl Admin {
    /// Returns everything as free, of a device with these limits and `memory` bytes of memory.
    fn new(pdev: &pci::Device<Bound>, limits: &Limits, memory: usize) -> Result<Self> {
        let part = |part| {
            let (start, length) = layout::memory_part(memory, part);
            Ranges::new(Range { start, length })
        };
        Ok(Self {
            commands: Commands::new(pdev)?,
            queues: Numbers::new(0..limits.queues)?,
            // Window 0 does not exist.
            windows: Numbers::new(1..limits.windows.saturating_add(1))?,
            write_combining: part(MemoryPart::WriteCombining),
            uncached: part(MemoryPart::Uncached),
            lazy: part(MemoryPart::Lazy),
        })
    }

    fn ranges(&mut self, part: MemoryPart) -> &mut Ranges {
        match part {
            MemoryPart::WriteCombining => &mut self.write_combining,
            MemoryPart::Uncached => &mut self.uncached,
            MemoryPart::Lazy => &mut self.lazy,
        }
    }
}

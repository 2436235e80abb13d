// SPDX-License-Identifier: GPL-2.0-only

//! The device while the driver is bound to it: registers, admin commands, what there is to give.

mod errors;
pub(crate) mod gate;
pub(crate) mod kept;
pub(crate) mod limits;
pub(crate) mod ranges;
pub(crate) mod registers;
pub(crate) mod resources;

use crate::{
    device::{
        errors::ErrorLog,
        kept::Kept,
        ranges::{
            Range,
            Ranges, //
        },
        registers::{
            Answer,
            RegisterBar,
            Registers, //
        },
        resources::{
            IoRange,
            RequestedBar,
            WriteCombiningMapping, //
        },
    },
    interface::{
        error::ErrorCode,
        ids,
        ioctl::MAX_PARTS,
        layout::{
            self,
            MemoryPart, //
        },
        regs,
        ring,
        setup::{
            QueueSetup,
            Segment,
            WindowKind,
            WindowSetup, //
        },
        wake::{
            Word,
            Words, //
        },
        SetupBlock, //
    },
};
use kernel::{
    device::Bound,
    dma::Coherent,
    io::{
        io_project,
        Io, //
    },
    new_mutex,
    pci,
    prelude::*,
    sync::Mutex, //
};
use zerocopy::IntoBytes;

/// What the device says about itself; read once, as each read traps.
pub(crate) struct Limits {
    /// Version of the interface.
    pub(crate) version: (u16, u16),
    /// Bit n: the device knows opcode n.
    pub(crate) opcodes: u64,
    /// Number of queues.
    pub(crate) queues: u32,
    /// Most entries of a ring.
    pub(crate) entries: u32,
    /// Most windows; their numbers start at 1.
    pub(crate) windows: u32,
    /// Most segments of a window.
    pub(crate) segments: u32,
    /// Largest length of a descriptor in bytes.
    pub(crate) length: u32,
}

/// What a window shows.
pub(crate) enum WindowTarget<'a> {
    /// Memory in pieces, at most as many as [`Limits::segments`].
    Memory(&'a [Segment]),
    /// A range of the device memory.
    DeviceMemory(Range),
}

/// A bound device. Reached through [`crate::device::gate::Gate`].
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

/// What admin commands need and change. One command at a time.
struct Admin {
    block: Coherent<SetupBlock>,
    /// Bit n: queue n is taken.
    queues: u64,
    /// Bit n % 64 of word n / 64: window n is taken.
    windows: KVec<u64>,
    write_combining: Ranges,
    uncached: Ranges,
    lazy: Ranges,
}

impl<'bound> Device<'bound> {
    /// Takes the device into use: checks what it is, resets it, reads its limits.
    ///
    /// # Errors
    ///
    /// `ENODEV` if it is not a device that this driver knows, `EBUSY` if a BAR is in use.
    pub(crate) fn new(
        pdev: &'bound pci::Device<Bound>,
        vectors: u32,
    ) -> Result<impl PinInit<Self, Error> + 'bound> {
        let registers = Registers::new(pdev)?;
        let memory = RequestedBar::new(pdev, layout::DEVICE_MEMORY_BAR)?;

        let bar = registers.bar()?;
        let ident = bar.read(regs::IDENT).into_raw();
        if ident != ids::IDENT {
            dev_err!(pdev, "IDENT is {:#x}, not {:#x}\n", ident, ids::IDENT);
            return Err(ENODEV);
        }
        let version = bar.read(regs::VERSION);
        let version = (
            u32::from(version.major()) as u16,
            u32::from(version.minor()) as u16,
        );
        if version.0 != ids::VERSION_MAJOR {
            dev_err!(
                pdev,
                "interface version is {}.{}, this driver knows {}.x\n",
                version.0,
                version.1,
                ids::VERSION_MAJOR
            );
            return Err(ENODEV);
        }

        // Whatever used the device before, its queues and windows are gone after this.
        registers.reset()?;
        let queue_limits = bar.read(regs::QUEUE_LIMITS);
        let window_limits = bar.read(regs::WINDOW_LIMITS);
        let limits = Limits {
            version,
            opcodes: bar.try_read(regs::FEATURES)?.into_raw(),
            queues: u32::from(queue_limits.queues()).min(layout::MAX_QUEUES as u32),
            entries: u32::from(queue_limits.entries()).min(ring::MAX_ENTRIES),
            windows: window_limits.windows().into(),
            segments: window_limits.segments().into(),
            length: bar.read(regs::LENGTH_LIMIT).into_raw(),
        };

        let part = |part| -> Result<Ranges> {
            let (start, length) = layout::memory_part(memory.size()?, part);
            Ok(Ranges::new(Range { start, length }))
        };
        let admin = Admin {
            block: Coherent::zeroed(pdev.as_ref(), GFP_KERNEL)?,
            queues: 0,
            windows: KVec::from_elem(0, limits.windows as usize / 64 + 1, GFP_KERNEL)?,
            write_combining: part(MemoryPart::WriteCombining)?,
            uncached: part(MemoryPart::Uncached)?,
            lazy: part(MemoryPart::Lazy)?,
        };
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

    /// The PCI device.
    pub(crate) fn pdev(&self) -> &'bound pci::Device<Bound> {
        self.pdev
    }

    /// What the device said about itself.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Interrupt vectors in use.
    pub(crate) fn vectors(&self) -> u32 {
        self.vectors
    }

    /// Size of the device memory in bytes.
    pub(crate) fn memory_size(&self) -> Result<usize> {
        self.memory.size()
    }

    /// The page of BAR 0 at `offset`.
    pub(crate) fn register_page(&self, offset: usize) -> Result<IoRange> {
        IoRange::new(self.pdev, layout::REGISTER_BAR, offset, layout::PAGE_SIZE)
    }

    /// Where a range of the device memory is.
    pub(crate) fn memory_range(&self, range: Range) -> Result<IoRange> {
        self.memory.range()?.part(range.start, range.length)
    }

    /// The registers.
    pub(crate) fn registers(&self) -> &Registers<'bound> {
        &self.registers
    }

    /// Looks whether anybody serves the device, unless it is known to be lost. Notices a reset.
    ///
    /// # Errors
    ///
    /// `EIO` if it is lost.
    pub(crate) fn check(&self) -> Result {
        let _admin = self.admin.lock();
        self.registers.check()
    }

    /// Interrupt vector of a queue.
    pub(crate) fn vector(&self, queue: u32) -> u32 {
        // Vector 0 is for errors, unless it is the only one.
        (queue + 1).min(self.vectors - 1)
    }

    /// Takes a queue that nobody has, and says which.
    ///
    /// # Errors
    ///
    /// `ENOSPC` if all queues are taken.
    pub(crate) fn take_queue(&self) -> Result<u32> {
        let mut admin = self.admin.lock();
        let queue = (!admin.queues).trailing_zeros();
        if queue >= self.limits.queues {
            return Err(ENOSPC);
        }
        admin.queues |= 1 << queue;
        Ok(queue)
    }

    /// Gives a queue back that [`Device::take_queue`] gave. It is stopped, and no process reaches
    /// its pages.
    pub(crate) fn give_back_queue(&self, queue: u32) {
        self.admin.lock().queues &= !(1 << queue);
    }

    /// Starts a queue with rings of `entries` at these DMA addresses. Says in which reset generation
    /// it runs.
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
        let admin = self.admin.lock();
        let words = self.registers.words(queue)?;
        words.clear_inline()?;
        words.store(Word::SubmissionTail, 0);
        words.store(Word::CompletionHead, 0);
        // As far away as can be: nobody waits.
        words.store(Word::InterruptAt, u32::MAX);
        words.store(Word::DriverInterruptAt, u32::MAX);
        io_project!(admin.block, .queue).copy_write(QueueSetup {
            queue,
            domain,
            submission_ring,
            completion_ring,
            submission_entries: entries,
            completion_entries: entries,
            vector: self.vector(queue),
            reserved: [0; 7],
        });
        let address = admin.block.dma_address() + core::mem::offset_of!(SetupBlock, queue) as u64;
        let generation = self.registers.settle()?;
        let start = |bar: &RegisterBar<'_>| bar.try_write_reg(regs::QUEUE_START::from(address));
        match self.registers.command(generation, start)? {
            Answer::Code(ErrorCode::NONE) => Ok(generation),
            Answer::Code(code) => Err(self.refused("QUEUE_START", code)),
            Answer::Reset => {
                // Before the command or after it, so the queue may run.
                self.stop(self.registers.settle()?, queue)?;
                Err(EIO)
            }
        }
    }

    /// Stops a queue that [`Device::start_queue`] started in `generation`. Its rings are the
    /// caller's again.
    ///
    /// # Errors
    ///
    /// `EIO` if the device is lost: it may still use the rings.
    pub(crate) fn stop_queue(&self, generation: u32, queue: u32) -> Result {
        let _admin = self.admin.lock();
        self.stop(generation, queue)
    }

    /// As [`Device::stop_queue`], for who holds the lock.
    fn stop(&self, generation: u32, queue: u32) -> Result {
        let stop = |bar: &RegisterBar<'_>| {
            bar.write_reg(regs::QUEUE_STOP::from(queue));
            Ok(())
        };
        match self.registers.command(generation, stop)? {
            // A queue that hit an error has stopped by itself, and a reset stops all.
            Answer::Code(ErrorCode::NONE | ErrorCode::QUEUE_STOPPED) | Answer::Reset => Ok(()),
            Answer::Code(code) => Err(self.refused("QUEUE_STOP", code)),
        }
    }

    /// Opens a window for the queues of `domain`. Says which number it has, and in which reset
    /// generation it is open.
    ///
    /// # Errors
    ///
    /// `ENOSPC` if all windows are taken, `EIO` if the device refuses.
    pub(crate) fn open_window(
        &self,
        domain: u32,
        rights: u32,
        target: WindowTarget<'_>,
    ) -> Result<(u16, u32)> {
        let mut admin = self.admin.lock();
        let window = admin.free_window(self.limits.windows)?;
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
        let (address, list) = if segments.len() <= MAX_PARTS as usize {
            (admin.describe_window(setup, segments)?, None)
        } else {
            let list = self.long_list(setup, segments)?;
            (list.dma_address(), Some(list))
        };
        let generation = self.registers.settle()?;
        let open = |bar: &RegisterBar<'_>| bar.try_write_reg(regs::WINDOW_OPEN::from(address));
        let answer = self.registers.command(generation, open).inspect_err(|_| {
            // A lost device may read it when it comes back.
            list.into_iter().for_each(|list| self.kept.buffer(list));
        })?;
        match answer {
            Answer::Code(ErrorCode::NONE) => {}
            Answer::Code(code) => return Err(self.refused("WINDOW_OPEN", code)),
            Answer::Reset => {
                // Before the command or after it, so the window may be open.
                self.close(self.registers.settle()?, window)?;
                return Err(EIO);
            }
        }
        admin.windows[usize::from(window) / 64] |= 1 << (window % 64);
        Ok((window, generation))
    }

    /// A window block with more segments than the one that all windows share has room for.
    fn long_list(&self, setup: WindowSetup, segments: &[Segment]) -> Result<Coherent<[u8]>> {
        let (setup, segments) = (setup.as_bytes(), segments.as_bytes());
        let (seam, end) = (setup.len(), setup.len() + segments.len());
        let list = Coherent::zeroed_slice(self.pdev.as_ref(), end, GFP_KERNEL)?;
        io_project!(list, [try: 0..seam]).copy_from_slice(setup);
        io_project!(list, [try: seam..end]).copy_from_slice(segments);
        Ok(list)
    }

    /// Closes a window that [`Device::open_window`] opened in `generation`. The device does not use
    /// it any more.
    ///
    /// # Errors
    ///
    /// `EIO` if the device is lost: it may still use the memory.
    pub(crate) fn close_window(&self, generation: u32, window: u16) -> Result {
        let mut admin = self.admin.lock();
        self.close(generation, window)?;
        admin.windows[usize::from(window) / 64] &= !(1 << (window % 64));
        Ok(())
    }

    /// As [`Device::close_window`], for who holds the lock and keeps the number.
    fn close(&self, generation: u32, window: u16) -> Result {
        let close = |bar: &RegisterBar<'_>| {
            bar.write_reg(regs::WINDOW_CLOSE::from(u32::from(window)));
            Ok(())
        };
        match self.registers.command(generation, close)? {
            Answer::Code(ErrorCode::NONE | ErrorCode::WINDOW_IS_CLOSED) | Answer::Reset => Ok(()),
            Answer::Code(code) => Err(self.refused("WINDOW_CLOSE", code)),
        }
    }

    /// Whether the device has a window with this number, open or not.
    pub(crate) fn has_window(&self, window: u16) -> bool {
        (1..=self.limits.windows).contains(&window.into())
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

    /// Fills a range with zeros: what the last owner left there is nobody's business. For who holds
    /// the lock.
    fn zero(&self, range: Range) -> Result {
        let place = self.memory_range(range)?;
        let generation = self.registers.settle()?;
        place.zero()?;
        // While its function is reset, the device does not take what is written, and keeps what it had.
        if self.registers.is_current(generation) {
            Ok(())
        } else {
            Err(EIO)
        }
    }

    /// Gives a range back that [`Device::take_memory`] gave.
    pub(crate) fn give_back_memory(&self, part: MemoryPart, range: Range) {
        self.admin.lock().ranges(part).give_back(range);
    }

    /// Memory that is kept for good.
    pub(crate) fn kept(&self) -> &Kept {
        &self.kept
    }

    /// Returns the device's log of recent errors.
    pub(crate) fn errors(&self) -> ErrorLog<'_, 'bound> {
        ErrorLog::new(&self.registers)
    }

    fn refused(&self, command: &str, code: ErrorCode) -> Error {
        dev_err!(
            self.pdev,
            "{}: refused with error code {}\n",
            command,
            code.0
        );
        EIO
    }
}

impl Admin {
    /// Puts a window block and its segments where they stay until the next command, and says at
    /// which DMA address.
    fn describe_window(&self, setup: WindowSetup, segments: &[Segment]) -> Result<u64> {
        io_project!(self.block, .window).copy_write(setup);
        for (index, segment) in segments.iter().enumerate() {
            io_project!(self.block, .segments[try: index]).copy_write(*segment);
        }
        Ok(self.block.dma_address() + core::mem::offset_of!(SetupBlock, window) as u64)
    }

    fn free_window(&self, limit: u32) -> Result<u16> {
        // Window 0 does not exist.
        (1..=limit)
            .find(|window| self.windows[*window as usize / 64] & 1 << (window % 64) == 0)
            .and_then(|window| u16::try_from(window).ok())
            .ok_or(ENOSPC)
    }

    fn ranges(&mut self, part: MemoryPart) -> &mut Ranges {
        match part {
            MemoryPart::WriteCombining => &mut self.write_combining,
            MemoryPart::Uncached => &mut self.uncached,
            MemoryPart::Lazy => &mut self.lazy,
        }
    }
}

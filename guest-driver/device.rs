// SPDX-License-Identifier: GPL-2.0-only

//! The device while the driver is bound to it: registers, admin commands, what there is to give.

use crate::{
    errors::LoggedError,
    interface::{
        error::ErrorCode,
        ids, layout,
        layout::MemoryPart,
        regs, ring,
        setup::{
            QueueSetup,
            Segment,
            WindowKind,
            WindowSetup, //
        },
        SetupBlock,
    },
    kept::Kept,
    ranges::{
        Range,
        Ranges, //
    },
    resources::{
        clear_master,
        IoRange,
        RequestedBar,
        WriteCombiningMapping, //
    },
};
use kernel::{
    device::Bound,
    dma::Coherent,
    io::{
        io_project,
        register::Array,
        Io, //
    },
    new_mutex,
    pci,
    prelude::*,
    sync::Mutex, //
};

type RegisterBar<'bound> = pci::Bar<'bound, { layout::REGISTER_BAR_SIZE }>;

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
    /// Largest length of a descriptor in bytes.
    pub(crate) length: u32,
}

/// What a window shows.
pub(crate) enum WindowTarget<'a> {
    /// Coherent memory in pieces, at most [`MAX_PARTS`](crate::interface::ioctl::MAX_PARTS).
    Memory(&'a [Segment]),
    /// A range of the device memory.
    DeviceMemory(Range),
}

/// A bound device. Reached through [`crate::gate::Gate`].
#[pin_data]
pub(crate) struct Device<'bound> {
    pdev: &'bound pci::Device<Bound>,
    bar: RegisterBar<'bound>,
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
        let bar: RegisterBar<'bound> = pdev.iomap_region_sized(layout::REGISTER_BAR, c"ringbar")?;
        let memory = RequestedBar::new(pdev, layout::DEVICE_MEMORY_BAR)?;

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
        bar.write_reg(regs::RESET::from(regs::RESET_KEY));
        let queue_limits = bar.read(regs::QUEUE_LIMITS);
        let limits = Limits {
            version,
            opcodes: bar.try_read(regs::FEATURES)?.into_raw(),
            queues: u32::from(queue_limits.queues()).min(layout::MAX_QUEUES as u32),
            entries: u32::from(queue_limits.entries()).min(ring::MAX_ENTRIES),
            windows: bar.read(regs::WINDOW_LIMITS).windows().into(),
            length: bar.read(regs::LENGTH_LIMIT).into_raw(),
        };
        // Errors are read where they matter; as an interrupt they would say nothing new.
        bar.write_reg(regs::IRQ_MASK::zeroed().with_error(true));

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
            bar,
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

    /// Starts a free queue with rings of `entries` at these DMA addresses, and says which.
    ///
    /// # Errors
    ///
    /// `ENOSPC` if all queues are taken, `EIO` if the device refuses.
    pub(crate) fn start_queue(
        &self,
        domain: u32,
        entries: u32,
        submission_ring: u64,
        completion_ring: u64,
    ) -> Result<u32> {
        let mut admin = self.admin.lock();
        let queue = (!admin.queues).trailing_zeros();
        if queue >= self.limits.queues {
            return Err(ENOSPC);
        }
        let place = queue as usize;
        self.bar.write(
            regs::SUBMISSION_TAIL::try_at(place).ok_or(EINVAL)?,
            0.into(),
        );
        self.bar.write(
            regs::COMPLETION_HEAD::try_at(place).ok_or(EINVAL)?,
            0.into(),
        );
        io_project!(admin.block, .queue).copy_write(QueueSetup {
            queue,
            domain,
            submission_ring,
            completion_ring,
            submission_entries: entries,
            completion_entries: entries,
            // Vector 0 is for errors, unless it is the only one.
            vector: (queue + 1).min(self.vectors - 1),
            reserved: [0; 7],
        });
        let address = admin.block.dma_address() + core::mem::offset_of!(SetupBlock, queue) as u64;
        self.bar.try_write_reg(regs::QUEUE_START::from(address))?;
        self.outcome("QUEUE_START")?;
        admin.queues |= 1 << queue;
        Ok(queue)
    }

    /// Stops a queue that [`Device::start_queue`] started. Its rings are the caller's again.
    ///
    /// # Errors
    ///
    /// `EIO` if the device does not say that it stopped: it may still use the rings.
    pub(crate) fn stop_queue(&self, queue: u32) -> Result {
        let mut admin = self.admin.lock();
        self.bar.write_reg(regs::QUEUE_STOP::from(queue));
        match self.outcome_code() {
            // A queue that hit an error has stopped by itself.
            ErrorCode::NONE | ErrorCode::QUEUE_STOPPED => {}
            code => return Err(self.refused("QUEUE_STOP", code)),
        }
        admin.queues &= !(1 << queue);
        Ok(())
    }

    /// Opens a window for the queues of `domain`, and says which number it has.
    ///
    /// # Errors
    ///
    /// `ENOSPC` if all windows are taken, `EIO` if the device refuses.
    pub(crate) fn open_window(
        &self,
        domain: u32,
        rights: u32,
        target: WindowTarget<'_>,
    ) -> Result<u16> {
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
        io_project!(admin.block, .window).copy_write(WindowSetup {
            window: window.into(),
            domain,
            kind: kind.0,
            rights,
            length,
            offset,
            segments: segments.len() as u32,
            reserved: [0; 7],
        });
        for (index, segment) in segments.iter().enumerate() {
            io_project!(admin.block, .segments[try: index]).copy_write(*segment);
        }
        let address = admin.block.dma_address() + core::mem::offset_of!(SetupBlock, window) as u64;
        self.bar.try_write_reg(regs::WINDOW_OPEN::from(address))?;
        self.outcome("WINDOW_OPEN")?;
        admin.windows[usize::from(window) / 64] |= 1 << (window % 64);
        Ok(window)
    }

    /// Closes a window that [`Device::open_window`] opened. The device does not use it any more.
    ///
    /// # Errors
    ///
    /// `EIO` if the device does not say that it closed it: it may still use the memory.
    pub(crate) fn close_window(&self, window: u16) -> Result {
        let mut admin = self.admin.lock();
        self.bar
            .write_reg(regs::WINDOW_CLOSE::from(u32::from(window)));
        match self.outcome_code() {
            // A reset has closed it.
            ErrorCode::NONE | ErrorCode::WINDOW_IS_CLOSED => {}
            code => return Err(self.refused("WINDOW_CLOSE", code)),
        }
        admin.windows[usize::from(window) / 64] &= !(1 << (window % 64));
        Ok(())
    }

    /// Whether the device has a window with this number, open or not.
    pub(crate) fn has_window(&self, window: u16) -> bool {
        (1..=self.limits.windows).contains(&window.into())
    }

    /// Takes a zeroed range of `part` of the device memory, `length` bytes in whole pages.
    ///
    /// # Errors
    ///
    /// `ENOSPC` if the part has no such range left; `ENOMEM`.
    pub(crate) fn take_memory(&self, part: MemoryPart, length: usize) -> Result<Range> {
        let range = self.admin.lock().ranges(part).take(length)?;
        // What the last owner left there is nobody's business.
        self.memory_range(range)
            .and_then(|place| place.zero())
            .inspect_err(|_| self.give_back_memory(part, range))?;
        Ok(range)
    }

    /// Gives a range back that [`Device::take_memory`] gave.
    pub(crate) fn give_back_memory(&self, part: MemoryPart, range: Range) {
        self.admin.lock().ranges(part).give_back(range);
    }

    /// Completions that the device has posted to a queue.
    pub(crate) fn completion_tail(&self, queue: u32) -> Result<u32> {
        let place = regs::COMPLETION_TAIL::try_at(queue as usize).ok_or(EINVAL)?;
        Ok(self.bar.read(place).into_raw())
    }

    /// Completions that the process says it has taken from a queue.
    pub(crate) fn completion_head(&self, queue: u32) -> Result<u32> {
        let place = regs::COMPLETION_HEAD::try_at(queue as usize).ok_or(EINVAL)?;
        Ok(self.bar.read(place).into_raw())
    }

    /// Memory that is kept for good.
    pub(crate) fn kept(&self) -> &Kept {
        &self.kept
    }

    /// Errors that the device has logged since its last reset.
    pub(crate) fn error_count(&self) -> u32 {
        self.bar.read(regs::ERROR_COUNT).into_raw()
    }

    /// The error with this number, if the log still has it.
    pub(crate) fn logged_error(&self, number: u32) -> Result<Option<LoggedError>> {
        let place = number as usize % regs::ERROR_LOG_ENTRIES;
        let entry = || {
            let entry = regs::ERROR_LOG_ENTRY::try_at(place).ok_or(EINVAL)?;
            self.bar.try_read(entry)
        };
        let value = regs::ERROR_LOG_VALUE::try_at(place).ok_or(EINVAL)?;
        let before = entry()?;
        let value = self.bar.try_read(value)?.into_raw();
        // A newer one may have come meanwhile.
        let is_this = u64::from(before.number()) == number.into();
        Ok(
            (is_this && entry()?.into_raw() == before.into_raw()).then(|| LoggedError {
                queue: u64::from(before.queue()) as u16,
                code: ErrorCode(u64::from(before.code()) as u16),
                value,
            }),
        )
    }

    /// Errors of a queue since it was started.
    pub(crate) fn queue_errors(&self, queue: u32) -> Result<u32> {
        let place = regs::QUEUE_ERRORS::try_at(queue as usize).ok_or(EINVAL)?;
        Ok(self.bar.read(place).into_raw())
    }

    /// Whether anybody serves the device.
    pub(crate) fn answers(&self) -> bool {
        self.bar.read(regs::KICK::at(0)).into_raw() == regs::KICK_ANSWER
    }

    /// Ends all DMA: the device stops its queues and may not master the bus any more.
    ///
    /// # Errors
    ///
    /// `EIO` if the device does not answer: it may still write memory that it was given.
    pub(crate) fn quiesce(&self) -> Result {
        self.bar.write_reg(regs::RESET::from(regs::RESET_KEY));
        clear_master(self.pdev);
        if self.answers() {
            Ok(())
        } else {
            Err(EIO)
        }
    }

    fn outcome_code(&self) -> ErrorCode {
        // All ones, from a device that nobody serves, is not a code that the device gives.
        ErrorCode(self.bar.read(regs::ADMIN_STATUS).into_raw() as u16)
    }

    fn outcome(&self, command: &str) -> Result {
        match self.outcome_code() {
            ErrorCode::NONE => Ok(()),
            code => Err(self.refused(command, code)),
        }
    }

    fn refused(&self, command: &str, code: ErrorCode) -> Error {
        if code.0 == u16::MAX {
            dev_err!(self.pdev, "{}: the device does not answer\n", command);
        } else {
            dev_err!(
                self.pdev,
                "{}: refused with error code {}\n",
                command,
                code.0
            );
        }
        EIO
    }
}

impl Admin {
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

// SPDX-License-Identifier: GPL-2.0-only

//! The device while the driver is bound to it: registers, and numbers and memory to hand out.

mod bars;
mod commands;
mod config_space;
pub(crate) mod delayed;
mod errors;
pub(crate) mod identity;
pub(crate) mod kept;
pub(crate) mod limits;
pub(crate) mod owner;
pub(crate) mod ranges;
pub(crate) mod recovery;
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
        number_set::NumberSet,
        pci::IoRange,
        signals::Signals, //
    },
};
use commands::Commands;
use errors::ErrorLog;
use identity::Limits;
use kept::{
    Kept,
    Orphan,
    Orphans,
    Taken, //
};
use kernel::{
    device::Bound,
    dma::Coherent,
    error::code::ERESTARTSYS,
    new_mutex,
    page::PAGE_SIZE,
    pci,
    prelude::*,
    sync::{
        Mutex,
        MutexGuard, //
    },
};
use ranges::{
    Range,
    Ranges, //
};
use registers::{
    OnLoss,
    Registers,
    Silence,
    RESETS, //
};
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
    /// Bytes of `memory` that the driver uses.
    memory_size: usize,
    limits: Limits,
    vectors: u32,
    kept: Kept,
    #[pin]
    admin: Mutex<Admin>,
}

/// The way to give admin commands, one at a time, and the things that they are about.
struct Admin {
    commands: Commands,
    queues: NumberSet,
    windows: NumberSet,
    write_combining: Ranges,
    uncached: Ranges,
    lazy: Ranges,
    orphans: Orphans,
}

impl<'bound> Device<'bound> {
    /// Takes the device into use: checks and resets it, reads its limits. `on_loss` gets word if the
    /// device does not answer later.
    ///
    /// # Errors
    ///
    /// `ENODEV` if the driver does not know the device, `EBUSY` if a BAR is in use; `ENOMEM`.
    pub(crate) fn new(
        pdev: &'bound pci::Device<Bound>,
        vectors: u32,
        on_loss: KBox<dyn OnLoss>,
    ) -> Result<impl PinInit<Self, Error> + 'bound> {
        let registers = Registers::new(pdev, on_loss)?;
        let memory_size = bars::memory_size(pdev)?;
        let memory = RequestedBar::new(pdev, layout::DEVICE_MEMORY_BAR)?;
        let limits = Limits::read(pdev, &registers, registers.bar()?)?;
        let admin = Admin::new(pdev, &limits, memory_size)?;
        let (start, length) = layout::memory_part(memory_size, MemoryPart::Lazy);
        let lazy = WriteCombiningMapping::new(memory.range()?.part(start, length)?)?;
        Ok(try_pin_init!(Self {
            pdev,
            registers,
            _lazy: lazy,
            memory,
            memory_size,
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
    pub(crate) fn memory_size(&self) -> usize {
        self.memory_size
    }

    /// Returns the page of BAR 0 at `offset`, as far as one page of the kernel shows it.
    pub(crate) fn register_page(&self, offset: usize) -> Result<IoRange<'_>> {
        IoRange::new(self.pdev, layout::REGISTER_BAR, offset, PAGE_SIZE)
    }

    /// Returns a range of the device memory as a range of the BAR.
    pub(crate) fn memory_range(&self, range: Range) -> Result<IoRange<'_>> {
        self.memory.range()?.part(range.start, range.length)
    }

    /// Returns the registers.
    pub(crate) fn registers(&self) -> &Registers<'bound> {
        &self.registers
    }

    /// Returns the counts of what is kept.
    pub(crate) fn kept(&self) -> &Kept {
        &self.kept
    }

    /// Keeps `memory` of so many bytes of an object that was made in `generation`, and what it has
    /// taken, as the device did not confirm that it no longer uses it. If the device was reset
    /// since, it does not, and everything is freed at once.
    pub(crate) fn keep<T: Send + 'static>(
        &self,
        generation: u32,
        taken: Taken,
        bytes: usize,
        memory: T,
    ) {
        let mut admin = self.admin();
        if self.registers.has_left(generation) {
            admin.give_back(taken);
            drop(admin);
            drop(memory);
        } else {
            admin
                .orphans
                .add(&self.kept, generation, taken, bytes, memory);
        }
    }

    /// Keeps `memory` of so many bytes if the device is lost, as it may have been told of the memory
    /// just before, and frees it if not.
    pub(crate) fn keep_if_lost<T: Send + 'static>(&self, bytes: usize, memory: T) {
        let mut admin = self.admin();
        if self.registers.is_lost() {
            let generation = self.registers.set_up_for();
            admin
                .orphans
                .add(&self.kept, generation, Taken::Nothing, bytes, memory);
        } else {
            drop(admin);
            drop(memory);
        }
    }

    /// Takes the lock of admin commands. Frees what was kept before the last reset that the driver
    /// has noticed, and gives back what it had taken.
    fn admin(&self) -> MutexGuard<'_, Admin> {
        let mut admin = self.admin.lock();
        let free = self.take_free_orphans(&mut admin);
        if free.is_empty() {
            return admin;
        }
        // The lock is released while memory is freed, which can take long.
        drop(admin);
        for orphan in free {
            orphan.free(&self.kept);
        }
        self.admin.lock()
    }

    /// Takes the objects that are kept, if the device has confirmed a reset since. Their numbers are
    /// free from now on.
    fn take_free_orphans(&self, admin: &mut Admin) -> KVec<Orphan> {
        if self.registers.is_lost() {
            return KVec::new();
        }
        let free = admin.orphans.take_older(self.registers.set_up_for());
        for orphan in &free {
            admin.give_back(orphan.taken());
        }
        free
    }

    /// Looks whether a lost device answers, and uses it again if it does. Objects that were made
    /// before are gone in it, as after any reset. Returns whether to look again later.
    pub(crate) fn look_again(&self) -> bool {
        let admin = self.admin.lock();
        if !self.registers.is_silent() {
            return false;
        }
        if !self.registers.answers() {
            return true;
        }
        // Another server may have taken the place of the one that was lost.
        let bar = self.registers.bar_of_lost();
        let boot = self.registers.boot();
        match Limits::read(self.pdev, &self.registers, bar) {
            Ok(limits) if limits.cover(&self.limits) => {
                self.registers.take_back(self.registers.boot() != boot);
            }
            // It was lost again meanwhile.
            _ if !self.registers.answers() => return true,
            _ => {
                self.registers.give_up();
                return false;
            }
        }
        drop(admin);
        // Processes need not wait for the next command to have the memory back.
        drop(self.admin());
        false
    }

    /// Ends all DMA, for a driver that leaves the device, and frees what is kept.
    ///
    /// # Errors
    ///
    /// `EIO` if the device is lost: it may still write memory that it was given.
    pub(crate) fn quiesce(&self) -> Result {
        if !self.registers.is_slow() {
            self.look_again();
        }
        let quiet = self.registers.quiesce();
        match quiet {
            Ok(()) => drop(self.admin()),
            Err(_) => self.registers.leave_lost(),
        }
        quiet
    }

    /// Returns the device's log of recent errors.
    pub(crate) fn errors(&self) -> ErrorLog<'_, 'bound> {
        ErrorLog::new(&self.registers)
    }

    /// Checks that the server still serves the device, unless it is known to be lost. Notices a
    /// reset, and waits for its end.
    ///
    /// # Errors
    ///
    /// `EIO` if the device is lost; as [`Signals::check`].
    pub(crate) fn check(&self, signals: Signals) -> Result {
        self.after_resets(signals, |_admin| self.registers.check(Silence::Restart))
    }

    /// Calls `give` with the lock of admin commands, again while it finds that the function is being
    /// reset. Waits for the end of a reset without the lock. Otherwise a thread that waits for the
    /// lock would wait for the reset too, and no signal could end its wait.
    ///
    /// # Errors
    ///
    /// `EIO` if the device is lost; as [`Signals::check`]; the errors of `give`.
    fn after_resets<R>(
        &self,
        signals: Signals,
        give: impl Fn(&mut Admin) -> Result<R>,
    ) -> Result<R> {
        for _ in 0..RESETS {
            self.registers.attend(signals)?;
            match give(&mut self.admin()) {
                Err(error) if error == ERESTARTSYS => {}
                outcome => return outcome,
            }
        }
        Err(self.reset_too_often())
    }

    /// Logs that a call has waited for too many resets in a row.
    pub(crate) fn reset_too_often(&self) -> Error {
        dev_warn!(
            self.pdev,
            "a command met {} resets in a row, and is given up\n",
            RESETS
        );
        EIO
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
    /// `EIO` if the device is lost, `ENOSPC` if all queues are taken.
    pub(crate) fn take_queue(&self) -> Result<u32> {
        let mut admin = self.admin();
        // First: objects that are kept of a lost device have numbers too.
        self.check_not_lost()?;
        let queue = admin.queues.lowest()?;
        admin.queues.take(queue);
        Ok(queue)
    }

    /// Gives a queue back that [`Device::take_queue`] took. It is stopped, and no process reaches
    /// its pages.
    pub(crate) fn give_back_queue(&self, queue: u32) {
        self.admin().queues.give_back(queue);
    }

    /// Starts a queue with rings of `entries` at these DMA addresses. Returns the reset generation
    /// in which it runs.
    ///
    /// # Errors
    ///
    /// `EIO` if the device refuses or is lost; `ERESTARTSYS` if it is being reset, and nothing was
    /// done.
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
        let admin = self.admin();
        admin.commands.start_queue(&self.registers, setup)
    }

    /// Stops a queue that [`Device::start_queue`] started in `generation`. Its rings are the
    /// caller's again.
    ///
    /// # Errors
    ///
    /// `EIO` if the device is lost: it may still use the rings; as [`Silence`].
    pub(crate) fn stop_queue(&self, generation: u32, silence: Silence, queue: u32) -> Result {
        let stop = |admin: &mut Admin| {
            let commands = &admin.commands;
            commands.stop_queue(&self.registers, generation, Silence::Restart, queue)
        };
        match silence {
            Silence::Wait => self.after_resets(Signals::None, stop),
            Silence::Restart => stop(&mut self.admin()),
        }
    }

    /// Opens a window for the queues of `domain`. Returns its number, and the reset generation in
    /// which it is open.
    ///
    /// # Errors
    ///
    /// `ENOSPC` if all windows are taken, `EIO` if the device refuses or is lost; `ENOMEM`;
    /// `ERESTARTSYS` if it is being reset, and nothing was done.
    pub(crate) fn open_window(
        &self,
        domain: u32,
        rights: u32,
        target: WindowTarget<'_>,
    ) -> Result<(u16, u32)> {
        let mut admin = self.admin();
        let admin = &mut *admin;
        self.check_not_lost()?;
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
        let keep = |list: Coherent<[u8]>| {
            let (bytes, generation) = (list.size(), self.registers.set_up_for());
            admin
                .orphans
                .add(&self.kept, generation, Taken::Nothing, bytes, list);
        };
        let generation =
            admin
                .commands
                .open_window(self.pdev, &self.registers, setup, segments, keep)?;
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
        let window = window.into();
        self.after_resets(Signals::None, |admin| {
            let commands = &admin.commands;
            commands.close_window(&self.registers, generation, Silence::Restart, window)?;
            admin.windows.give_back(window);
            Ok(())
        })
    }

    /// Takes a zeroed range of `part` of the device memory, `length` bytes in whole pages.
    ///
    /// # Errors
    ///
    /// `ENOSPC` if the part has no such range left; `ENOMEM`; `EIO` if the device is lost, or was
    /// reset meanwhile; `ERESTARTSYS` if it is being reset.
    pub(crate) fn take_memory(&self, part: MemoryPart, length: usize) -> Result<Range> {
        let mut admin = self.admin();
        self.check_not_lost()?;
        let range = admin.ranges(part).take(length)?;
        self.zero(range)
            .inspect_err(|_| admin.ranges(part).give_back(range))?;
        Ok(range)
    }

    /// Fills a range with zeros: it may hold secrets of its last owner. The caller holds the lock.
    fn zero(&self, range: Range) -> Result {
        let target = self.memory_range(range)?;
        let generation = self.registers.settle(Silence::Restart)?;
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
        self.admin().ranges(part).give_back(range);
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
            queues: NumberSet::new(0..limits.queues)?,
            // Window 0 does not exist.
            windows: NumberSet::new(1..limits.windows.saturating_add(1))?,
            write_combining: part(MemoryPart::WriteCombining),
            uncached: part(MemoryPart::Uncached),
            lazy: part(MemoryPart::Lazy),
            orphans: Orphans::new(),
        })
    }

    /// Gives back what a kept object had taken.
    fn give_back(&mut self, taken: Taken) {
        match taken {
            Taken::Nothing => {}
            Taken::Queue(queue) => self.queues.give_back(queue),
            Taken::Window(window) => self.windows.give_back(window.into()),
            Taken::DeviceMemory(window, part, range) => {
                self.windows.give_back(window.into());
                self.ranges(part).give_back(range);
            }
        }
    }

    fn ranges(&mut self, part: MemoryPart) -> &mut Ranges {
        match part {
            MemoryPart::WriteCombining => &mut self.write_combining,
            MemoryPart::Uncached => &mut self.uncached,
            MemoryPart::Lazy => &mut self.lazy,
        }
    }
}

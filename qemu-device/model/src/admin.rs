// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Admin commands: start and stop queues, open and close windows (data sheet 5).

use crate::queue::{show_stopped, Queue};
use crate::window::{Backing, Extent, Window};
use crate::words::QueueWords;
use crate::LoggedError;
use crate::{Device, DmaAddress, Host, Location};
use ringbar_spec::error::ErrorCode;
use ringbar_spec::pages::QUEUE_STOPPED;
use ringbar_spec::regs::NO_QUEUE;
use ringbar_spec::ring::{entries_valid, Completion, Descriptor};
use ringbar_spec::setup::{
    QueueSetup, Segment, WindowKind, WindowSetup, ALIGNMENT, MAX_SEGMENTS, RIGHT_READ, RIGHT_WRITE,
};
use zerocopy::{FromBytes, IntoBytes};

/// Outcome of a command: carried out, or refused with an entry for the log.
pub(crate) type Outcome = Result<(), LoggedError>;

impl Device {
    /// Starts the queue that the block at `address` describes.
    ///
    /// The checks are made in the order of data sheet 5. A refused command changes nothing.
    pub(crate) fn queue_start(&mut self, address: DmaAddress, host: &dyn Host) -> Outcome {
        let setup: QueueSetup = self.read_setup(address, host)?;
        check_reserved(&setup.reserved)?;
        let number = setup.queue;
        // A refused command names the queue in the log if the device has it (data sheet 9). The
        // checks that use this come after that of the number.
        let refuse = |code, value: u64| -> LoggedError {
            LoggedError {
                code,
                queue: u16::try_from(number).unwrap_or(NO_QUEUE),
                value,
            }
        };
        let (place, slot) = self.queue_slot(number)?;
        if slot.is_some() {
            return Err(refuse(ErrorCode::QUEUE_RUNS, number.into()));
        }
        check_ring::<Descriptor>(setup.submission_ring, setup.submission_entries)
            .and_then(|()| {
                check_ring::<Completion>(setup.completion_ring, setup.completion_entries)
            })
            .map_err(|(code, value)| refuse(code, value))?;
        let vector = u16::try_from(setup.vector)
            .ok()
            .filter(|&vector| vector < self.config.vectors)
            .ok_or(refuse(ErrorCode::BAD_VECTOR, setup.vector.into()))?;

        // The slot is borrowed again, since the checks between needed the device as well.
        let (_, slot) = self.queue_slot(number)?;
        *slot = Some(Queue::start(
            place,
            vector,
            setup,
            &QueueWords::new(host, place),
        ));
        // `QUEUE_ERRORS` and `INTERRUPT_MODERATION` begin at 0 (data sheet 5).
        self.registers.reset_queue(place);
        self.count_queues();
        Ok(())
    }

    /// Stops a queue (data sheet 5). No step runs during the command, so that none of the queue's
    /// descriptors is carried out after it.
    pub(crate) fn queue_stop(&mut self, number: u32, host: &dyn Host) -> Outcome {
        let (place, slot) = self.queue_slot(number)?;
        slot.take().ok_or(LoggedError {
            code: ErrorCode::QUEUE_STOPPED,
            queue: place,
            value: number.into(),
        })?;
        // The queue is gone before its words show it, and no completion is posted for a descriptor
        // in progress (data sheet 5).
        show_stopped(&QueueWords::new(host, place), QUEUE_STOPPED);
        self.schedule.remove(place.into());
        self.count_queues();
        Ok(())
    }

    /// Opens the window that the block at `address` describes.
    ///
    /// The checks are made in the order of data sheet 5. A refused command changes nothing.
    pub(crate) fn window_open(&mut self, address: DmaAddress, host: &dyn Host) -> Outcome {
        let setup: WindowSetup = self.read_setup(address, host)?;
        check_reserved(&setup.reserved)?;
        let number = setup.window;
        // An open window is not replaced. Operations in progress would go on in other memory than
        // they were checked for.
        if self.window_slot(number)?.is_some() {
            return Err(refusal(ErrorCode::WINDOW_IS_OPEN, number.into()));
        }
        let kind = WindowKind(setup.kind);
        if !matches!(kind, WindowKind::SEGMENTS | WindowKind::DEVICE_MEMORY) {
            return Err(refusal(ErrorCode::BAD_KIND, setup.kind.into()));
        }
        if setup.rights == 0 || setup.rights & !(RIGHT_READ | RIGHT_WRITE) != 0 {
            return Err(refusal(ErrorCode::BAD_RIGHTS, setup.rights.into()));
        }
        // No check here whether segments can be reached (data sheet 5). Memory may be mapped and
        // unmapped at any time, so only the access itself can find out.
        let backing = if kind == WindowKind::SEGMENTS {
            read_extents(&setup, address, host)?
        } else {
            check_range(&setup, self.config.device_memory_size)?
        };

        *self.window_slot(number)? = Some(Window {
            domain: setup.domain,
            readable: setup.rights & RIGHT_READ != 0,
            writable: setup.rights & RIGHT_WRITE != 0,
            length: setup.length,
            backing,
        });
        Ok(())
    }

    /// Closes a window, and breaks off operations in progress that use it (data sheet 5).
    pub(crate) fn window_close(&mut self, number: u32) -> Outcome {
        self.window_slot(number)?
            .take()
            .ok_or(refusal(ErrorCode::WINDOW_IS_CLOSED, number.into()))?;
        // An operation keeps the window's number only. Unmarked, it would go on in a window that is
        // opened with the same number.
        for queue in self.queues.iter_mut().flatten() {
            queue.abort_users(number as u16);
        }
        Ok(())
    }

    /// Copies a block out of guest memory (data sheet 5).
    fn read_setup<T: FromBytes + IntoBytes>(
        &self,
        address: DmaAddress,
        host: &dyn Host,
    ) -> Result<T, LoggedError> {
        // Data sheet 11: no access of guest memory while bus mastering is off.
        if !self.registers.status.bus_master() {
            return Err(refusal(ErrorCode::BUS_MASTER_OFF, address));
        }
        if !address.is_multiple_of(ALIGNMENT) {
            return Err(refusal(ErrorCode::MISALIGNED, address));
        }
        // Copied once, then checked. The driver side could change a block that is read twice
        // between check and use.
        let mut setup = T::new_zeroed();
        host.read(Location::Guest(address), setup.as_mut_bytes())
            .map_err(|_| refusal(ErrorCode::SETUP_UNREACHABLE, address))?;
        Ok(setup)
    }

    /// Returns the number of a queue that the device has, and the slot that holds it while it runs.
    fn queue_slot(&mut self, number: u32) -> Result<(u16, &mut Option<Queue>), LoggedError> {
        u16::try_from(number)
            .ok()
            .and_then(|place| Some((place, self.queues.get_mut(usize::from(place))?)))
            .ok_or(refusal(ErrorCode::BAD_QUEUE, number.into()))
    }

    /// Returns the slot that holds a window while it is open. Fails if the device has no such
    /// window.
    fn window_slot(&mut self, number: u32) -> Result<&mut Option<Window>, LoggedError> {
        u16::try_from(number)
            .ok()
            .and_then(|number| self.windows.slot(number))
            .ok_or(refusal(ErrorCode::BAD_WINDOW, number.into()))
    }
}

/// Makes the entry of an error that concerns no queue.
fn refusal(code: ErrorCode, value: u64) -> LoggedError {
    LoggedError {
        code,
        queue: NO_QUEUE,
        value,
    }
}

/// Fails if a field that must be 0 is not.
fn check_reserved(fields: &[u32]) -> Outcome {
    // Refused so that a later version can give the fields a meaning. A driver that leaves them
    // unset would break then.
    match fields.iter().find(|&&field| field != 0) {
        Some(&field) => Err(refusal(ErrorCode::RESERVED_FIELD, field.into())),
        None => Ok(()),
    }
}

/// Checks address and size of a ring of `T` (data sheet 5).
fn check_ring<T>(address: DmaAddress, entries: u32) -> Result<(), (ErrorCode, u64)> {
    if !address.is_multiple_of(ALIGNMENT) {
        return Err((ErrorCode::MISALIGNED, address));
    }
    // Evaluated for valid sizes only. With 0 entries the subtraction would underflow.
    let fits = || {
        let last = u64::from(entries) * size_of::<T>() as u64 - 1;
        address.checked_add(last).is_some()
    };
    if !entries_valid(entries) || !fits() {
        return Err((ErrorCode::BAD_ENTRIES, entries.into()));
    }
    Ok(())
}

/// Copies and checks the segments that follow a window's block (data sheet 5).
fn read_extents(
    setup: &WindowSetup,
    address: DmaAddress,
    host: &dyn Host,
) -> Result<Backing, LoggedError> {
    if setup.offset != 0 {
        return Err(refusal(ErrorCode::RESERVED_FIELD, setup.offset));
    }
    // The limit comes before the allocation. Otherwise the guest would choose how much the server
    // allocates.
    if setup.segments == 0 || setup.segments > MAX_SEGMENTS {
        return Err(refusal(ErrorCode::BAD_SEGMENTS, setup.segments.into()));
    }
    // Copied once, then checked, as the block.
    let mut segments = vec![Segment::default(); setup.segments as usize];
    address
        .checked_add(size_of::<WindowSetup>() as u64)
        .and_then(|list| {
            host.read(
                Location::Guest(list),
                segments.as_mut_slice().as_mut_bytes(),
            )
            .ok()
        })
        .ok_or(refusal(ErrorCode::SETUP_UNREACHABLE, address))?;

    let mut total = 0u64;
    let mut extents = Vec::with_capacity(segments.len());
    for segment in segments {
        let bad = refusal(ErrorCode::BAD_LENGTH, segment.length);
        let last = segment.length.checked_sub(1).ok_or(bad)?;
        // A segment that passes 2^64 is refused here. The address of each of its bytes can then be
        // computed without overflow.
        segment.address.checked_add(last).ok_or(bad)?;
        extents.push(Extent {
            start: total,
            address: segment.address,
        });
        total = total.checked_add(segment.length).ok_or(bad)?;
    }
    // Bounds of descriptors are checked against `length` alone, so it must be the sum.
    if total != setup.length {
        return Err(refusal(ErrorCode::BAD_LENGTH, setup.length));
    }
    Ok(Backing::Guest(extents.into()))
}

/// Checks a window's range of device memory (data sheet 5).
fn check_range(setup: &WindowSetup, size: u64) -> Result<Backing, LoggedError> {
    if setup.segments != 0 {
        return Err(refusal(ErrorCode::RESERVED_FIELD, setup.segments.into()));
    }
    if setup.length == 0 {
        return Err(refusal(ErrorCode::BAD_LENGTH, setup.length));
    }
    setup
        .offset
        .checked_add(setup.length)
        .filter(|&end| end <= size)
        .ok_or(refusal(ErrorCode::OUT_OF_BOUNDS, setup.offset))?;
    Ok(Backing::DeviceMemory(setup.offset))
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The model as a function of a PCI device: passes accesses down to it, and carries out its effects.

use std::fmt;
use std::time::{Duration, Instant};

use ringbar_endpoint::function::{Bus, Function, Trapped};
use ringbar_endpoint::region_files::RegionFiles;
use ringbar_endpoint::Endpoint;
use ringbar_model::{Config, Device, Effects, LoggedError, Vectors};

use crate::error::Error;
use crate::events::Events;
use crate::host::{Outside, ServedMemory};
use crate::options::Options;
use crate::shape::shape;
use crate::trace::{GuestErrors, Named, RegisterName, Value, TARGET};

/// The device of this server, with what the model has around it.
pub struct Ringbar<O = ServedMemory> {
    model: Device,
    outside: O,
    guest_errors: GuestErrors,
    /// Time for which it polls after the last work before it sleeps.
    pub(crate) poll_time: Duration,
    pub(crate) idle_since: Option<Instant>,
    work: bool,
    awake: bool,
    deadline: Option<u64>,
}

/// Makes the device as after power-on, without guest memory, that notes its work in `events`. Its
/// own memory is in new files.
///
/// # Errors
///
/// Fails if the model has no device of this shape, or if the system refuses memory.
pub fn endpoint(options: &Options, events: Events) -> Result<Endpoint<Ringbar>, Error> {
    endpoint_in_files(options, events, &RegionFiles::default())
}

/// As [`endpoint`], with the device's own memory in these files.
///
/// # Errors
///
/// As [`endpoint`], and if a file does not fit.
pub fn endpoint_in_files(
    options: &Options,
    events: Events,
    files: &RegionFiles,
) -> Result<Endpoint<Ringbar>, Error> {
    let memory = ServedMemory::in_files(files, options.device_memory, events)?;
    let shape = shape(&memory, options.interrupts, options.vectors());
    Ok(Endpoint::new(Ringbar::new(options, memory)?, shape)?)
}

impl<O: Outside> Ringbar<O> {
    /// Makes the function as after power-on, in these surroundings.
    ///
    /// # Errors
    ///
    /// Fails if the model has no device of this shape.
    pub fn new(options: &Options, outside: O) -> Result<Self, Error> {
        let model = Device::new(Config {
            queues: options.queues,
            vectors: options.vectors(),
            device_memory_size: options.device_memory as u64,
            boot_number: options.boot_number(),
        })?;
        model.show(&outside.memory().host_with(None));
        Ok(Self {
            model,
            outside,
            guest_errors: GuestErrors::default(),
            poll_time: options.poll_time(),
            idle_since: None,
            work: false,
            awake: false,
            deadline: None,
        })
    }

    /// Returns whether [`step`](Self::step) has something to do.
    pub fn has_steps(&self) -> bool {
        self.work
    }

    /// Returns whether queues are awake, so that [`poll`](Self::poll) and [`sleep`](Self::sleep)
    /// have something to do.
    pub fn is_awake(&self) -> bool {
        self.awake
    }

    /// Returns the time at which [`poll`](Self::poll) must be called at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        let since = Duration::from_nanos(self.deadline?);
        self.outside.memory().started.checked_add(since)
    }

    /// Does a bounded piece of the device's work.
    pub fn step(&mut self, bus: &mut Bus) {
        let effects = self.model.step(&self.outside.host(bus));
        self.apply(effects, Cause::Work, bus);
    }

    /// Looks for work in the queues that are awake.
    pub fn poll(&mut self, bus: &mut Bus) {
        let effects = self.model.poll(&self.outside.host(bus));
        self.apply(effects, Cause::Work, bus);
    }

    /// Puts the queues without work to sleep.
    pub fn sleep(&mut self, bus: &mut Bus) {
        let effects = self.model.sleep(&self.outside.host(bus));
        self.apply(effects, Cause::Work, bus);
    }

    /// Carries out the effects of a call of the model.
    #[inline]
    fn apply(&mut self, effects: Effects, cause: Cause<'_>, bus: &mut Bus) {
        if !effects.interrupts.is_empty() {
            self.raise(effects.interrupts, bus);
        }
        self.work = effects.work;
        self.awake = effects.awake;
        self.deadline = effects.deadline;
        // The entries come with the effects: more errors than the log has entries can happen in one
        // step.
        if !effects.errors.is_empty() {
            self.report(effects.errors, &cause);
        }
    }

    /// Raises interrupts.
    // Not inlined, as most calls of the model have none. The same holds for errors.
    #[inline(never)]
    fn raise(&self, vectors: Vectors, bus: &mut Bus) {
        for vector in vectors.iter() {
            // The record comes before the interrupt. The guest may react at once, and its accesses
            // would otherwise have earlier times than their cause.
            self.outside.memory().events.interrupt(vector);
            self.outside.interrupt(vector, bus);
        }
    }

    /// Reports errors of the guest to the log and the record.
    #[inline(never)]
    fn report(&mut self, errors: Vec<LoggedError>, cause: &Cause<'_>) {
        for error in &errors {
            self.guest_errors.note(error, cause);
            self.outside
                .memory()
                .events
                .error(error.code.0, error.queue(), error.value);
        }
    }
}

/// Accesses are those of registers, in BAR 0: all else is mapped, or QEMU's.
impl<O: Outside> Function for Ringbar<O> {
    fn read(&mut self, bar: u32, offset: u64, data: &mut [u8], bus: &mut Bus) {
        let effects = self.model.read(offset, data, self.outside.memory().now());
        self.outside
            .memory()
            .events
            .access(false, bar, offset, data);
        spoil(offset, data);
        self.apply(effects, Cause::Read(offset, data.len()), bus);
    }

    fn write(&mut self, bar: u32, offset: u64, data: &[u8], bus: &mut Bus) {
        if is_dropped(offset) {
            return;
        }
        let now = self.outside.memory().now();
        let effects = self.model.write(offset, data, now, &self.outside.host(bus));
        self.outside.memory().events.access(true, bar, offset, data);
        self.apply(effects, Cause::Write(offset, data), bus);
    }

    fn reset(&mut self, bus: &mut Bus) {
        let now = self.outside.memory().now();
        let effects = self.model.reset(now, &self.outside.host(bus));
        self.apply(effects, Cause::Reset, bus);
    }

    /// The model is told, as it knows nothing of configuration space.
    fn set_bus_master(&mut self, on: bool, bus: &mut Bus) {
        let effects = self.model.set_bus_master(on);
        self.apply(effects, Cause::Config, bus);
    }

    /// Logs the access, if `--trace` asks for it.
    fn note(&self, access: &Trapped<'_>) {
        log::trace!(target: TARGET, "{}", Named(access));
    }
}

/// Returns whether to drop a write of a register: only a server that is wrong on purpose does.
#[cfg(feature = "sabotage")]
fn is_dropped(offset: u64) -> bool {
    let mask = ringbar_spec::regs::IRQ_MASK::INFO.offset as u64;
    ringbar_model::sabotage::Sabotage::DroppedWrite.is_on() && offset == mask
}

/// Returns false: this server drops no write.
#[cfg(not(feature = "sabotage"))]
fn is_dropped(_offset: u64) -> bool {
    false
}

/// Changes the answer to a read: only a server that is wrong on purpose does.
#[cfg(feature = "sabotage")]
fn spoil(offset: u64, data: &mut [u8]) {
    let counter = ringbar_spec::regs::COUNTER::INFO.offset as u64;
    if ringbar_model::sabotage::Sabotage::WrongByte.is_on() && offset == counter {
        data.iter_mut().rev().take(1).for_each(|last| *last ^= 0x80);
    }
}

/// Does nothing: this server answers with the device's bytes.
#[cfg(not(feature = "sabotage"))]
fn spoil(_offset: u64, _data: &mut [u8]) {}

/// Call during which the device logged an error.
enum Cause<'a> {
    Read(u64, usize),
    Write(u64, &'a [u8]),
    Config,
    Reset,
    Work,
}

impl fmt::Display for Cause<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(offset, width) => {
                write!(f, "reading {width} bytes of {}", RegisterName(*offset))
            }
            Self::Write(offset, data) => {
                write!(f, "writing {} to {}", Value(data), RegisterName(*offset))
            }
            Self::Config => f.write_str("a write to configuration space"),
            Self::Reset => f.write_str("a reset"),
            Self::Work => f.write_str("working on a queue"),
        }
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What the registers hold, and what raises interrupts.

use crate::{Effects, LoggedError, Vectors};
use ringbar_spec::error::ErrorCode;
use ringbar_spec::regs::{
    Register, ERROR_LAST, ERROR_LOG_ENTRIES, ERROR_LOG_ENTRY, INTERRUPT_MODERATION, IRQ_CAUSE,
    IRQ_MASK, NO_QUEUE, QUEUE_LIMITS, STATUS, WINDOW_LIMITS,
};
use ringbar_spec::{ring, setup};

/// Interrupt vector of errors.
const ERROR_VECTOR: u16 = 0;

/// An error in the log, as its registers show it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Logged {
    entry: ERROR_LOG_ENTRY,
    value: u64,
}

/// The registers that are more than a command.
pub(crate) struct RegisterFile {
    queues: u16,
    generation: u32,
    /// Time that [`Register::COUNTER`] counts from: the last reset, or the first access.
    origin: Option<u64>,
    pub(crate) status: STATUS,
    irq_cause: IRQ_CAUSE,
    irq_mask: IRQ_MASK,
    /// Vectors of the completions that were masked.
    owed: Vectors,
    scratch: u64,
    error_count: u32,
    /// Error number n is in place n modulo the length.
    error_log: [Logged; ERROR_LOG_ENTRIES],
    /// Errors of each queue since it was started.
    queue_errors: Box<[u32]>,
    /// Of each queue.
    moderation: Box<[INTERRUPT_MODERATION]>,
    pub(crate) admin_status: ErrorCode,
}

impl RegisterFile {
    /// The registers at power-on of a device with this many queues.
    pub(crate) fn new(queues: u16) -> Self {
        Self {
            queues,
            generation: 0,
            origin: None,
            status: STATUS::zeroed().with_ready(true),
            irq_cause: IRQ_CAUSE::zeroed(),
            irq_mask: IRQ_MASK::zeroed(),
            owed: Vectors::NONE,
            scratch: 0,
            error_count: 0,
            error_log: [Logged::default(); ERROR_LOG_ENTRIES],
            queue_errors: vec![0; queues.into()].into(),
            moderation: vec![INTERRUPT_MODERATION::zeroed(); queues.into()].into(),
            admin_status: ErrorCode::NONE,
        }
    }

    /// The registers after a reset at time `now`. Bus mastering belongs to configuration space.
    pub(crate) fn reset(&mut self, now: u64) {
        let bus_master = self.status.bus_master();
        let generation = self.generation.wrapping_add(1);
        *self = Self::new(self.queues);
        self.status = self.status.with_bus_master(bus_master);
        self.generation = generation;
        self.origin = Some(now);
    }

    /// How many resets there were.
    pub(crate) fn generation(&self) -> u32 {
        self.generation
    }

    /// Takes the time of the first access as that of power-on.
    pub(crate) fn see_time(&mut self, now: u64) {
        self.origin.get_or_insert(now);
    }

    /// What a register answers at time `now`; of an array, the one at `index`.
    pub(crate) fn value(&self, register: Register, index: usize, now: u64) -> u64 {
        match register {
            Register::STATUS => self.status.into_raw().into(),
            Register::IRQ_CAUSE => self.irq_cause.into_raw().into(),
            Register::SCRATCH => self.scratch,
            Register::COUNTER => now.saturating_sub(self.origin.unwrap_or(now)),
            Register::RESET_GENERATION => self.generation.into(),
            Register::ERROR_COUNT => self.error_count.into(),
            Register::ERROR_LAST => self.newest_error().into_raw().into(),
            Register::ERROR_VALUE => self.logged(self.error_count as usize).value,
            Register::ERROR_LOG_ENTRY => self.logged(index).entry.into_raw(),
            Register::ERROR_LOG_VALUE => self.logged(index).value,
            Register::QUEUE_ERRORS => self.queue_errors.get(index).copied().unwrap_or(0).into(),
            Register::INTERRUPT_MODERATION => self.moderation(index).into_raw().into(),
            Register::QUEUE_LIMITS => QUEUE_LIMITS::zeroed()
                .with_entries(ring::MAX_ENTRIES)
                .with_queues(self.queues.into())
                .into_raw()
                .into(),
            Register::WINDOW_LIMITS => WINDOW_LIMITS::zeroed()
                .with_segments(setup::MAX_SEGMENTS)
                .with_windows(setup::MAX_WINDOWS.into())
                .into_raw()
                .into(),
            Register::LENGTH_LIMIT => ring::MAX_LENGTH.into(),
            Register::IRQ_MASK => self.irq_mask.into_raw().into(),
            Register::ADMIN_STATUS => self.admin_status.0.into(),
            // What never changes, and commands, which have nothing to show.
            _ => register.reset_value().unwrap_or(0),
        }
    }

    /// Writes the bits `mask` of a plain register, of an array the one at `index`; others than the
    /// writable ones are not changed.
    pub(crate) fn write(
        &mut self,
        register: Register,
        index: usize,
        value: u64,
        mask: u64,
    ) -> Effects {
        match register {
            Register::SCRATCH => self.scratch = self.scratch & !mask | value & mask,
            Register::IRQ_CAUSE => self.clear_causes(value & mask),
            Register::INTERRUPT_MODERATION => {
                if let Some(moderation) = self.moderation.get_mut(index) {
                    let old = u64::from(moderation.into_raw());
                    let new = old & !mask | value & mask;
                    *moderation = INTERRUPT_MODERATION::from_raw(new as u32);
                }
            }
            Register::IRQ_MASK => {
                let old = u64::from(self.irq_mask.into_raw());
                return self.set_mask(old & !mask | value & mask);
            }
            _ => {}
        }
        Effects::default()
    }

    /// Logs an error.
    pub(crate) fn log(&mut self, error: LoggedError, effects: &mut Effects) {
        self.error_count = self.error_count.saturating_add(1);
        let number = self.error_count;
        if let Some(place) = self.error_log.get_mut(number as usize % ERROR_LOG_ENTRIES) {
            *place = Logged {
                entry: ERROR_LOG_ENTRY::zeroed()
                    .with_number(number.into())
                    .with_queue(error.queue.into())
                    .with_code(error.code.0.into()),
                value: error.value,
            };
        }
        if let Some(errors) = self.queue_errors.get_mut(usize::from(error.queue)) {
            *errors = errors.saturating_add(1);
        }
        effects.errors.push(error);
        self.status = self.status.with_error(true);
        self.irq_cause = self.irq_cause.with_error(true);
        if !self.irq_mask.error() {
            effects.interrupts.insert(ERROR_VECTOR);
        }
    }

    /// Empties the error log.
    pub(crate) fn clear_errors(&mut self) {
        self.error_count = 0;
        self.error_log = [Logged::default(); ERROR_LOG_ENTRIES];
        self.status = self.status.with_error(false);
    }

    /// Sets the registers of a queue that is started: no errors, no interrupts held back.
    pub(crate) fn start_queue(&mut self, queue: u16) {
        if let Some(errors) = self.queue_errors.get_mut(usize::from(queue)) {
            *errors = 0;
        }
        if let Some(moderation) = self.moderation.get_mut(usize::from(queue)) {
            *moderation = INTERRUPT_MODERATION::zeroed();
        }
    }

    /// How long interrupts of a queue are held back.
    pub(crate) fn moderation(&self, queue: usize) -> INTERRUPT_MODERATION {
        let moderation = self.moderation.get(queue).copied();
        moderation.unwrap_or(INTERRUPT_MODERATION::zeroed())
    }

    /// Notes that a queue completed something or stopped, and raises its vector if it is wanted now.
    pub(crate) fn announce(&mut self, vector: u16, wanted: bool, effects: &mut Effects) {
        self.irq_cause = self.irq_cause.with_completion(true);
        if wanted {
            self.raise_for_completions(vector, effects);
        }
    }

    /// Raises a vector for completions, unless that is masked.
    pub(crate) fn raise_for_completions(&mut self, vector: u16, effects: &mut Effects) {
        if self.irq_mask.completion() {
            self.owed.insert(vector);
        } else {
            effects.interrupts.insert(vector);
        }
    }

    /// Entry `index` of the log, modulo its length.
    fn logged(&self, index: usize) -> Logged {
        let place = self.error_log.get(index % ERROR_LOG_ENTRIES);
        place.copied().unwrap_or_default()
    }

    fn newest_error(&self) -> ERROR_LAST {
        let none = ERROR_LAST::zeroed().with_queue(NO_QUEUE.into());
        if self.error_count == 0 {
            return none;
        }
        let entry = self.logged(self.error_count as usize).entry;
        none.with_queue(entry.queue() as u32)
            .with_code(entry.code() as u32)
    }

    fn clear_causes(&mut self, bits: u64) {
        let cleared = IRQ_CAUSE::from_raw(bits as u32);
        self.irq_cause = IRQ_CAUSE::from_raw(self.irq_cause.into_raw() & !cleared.into_raw());
        if cleared.completion() {
            self.owed = Vectors::NONE;
        }
    }

    fn set_mask(&mut self, value: u64) -> Effects {
        let mut effects = Effects::default();
        let old = self.irq_mask;
        self.irq_mask = IRQ_MASK::from_raw((value & IRQ_MASK::INFO.field_mask()) as u32);
        if old.error() && !self.irq_mask.error() && self.irq_cause.error() {
            effects.interrupts.insert(ERROR_VECTOR);
        }
        if !self.irq_mask.completion() {
            effects.interrupts |= std::mem::take(&mut self.owed);
        }
        effects
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ERROR: LoggedError = LoggedError {
        code: ErrorCode::BAD_TAIL,
        queue: 1,
        value: 7,
    };

    /// No test of the device makes that many errors.
    #[test]
    fn number_of_errors_stays_at_its_largest_value() {
        let mut registers = RegisterFile::new(2);
        registers.error_count = u32::MAX - 1;

        registers.log(ERROR, &mut Effects::default());
        registers.log(LoggedError { value: 8, ..ERROR }, &mut Effects::default());

        let count = registers.value(Register::ERROR_COUNT, 0, 0);
        assert_eq!(count, u64::from(u32::MAX));
        assert_eq!(registers.value(Register::ERROR_VALUE, 0, 0), 8);
        assert_eq!(registers.value(Register::ERROR_LOG_VALUE, 15, 0), 8);
    }

    #[test]
    fn errors_of_a_queue_stay_at_their_largest_value() {
        let mut registers = RegisterFile::new(2);
        registers.queue_errors[1] = u32::MAX;

        registers.log(ERROR, &mut Effects::default());

        let errors = registers.value(Register::QUEUE_ERRORS, 1, 0);
        assert_eq!(errors, u64::from(u32::MAX));
    }
}

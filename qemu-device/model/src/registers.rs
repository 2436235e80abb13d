// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Contents of the registers, and the rules by which interrupts are raised.

use crate::{Effects, LoggedError, Vectors};
use ringbar_spec::error::ErrorCode;
use ringbar_spec::regs::{
    Register, ERROR_LAST, ERROR_LOG_ENTRIES, ERROR_LOG_ENTRY, INTERRUPT_MODERATION, IRQ_CAUSE,
    IRQ_MASK, NO_QUEUE, QUEUE_LIMITS, STATUS, WINDOW_LIMITS,
};
use ringbar_spec::{ring, setup};

/// Interrupt vector of errors (data sheet 10).
const ERROR_VECTOR: u16 = 0;

/// An entry of the error log, as the log's registers show it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct LogEntry {
    entry: ERROR_LOG_ENTRY,
    value: u64,
}

/// State of the registers. Registers that only give a command have none.
pub(crate) struct RegisterFile {
    queues: u16,
    boot_number: u32,
    generation: u32,
    /// Time at which [`Register::COUNTER`] is 0: that of the last reset, or of the first access.
    origin: Option<u64>,
    pub(crate) status: STATUS,
    irq_cause: IRQ_CAUSE,
    irq_mask: IRQ_MASK,
    /// Completion vectors that `IRQ_MASK` suppressed.
    suppressed: Vectors,
    scratch: u64,
    error_count: u32,
    /// Error number n is in entry n modulo the length.
    error_log: [LogEntry; ERROR_LOG_ENTRIES],
    /// Errors of each queue since it was started.
    queue_errors: Box<[u32]>,
    /// Per queue, the longest time and the number of completions for which an interrupt is held back.
    moderation: Box<[INTERRUPT_MODERATION]>,
    pub(crate) admin_status: ErrorCode,
}

/// Returns the generation after this one (data sheet 12). 0 and all ones are left out: a BAR reads so
/// if it does not answer.
fn next_generation(generation: u32) -> u32 {
    match generation.wrapping_add(1) {
        0 | u32::MAX => 1,
        next => next,
    }
}

impl RegisterFile {
    /// Makes the registers at power-on of a device with this many queues and this boot number.
    pub(crate) fn new(queues: u16, boot_number: u32) -> Self {
        Self {
            queues,
            boot_number,
            generation: boot_number,
            origin: None,
            status: STATUS::zeroed().with_ready(true),
            irq_cause: IRQ_CAUSE::zeroed(),
            irq_mask: IRQ_MASK::zeroed(),
            suppressed: Vectors::NONE,
            scratch: 0,
            error_count: 0,
            error_log: [LogEntry::default(); ERROR_LOG_ENTRIES],
            queue_errors: vec![0; queues.into()].into(),
            moderation: vec![INTERRUPT_MODERATION::zeroed(); queues.into()].into(),
            admin_status: ErrorCode::NONE,
        }
    }

    /// Resets the registers at time `now` (data sheet 12).
    pub(crate) fn reset(&mut self, now: u64) {
        // Bus mastering belongs to configuration space, which `RESET` leaves alone. A caller that
        // resets configuration space as well switches it off by `Device::set_bus_master`.
        let bus_master = self.status.bus_master();
        let generation = next_generation(self.generation);
        *self = Self::new(self.queues, self.boot_number);
        self.status = self.status.with_bus_master(bus_master);
        self.generation = generation;
        self.origin = Some(now);
    }

    /// Returns the reset generation.
    pub(crate) fn generation(&self) -> u32 {
        self.generation
    }

    /// Takes the time of the first access as the time of power-on.
    pub(crate) fn set_origin_once(&mut self, now: u64) {
        self.origin.get_or_insert(now);
    }

    /// Returns the value of a register at time `now`. In an array of registers, `index` selects one.
    pub(crate) fn value(&self, register: Register, index: usize, now: u64) -> u64 {
        match register {
            Register::STATUS => self.status.into_raw().into(),
            Register::IRQ_CAUSE => self.irq_cause.into_raw().into(),
            Register::SCRATCH => self.scratch,
            // Saturating: the caller supplies the times, and one before the origin must not underflow.
            Register::COUNTER => now.saturating_sub(self.origin.unwrap_or(now)),
            Register::RESET_GENERATION => self.generation.into(),
            Register::ERROR_COUNT => self.error_count.into(),
            Register::ERROR_LAST => self.newest_error().into_raw().into(),
            Register::ERROR_VALUE => self.log_entry(self.error_count as usize).value,
            Register::ERROR_LOG_ENTRY => self.log_entry(index).entry.into_raw(),
            Register::ERROR_LOG_VALUE => self.log_entry(index).value,
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
            Register::BOOT_NUMBER => self.boot_number.into(),
            Register::IRQ_MASK => self.irq_mask.into_raw().into(),
            Register::ADMIN_STATUS => self.admin_status.0.into(),
            // Constants. Commands have nothing to show but `KICK`, which has a fixed word.
            _ => register.reset_value().unwrap_or(0),
        }
    }

    /// Writes the bits `mask` of a plain register. In an array of registers, `index` selects one.
    /// Bits that cannot be written keep their value (data sheet 3).
    pub(crate) fn write(
        &mut self,
        register: Register,
        index: usize,
        value: u64,
        mask: u64,
    ) -> Effects {
        match register {
            Register::SCRATCH => self.scratch = self.scratch & !mask | value & mask,
            // RW1C: bytes that are not written count as 0, so their bits are not cleared (data sheet 3).
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

    /// Logs an error: updates registers and log, sets the cause, and raises vector 0 unless it is
    /// masked (data sheet 9).
    pub(crate) fn log(&mut self, error: LoggedError, effects: &mut Effects) {
        // Saturating: a count that wrapped to 0 would show an empty log.
        self.error_count = self.error_count.saturating_add(1);
        let number = self.error_count;
        if let Some(place) = self.error_log.get_mut(number as usize % ERROR_LOG_ENTRIES) {
            *place = LogEntry {
                entry: ERROR_LOG_ENTRY::zeroed()
                    .with_number(number.into())
                    .with_queue(error.queue.into())
                    .with_code(error.code.0.into()),
                value: error.value,
            };
        }
        // Neither `NO_QUEUE` nor the number of a queue that the device lacks has a counter.
        if let Some(errors) = self.queue_errors.get_mut(usize::from(error.queue)) {
            *errors = errors.saturating_add(1);
        }
        // The server gets the entry itself. If it read the log back, errors of one step would
        // overwrite each other there.
        effects.errors.push(error);
        self.status = self.status.with_error(true);
        self.irq_cause = self.irq_cause.with_error(true);
        // Masked errors raise nothing now (data sheet 10). The cause stays set, and raises vector 0
        // when the mask bit is cleared.
        if !self.irq_mask.error() {
            effects.interrupts.insert(ERROR_VECTOR);
        }
    }

    /// Empties the error log, all entries of it (data sheet 9).
    pub(crate) fn clear_errors(&mut self) {
        // `IRQ_CAUSE` stays (data sheet 4), so an interrupt that is pending is not lost.
        self.error_count = 0;
        self.error_log = [LogEntry::default(); ERROR_LOG_ENTRIES];
        self.status = self.status.with_error(false);
    }

    /// Resets the registers of a queue that is started: error count 0, moderation off (data sheet 5).
    pub(crate) fn reset_queue(&mut self, queue: u16) {
        if let Some(errors) = self.queue_errors.get_mut(usize::from(queue)) {
            *errors = 0;
        }
        if let Some(moderation) = self.moderation.get_mut(usize::from(queue)) {
            *moderation = INTERRUPT_MODERATION::zeroed();
        }
    }

    /// Returns the limits within which interrupts of a queue are held back.
    #[inline]
    pub(crate) fn moderation(&self, queue: usize) -> INTERRUPT_MODERATION {
        let moderation = self.moderation.get(queue).copied();
        moderation.unwrap_or(INTERRUPT_MODERATION::zeroed())
    }

    /// Notes that a queue completed something or stopped. Raises its vector if an interrupt is
    /// wanted now.
    #[inline]
    pub(crate) fn announce(&mut self, vector: u16, wanted: bool, effects: &mut Effects) {
        // The cause is set whether or not an interrupt is wanted (data sheet 10).
        self.irq_cause = self.irq_cause.with_completion(true);
        if wanted {
            self.raise_for_completions(vector, effects);
        }
    }

    /// Raises a vector for completions. If that is masked, notes it for later.
    #[inline]
    pub(crate) fn raise_for_completions(&mut self, vector: u16, effects: &mut Effects) {
        if self.irq_mask.completion() {
            // Raised when the mask bit is cleared (data sheet 10). The cause bit does not show which
            // vector.
            self.suppressed.insert(vector);
        } else {
            effects.interrupts.insert(vector);
        }
    }

    /// Returns entry `index` of the log, modulo its length.
    fn log_entry(&self, index: usize) -> LogEntry {
        let place = self.error_log.get(index % ERROR_LOG_ENTRIES);
        place.copied().unwrap_or_default()
    }

    /// Returns the value of `ERROR_LAST`. With an empty log it names no queue (data sheet 4).
    fn newest_error(&self) -> ERROR_LAST {
        let none = ERROR_LAST::zeroed().with_queue(NO_QUEUE.into());
        if self.error_count == 0 {
            return none;
        }
        let entry = self.log_entry(self.error_count as usize).entry;
        none.with_queue(entry.queue() as u32)
            .with_code(entry.code() as u32)
    }

    /// Clears causes of interrupts.
    fn clear_causes(&mut self, bits: u64) {
        let cleared = IRQ_CAUSE::from_raw(bits as u32);
        self.irq_cause = IRQ_CAUSE::from_raw(self.irq_cause.into_raw() & !cleared.into_raw());
        // Clearing the completion cause also discards the suppressed vectors (data sheet 10).
        if cleared.completion() {
            self.suppressed = Vectors::NONE;
        }
    }

    /// Sets `IRQ_MASK`, and raises the interrupts of causes that are no longer masked (data sheet
    /// 10).
    fn set_mask(&mut self, value: u64) -> Effects {
        let mut effects = Effects::default();
        let old = self.irq_mask;
        // Bits without a field stay 0 (data sheet 3).
        self.irq_mask = IRQ_MASK::from_raw((value & IRQ_MASK::INFO.field_mask()) as u32);
        // Only if this write clears the bit. If the bit was 0 before, the interrupt was raised when
        // the cause came.
        if old.error() && !self.irq_mask.error() && self.irq_cause.error() {
            effects.interrupts.insert(ERROR_VECTOR);
        }
        if !self.irq_mask.completion() {
            effects.interrupts |= std::mem::take(&mut self.suppressed);
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

    #[test]
    fn generation_steps_past_the_values_of_a_bar_that_does_not_answer() {
        let after = [1, u32::MAX - 2, u32::MAX - 1].map(next_generation);

        assert_eq!(after, [2, u32::MAX - 1, 1]);
    }

    /// Stands here because no test of the whole device makes 2^32 errors.
    #[test]
    fn error_count_saturates() {
        let mut registers = RegisterFile::new(2, 1);
        registers.error_count = u32::MAX - 1;

        registers.log(ERROR, &mut Effects::default());
        registers.log(LoggedError { value: 8, ..ERROR }, &mut Effects::default());

        let count = registers.value(Register::ERROR_COUNT, 0, 0);
        assert_eq!(count, u64::from(u32::MAX));
        assert_eq!(registers.value(Register::ERROR_VALUE, 0, 0), 8);
        assert_eq!(registers.value(Register::ERROR_LOG_VALUE, 15, 0), 8);
    }

    /// Otherwise a register that is forgotten in `value` would silently read as 0.
    #[test]
    fn register_without_a_fixed_reset_value_does_not_read_0() {
        let mut registers = RegisterFile::new(2, 1);
        registers.reset(0);

        for register in Register::ALL {
            let has_one = registers.value(*register, 0, 0) != 0;
            assert!(
                has_one || register.reset_value().is_some(),
                "{register:?} reads as 0"
            );
        }
    }

    #[test]
    fn error_count_of_a_queue_saturates() {
        let mut registers = RegisterFile::new(2, 1);
        registers.queue_errors[1] = u32::MAX;

        registers.log(ERROR, &mut Effects::default());

        let errors = registers.value(Register::QUEUE_ERRORS, 1, 0);
        assert_eq!(errors, u64::from(u32::MAX));
    }
}

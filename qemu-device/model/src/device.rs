// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The device: the actions of the guest on it, and its own work.

use crate::access::{decode, Direction, Target};
use crate::admin::Outcome;
use crate::operation::StepContext;
use crate::queue::{Batch, Queue, Turn};
use crate::registers::RegisterFile;
use crate::schedule::Schedule;
use crate::scratch::Scratch;
use crate::window::Windows;
use crate::words::QueueWords;
use crate::{ConfigError, Effects, Host, LoggedError, Vectors, MAX_VECTORS};
use ringbar_spec::error::ErrorCode;
use ringbar_spec::ids::BOOT_NUMBER_MAX;
use ringbar_spec::layout::{DEVICE_MEMORY_MAX, DEVICE_MEMORY_MIN, MAX_QUEUES};
use ringbar_spec::names::REPORTED;
use ringbar_spec::pages::{next_outcome, OUTCOME};
use ringbar_spec::regs::{Register, NO_QUEUE, RESET_KEY};
use ringbar_spec::wake;

/// Properties in which devices differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Queues, from 1 to [`MAX_QUEUES`].
    pub queues: u16,
    /// Interrupt vectors, from 1 to [`MAX_VECTORS`].
    pub vectors: u16,
    /// Bytes of device memory: a power of two from [`DEVICE_MEMORY_MIN`] to
    /// [`DEVICE_MEMORY_MAX`].
    pub device_memory_size: u64,
    /// Tells the device from others that were or will be in its place: from 1 to
    /// [`BOOT_NUMBER_MAX`].
    pub boot_number: u32,
}

/// The device.
///
/// Times are nanoseconds of any monotonic clock. The model takes the time of the first access for
/// that of power-on.
pub struct Device {
    pub(crate) config: Config,
    pub(crate) registers: RegisterFile,
    /// One slot per queue; empty while the queue is stopped.
    pub(crate) queues: Vec<Option<Queue>>,
    pub(crate) windows: Windows,
    pub(crate) schedule: Schedule,
    /// Time before which no interrupt that is held back is due; `None` if none is held back.
    deadline: Option<u64>,
    scratch: Scratch,
    batch: Batch,
    /// Outcome of the last admin command, as the report page has it.
    reported: u32,
}

impl Device {
    /// Makes a device at power-on, with bus mastering off. The caller owns the shared words and the
    /// device memory, has set both to 0, and calls [`Device::show`] before a driver side looks at the
    /// words.
    ///
    /// # Errors
    ///
    /// Fails if the number of queues or vectors, the size of the device memory or the boot number is
    /// outside of its limits (data sheet 1, 12 and 13).
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        let memory = DEVICE_MEMORY_MIN as u64..=DEVICE_MEMORY_MAX as u64;
        if !(1..=MAX_QUEUES).contains(&usize::from(config.queues)) {
            return Err(ConfigError::Queues(config.queues));
        }
        if !(1..=MAX_VECTORS).contains(&config.vectors) {
            return Err(ConfigError::Vectors(config.vectors));
        }
        if !config.device_memory_size.is_power_of_two()
            || !memory.contains(&config.device_memory_size)
        {
            return Err(ConfigError::DeviceMemory(config.device_memory_size));
        }
        if !(1..=BOOT_NUMBER_MAX).contains(&config.boot_number) {
            return Err(ConfigError::BootNumber(config.boot_number));
        }
        let mut queues = Vec::new();
        queues.resize_with(config.queues.into(), || None);
        Ok(Self {
            config,
            registers: RegisterFile::new(config.queues, config.boot_number),
            queues,
            windows: Windows::new(),
            schedule: Schedule::default(),
            deadline: None,
            scratch: Scratch::new(),
            batch: Batch::new(),
            reported: 0,
        })
    }

    /// Stores limits, boot number and generation of power-on where driver sides read them without a
    /// trap (data sheet 5 and 12).
    pub fn show(&self, host: &dyn Host) {
        // The generation comes last: a driver that sees it also sees the limits.
        for (register, offset) in REPORTED {
            let value = self.registers.value(register, 0, 0).to_le_bytes();
            host.write_shared(offset, value.get(..register.info().width).unwrap_or(&value));
        }
        for queue in 0..self.config.queues {
            QueueWords::new(host, queue).show_generation(self.registers.generation());
        }
    }

    /// Reads from BAR 0, trapped. Fills `data` in every case, with 0 if the access is refused.
    pub fn read(&mut self, offset: u64, data: &mut [u8], now: u64) -> Effects {
        self.registers.set_origin_once(now);
        let mut effects = Effects::default();
        let value = match decode(offset, data.len(), Direction::Read, self.config.queues) {
            Ok(Target::Command(register, index)) => self.registers.value(register, index, now),
            // One access may cover two neighbours at once (data sheet 3).
            Ok(Target::Plain(first, second)) => [Some(first), second]
                .into_iter()
                .flatten()
                .map(|span| {
                    let value = self.registers.value(span.register, span.index, now);
                    span.to_access(value)
                })
                .fold(0, |all, part| all | part),
            // A refused read returns 0, and the error is logged (data sheet 3).
            Err(code) => {
                self.refuse_access(code, offset, &mut effects);
                0
            }
        };
        // The access may be wider than the eight bytes of `value` if its width was refused.
        data.fill(0);
        for (to, from) in data.iter_mut().zip(value.to_le_bytes()) {
            *to = from;
        }
        self.with_work(effects)
    }

    /// Writes to BAR 0, trapped.
    pub fn write(&mut self, offset: u64, data: &[u8], now: u64, host: &dyn Host) -> Effects {
        self.registers.set_origin_once(now);
        let mut effects = Effects::default();
        // A copy of at most eight bytes: a longer access is refused by its width, and its value is
        // not looked at.
        let mut bytes = [0; 8];
        for (to, from) in bytes.iter_mut().zip(data) {
            *to = *from;
        }
        let value = u64::from_le_bytes(bytes);
        match decode(offset, data.len(), Direction::Write, self.config.queues) {
            Ok(Target::Command(register, index)) => {
                effects |= self.command(register, index, value, now, host);
            }
            Ok(Target::Plain(first, second)) => {
                for span in [Some(first), second].into_iter().flatten() {
                    effects |= self.registers.write(
                        span.register,
                        span.index,
                        span.to_register(value),
                        span.mask(),
                    );
                    // The new limits hold for an interrupt that is held back already (data sheet
                    // 10). With the old deadline a shorter time would be kept too late.
                    if span.register == Register::INTERRUPT_MODERATION {
                        self.moderate_anew(span.index);
                    }
                }
            }
            // A refused write changes nothing but the log (data sheet 3).
            Err(code) => self.refuse_access(code, offset, &mut effects),
        }
        self.with_work(effects)
    }

    /// Takes a change of bit 2 of the PCI command register. While it is off, the device neither
    /// reads nor writes guest memory, and no queue goes to sleep or wakes (data sheet 11).
    pub fn set_bus_master(&mut self, on: bool) -> Effects {
        self.registers.status = self.registers.status.with_bus_master(on);
        self.with_work(Effects::default())
    }

    /// Resets the device, for a reset of any kind (data sheet 12). Bus mastering and the device
    /// memory are left to the caller.
    pub fn reset(&mut self, now: u64, host: &dyn Host) -> Effects {
        self.registers.reset(now);
        // Queues and windows go without a completion or an interrupt: the generation is the only
        // announcement of a reset (data sheet 12). No step runs during this call, so nothing
        // touches memory after it.
        self.queues.fill_with(|| None);
        self.windows.close_all();
        self.schedule = Schedule::default();
        self.deadline = None;
        // The layout has shared pages for more queues than the device may have. They are cleared as
        // well, but only queues of the device show the generation (data sheet 12).
        for queue in 0..MAX_QUEUES as u16 {
            let generation = match queue < self.config.queues {
                true => self.registers.generation(),
                false => 0,
            };
            QueueWords::new(host, queue).reset(generation);
        }
        Effects::default()
    }

    /// Looks once at the doorbells of all queues that are awake. Raises interrupts that were held
    /// back for long enough.
    #[inline]
    pub fn poll<H: Host + ?Sized>(&mut self, host: &H) -> Effects {
        let mut interrupts = Vectors::NONE;
        // With bus mastering off the device does not poll, and raises nothing; held interrupts stay
        // held (data sheet 10 and 11).
        if self.registers.status.bus_master() {
            interrupts = self.due(host);
            for (number, pending) in self.schedule.awake() {
                if let Some(Some(queue)) = self.queues.get_mut(number) {
                    let words = QueueWords::new(host, number as u16);
                    // The heartbeat steps for each queue that is looked at (data sheet 6), busy or
                    // not. A driver side would otherwise take a queue with much work for one that
                    // no server polls.
                    queue.beat(&words);
                    // A queue with work ahead loads its tail in its next turn. One more load here
                    // would only move the doorbell's cache line between processors.
                    if !pending && queue.has_news(&words) {
                        self.schedule.add(number);
                    }
                }
            }
        }
        self.with_work(Effects {
            interrupts,
            ..Effects::default()
        })
    }

    /// Puts all queues that are awake and have nothing to do to sleep, until a kick wakes them
    /// (data sheet 6).
    ///
    /// A queue that gets something to do in that moment stays awake and asks for work.
    pub fn sleep<H: Host + ?Sized>(&mut self, host: &H) -> Effects {
        if self.registers.status.bus_master() {
            // A queue with work ahead must not announce sleep: the driver side would kick, with a
            // trap, for nothing.
            for (number, _) in self.schedule.awake().filter(|(_, pending)| !pending) {
                if let Some(Some(queue)) = self.queues.get(number) {
                    let words = QueueWords::new(host, number as u16);
                    if wake::sleep(&words, |words| queue.has_news(words)) {
                        self.schedule.sleep(number);
                    } else {
                        self.schedule.add(number);
                    }
                }
            }
        }
        self.with_work(Effects::default())
    }

    /// Works for one queue that has something to do: at most 64 KiB or 64 descriptors (data sheet
    /// 6).
    #[inline]
    pub fn step<H: Host + ?Sized>(&mut self, host: &H) -> Effects {
        let mut effects = Effects::default();
        if self.registers.status.bus_master()
            && let Some(number) = self.schedule.pick()
        {
            // A kick while bus mastering was off is remembered (data sheet 11), but the queue could
            // not wake then. Without this the queue would work and still show that it sleeps.
            self.wake(number, host);
            let turn = match self.queues.get_mut(number) {
                Some(Some(queue)) => queue.turn(
                    &mut StepContext {
                        host,
                        windows: &self.windows,
                        scratch: &mut self.scratch,
                        batch: &mut self.batch,
                    },
                    &mut self.registers,
                    &mut effects,
                ),
                _ => Turn::Waits,
            };
            self.moderate_anew(number);
            // A queue that waits is found again by a poll or a kick. If it kept its place, steps
            // would go on without work.
            if turn != Turn::Unfinished {
                self.schedule.idle(number);
            }
            // An error that stops a queue ends it as `QUEUE_STOP` does (data sheet 6): it touches
            // no memory any more, and can be started again.
            if turn == Turn::Failed
                && let Some(slot) = self.queues.get_mut(number)
            {
                *slot = None;
                self.schedule.remove(number);
                self.count_queues();
            }
        }
        self.with_work(effects)
    }

    /// Carries out a write of a command register. Admin commands are done when the write is
    /// answered (data sheet 5).
    fn command(
        &mut self,
        register: Register,
        index: usize,
        value: u64,
        now: u64,
        host: &dyn Host,
    ) -> Effects {
        let outcome = match register {
            // The reset also empties the log and `ADMIN_STATUS`, so no outcome is stored after it.
            Register::RESET if value == u64::from(RESET_KEY) => return self.reset(now, host),
            // Another value than the key is refused and logged with the value (data sheet 4 and 9).
            Register::RESET => {
                let mut effects = Effects::default();
                self.refuse_access(ErrorCode::BAD_VALUE, value, &mut effects);
                return effects;
            }
            // Any value does; `IRQ_CAUSE` stays (data sheet 4).
            Register::ERROR_CLEAR => {
                self.registers.clear_errors();
                return Effects::default();
            }
            Register::KICK => {
                self.kick(index, host);
                return Effects::default();
            }
            Register::QUEUE_START => self.queue_start(value, host),
            Register::WINDOW_OPEN => self.window_open(value, host),
            Register::QUEUE_STOP => self.queue_stop(value as u32, host),
            Register::WINDOW_CLOSE => self.window_close(value as u32),
            _ => return Effects::default(),
        };
        self.answer_admin(outcome, host)
    }

    /// Wakes a queue, or remembers to. A kick of a queue that does not run does nothing (data sheet
    /// 6).
    fn kick(&mut self, index: usize, host: &dyn Host) {
        if let Some(Some(_)) = self.queues.get(index) {
            // Before the check of bus mastering: a kick while it is off is remembered (data sheet
            // 11).
            self.schedule.add(index);
            if self.registers.status.bus_master() {
                self.wake(index, host);
            }
        }
    }

    /// Wakes a queue. A queue that is awake already is not told again.
    #[inline]
    fn wake<H: Host + ?Sized>(&mut self, number: usize, host: &H) {
        if self.schedule.wake(number) {
            wake::wake(&QueueWords::new(host, number as u16));
        }
    }

    /// Brings the device's deadline forward to that of a queue's held interrupt, if that is
    /// earlier.
    #[inline]
    fn moderate_anew(&mut self, number: usize) {
        if let Some(Some(queue)) = self.queues.get(number)
            && let Some(deadline) = queue.deadline(self.registers.moderation(number))
        {
            // Only ever earlier: a deadline that is too early costs one pass over the queues, a
            // late one holds an interrupt back for too long.
            let earliest = self.deadline.unwrap_or(deadline).min(deadline);
            self.deadline = Some(earliest);
        }
    }

    /// Returns the vectors whose interrupts were held back for long enough (data sheet 10).
    #[inline]
    fn due<H: Host + ?Sized>(&mut self, host: &H) -> Vectors {
        // The clock is read only if an interrupt is held back. Polling would otherwise pay for it
        // in each pass.
        match self.deadline {
            None => Vectors::NONE,
            Some(deadline) => self.due_at(deadline, host.now()),
        }
    }

    /// Returns the vectors whose interrupts are held back and due at time `now`, which may be
    /// before the device's deadline.
    #[inline(never)]
    fn due_at(&mut self, deadline: u64, now: u64) -> Vectors {
        let mut effects = Effects::default();
        if now < deadline {
            return effects.interrupts;
        }
        // Each queue has a limit of its own. The loop finds the earliest deadline of the others.
        self.deadline = None;
        for queue in self.queues.iter_mut().flatten() {
            let moderation = self.registers.moderation(queue.number().into());
            match queue.deadline(moderation) {
                Some(deadline) if deadline <= now => {
                    queue.release();
                    self.registers
                        .raise_for_completions(queue.vector(), &mut effects);
                }
                Some(deadline) => {
                    let earliest = self.deadline.unwrap_or(deadline).min(deadline);
                    self.deadline = Some(earliest);
                }
                None => {}
            }
        }
        effects.interrupts
    }

    /// Stores the outcome of an admin command in `ADMIN_STATUS` and in the report page, and logs a
    /// refusal as well (data sheet 5 and 9).
    fn answer_admin(&mut self, outcome: Outcome, host: &dyn Host) -> Effects {
        let mut effects = Effects::default();
        let code = match outcome {
            Ok(()) => ErrorCode::NONE,
            Err(entry) => {
                self.registers.log(entry, &mut effects);
                entry.code
            }
        };
        self.registers.admin_status = code;
        // Last, as the driver does not wait for the end of the write. A reset leaves the word: its
        // next value would otherwise be one that the driver has seen.
        self.reported = next_outcome(self.reported, code.0);
        host.store(OUTCOME, self.reported);
        effects
    }

    /// Logs an access that was refused. It concerns no queue, not even in a kick page (data sheet
    /// 9).
    fn refuse_access(&mut self, code: ErrorCode, value: u64, effects: &mut Effects) {
        let entry = LoggedError {
            code,
            queue: NO_QUEUE,
            value,
        };
        self.registers.log(entry, effects);
    }

    /// Updates the number of running queues in `STATUS`.
    pub(crate) fn count_queues(&mut self) {
        let running = self.queues.iter().flatten().count() as u32;
        self.registers.status = self.registers.status.with_running_queues(running);
    }

    /// Adds the state of the schedule to the effects of a call.
    #[inline]
    fn with_work(&self, mut effects: Effects) -> Effects {
        // With bus mastering off nothing is asked for (data sheet 11). Otherwise the caller would
        // step and poll without end, as neither does anything then.
        let on = self.registers.status.bus_master();
        effects.work = on && self.schedule.has_work();
        effects.awake = on && self.schedule.is_awake();
        effects.deadline = self.deadline.filter(|_| on);
        effects
    }
}

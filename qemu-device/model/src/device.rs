// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The device: what the guest does to it, and what it does in its own time.

use crate::access::{decode, Direction, Target};
use crate::admin::Outcome;
use crate::operation::Bench;
use crate::queue::{Queue, Tray, Turn};
use crate::registers::RegisterFile;
use crate::schedule::Schedule;
use crate::scratch::Scratch;
use crate::window::Windows;
use crate::words::QueueWords;
use crate::{ConfigError, Effects, Host, LoggedError, MAX_VECTORS};
use ringbar_spec::error::ErrorCode;
use ringbar_spec::layout::{DEVICE_MEMORY_MAX, DEVICE_MEMORY_MIN, MAX_QUEUES};
use ringbar_spec::regs::{Register, NO_QUEUE, RESET_KEY};
use ringbar_spec::wake;

/// What differs from device to device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Queues, from 1 to [`MAX_QUEUES`].
    pub queues: u16,
    /// Interrupt vectors, from 1 to [`MAX_VECTORS`].
    pub vectors: u16,
    /// Bytes of device memory: a power of two from [`DEVICE_MEMORY_MIN`] to
    /// [`DEVICE_MEMORY_MAX`].
    pub device_memory_size: u64,
}

/// The device.
///
/// Time is given as nanoseconds of any monotonic clock. The first access is taken for power-on.
pub struct Device {
    pub(crate) config: Config,
    pub(crate) registers: RegisterFile,
    /// One place a queue; empty while it is stopped.
    pub(crate) queues: Vec<Option<Queue>>,
    pub(crate) windows: Windows,
    pub(crate) schedule: Schedule,
    /// No interrupt is to be raised before that was held back.
    deadline: Option<u64>,
    scratch: Scratch,
    tray: Tray,
}

impl Device {
    /// A device at power-on, with bus mastering off. The shared words and the device memory are
    /// the caller's, who has set them to 0.
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
        let mut queues = Vec::new();
        queues.resize_with(config.queues.into(), || None);
        Ok(Self {
            config,
            registers: RegisterFile::new(config.queues),
            queues,
            windows: Windows::new(),
            schedule: Schedule::default(),
            deadline: None,
            scratch: Scratch::new(),
            tray: Tray::new(),
        })
    }

    /// A trapped read of BAR 0. Fills `data` in every case, with 0 where nothing answers.
    pub fn read(&mut self, offset: u64, data: &mut [u8], now: u64) -> Effects {
        self.registers.see_time(now);
        let mut effects = Effects::default();
        let value = match decode(offset, data.len(), Direction::Read, self.config.queues) {
            Ok(Target::Command(register, index)) => self.registers.value(register, index, now),
            Ok(Target::Plain(first, second)) => [Some(first), second]
                .into_iter()
                .flatten()
                .map(|span| {
                    let value = self.registers.value(span.register, span.index, now);
                    span.to_access(value)
                })
                .fold(0, |all, part| all | part),
            Err(code) => {
                self.refuse_access(code, offset, &mut effects);
                0
            }
        };
        data.fill(0);
        for (to, from) in data.iter_mut().zip(value.to_le_bytes()) {
            *to = from;
        }
        self.with_work(effects)
    }

    /// A trapped write of BAR 0.
    pub fn write(&mut self, offset: u64, data: &[u8], now: u64, host: &dyn Host) -> Effects {
        self.registers.see_time(now);
        let mut effects = Effects::default();
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
                    if span.register == Register::INTERRUPT_MODERATION {
                        self.moderate_anew(span.index);
                    }
                }
            }
            Err(code) => self.refuse_access(code, offset, &mut effects),
        }
        self.with_work(effects)
    }

    /// Bit 2 of the PCI command register changed. While it is off, guest memory is neither read
    /// nor written, and no queue goes to sleep or wakes.
    pub fn set_bus_master(&mut self, on: bool) -> Effects {
        self.registers.status = self.registers.status.with_bus_master(on);
        self.with_work(Effects::default())
    }

    /// A reset, of whatever kind. Leaves bus mastering and the device memory to the caller.
    pub fn reset(&mut self, now: u64, host: &dyn Host) -> Effects {
        self.registers.reset(now);
        self.queues.fill_with(|| None);
        self.windows.close_all();
        self.schedule = Schedule::default();
        self.deadline = None;
        for queue in 0..MAX_QUEUES as u16 {
            let generation = match queue < self.config.queues {
                true => self.registers.generation(),
                false => 0,
            };
            QueueWords::new(host, queue).reset(generation);
        }
        Effects::default()
    }

    /// Looks at the doorbells of all queues that are awake, once, and raises interrupts that were
    /// held back for long enough.
    pub fn poll(&mut self, host: &dyn Host) -> Effects {
        let mut effects = Effects::default();
        if self.registers.status.bus_master() {
            self.raise_held(host, &mut effects);
            for (number, pending) in self.schedule.awake() {
                if let Some(Some(queue)) = self.queues.get_mut(number) {
                    let words = QueueWords::new(host, number as u16);
                    queue.beat(&words);
                    if !pending && queue.has_news(&words) {
                        self.schedule.add(number);
                    }
                }
            }
        }
        self.with_work(effects)
    }

    /// Lets all queues that are awake and have nothing to do go to sleep, until they are kicked.
    ///
    /// One that is given something to do in that moment stays awake and asks for work.
    pub fn sleep(&mut self, host: &dyn Host) -> Effects {
        if self.registers.status.bus_master() {
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

    /// Works for one queue that has something to do: at most 64 KiB or 64 descriptors.
    pub fn step(&mut self, host: &dyn Host) -> Effects {
        let mut effects = Effects::default();
        if self.registers.status.bus_master()
            && let Some(number) = self.schedule.pick()
        {
            // It was kicked while bus mastering was off.
            self.wake(number, host);
            let turn = match self.queues.get_mut(number) {
                Some(Some(queue)) => queue.turn(
                    &mut Bench {
                        host,
                        windows: &self.windows,
                        scratch: &mut self.scratch,
                        tray: &mut self.tray,
                    },
                    &mut self.registers,
                    &mut effects,
                ),
                _ => Turn::Waits,
            };
            self.moderate_anew(number);
            if turn != Turn::Unfinished {
                self.schedule.idle(number);
            }
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

    /// Carries out a write of a command register.
    fn command(
        &mut self,
        register: Register,
        index: usize,
        value: u64,
        now: u64,
        host: &dyn Host,
    ) -> Effects {
        let outcome = match register {
            Register::RESET if value == u64::from(RESET_KEY) => return self.reset(now, host),
            Register::RESET => {
                let mut effects = Effects::default();
                self.refuse_access(ErrorCode::BAD_VALUE, value, &mut effects);
                return effects;
            }
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
        self.answer_admin(outcome)
    }

    /// Wakes a queue, or remembers to. A kick of a stopped queue says nothing.
    fn kick(&mut self, index: usize, host: &dyn Host) {
        if let Some(Some(_)) = self.queues.get(index) {
            self.schedule.add(index);
            if self.registers.status.bus_master() {
                self.wake(index, host);
            }
        }
    }

    fn wake(&mut self, number: usize, host: &dyn Host) {
        if self.schedule.wake(number) {
            wake::wake(&QueueWords::new(host, number as u16));
        }
    }

    /// Takes into account until when the interrupt of a queue is held back now.
    fn moderate_anew(&mut self, number: usize) {
        if let Some(Some(queue)) = self.queues.get(number)
            && let Some(deadline) = queue.deadline(self.registers.moderation(number))
        {
            let earliest = self.deadline.unwrap_or(deadline).min(deadline);
            self.deadline = Some(earliest);
        }
    }

    /// Raises the interrupts that were held back for long enough.
    fn raise_held(&mut self, host: &dyn Host, effects: &mut Effects) {
        let Some(deadline) = self.deadline else {
            return;
        };
        let now = host.now();
        if now < deadline {
            return;
        }
        self.deadline = None;
        for queue in self.queues.iter_mut().flatten() {
            let moderation = self.registers.moderation(queue.number().into());
            match queue.deadline(moderation) {
                Some(deadline) if deadline <= now => {
                    queue.release();
                    self.registers
                        .raise_for_completions(queue.vector(), effects);
                }
                Some(deadline) => {
                    let earliest = self.deadline.unwrap_or(deadline).min(deadline);
                    self.deadline = Some(earliest);
                }
                None => {}
            }
        }
    }

    fn answer_admin(&mut self, outcome: Outcome) -> Effects {
        let mut effects = Effects::default();
        self.registers.admin_status = match outcome {
            Ok(()) => ErrorCode::NONE,
            Err(entry) => {
                self.registers.log(entry, &mut effects);
                entry.code
            }
        };
        effects
    }

    fn refuse_access(&mut self, code: ErrorCode, value: u64, effects: &mut Effects) {
        let entry = LoggedError {
            code,
            queue: NO_QUEUE,
            value,
        };
        self.registers.log(entry, effects);
    }

    /// Brings the number of running queues in the status register up to date.
    pub(crate) fn count_queues(&mut self) {
        let running = self.queues.iter().flatten().count() as u32;
        self.registers.status = self.registers.status.with_running_queues(running);
    }

    fn with_work(&self, mut effects: Effects) -> Effects {
        let on = self.registers.status.bus_master();
        effects.work = on && self.schedule.has_work();
        effects.awake = on && self.schedule.is_awake();
        effects.deadline = self.deadline.filter(|_| on);
        effects
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Lies about registers, admin commands and resets, and what the device does later.

use std::ops::Range;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use ringbar_endpoint::function::{Bus, Function, Next, Trapped, Work};
use ringbar_endpoint::memory::SharedMemory;
use ringbar_endpoint::region_files::RegionFiles;
use ringbar_endpoint::shape::{Backing, BarShape};
use ringbar_endpoint::Endpoint;
use ringbar_lies::{Lie, TRUTH};
use ringbar_server::events::Events;
use ringbar_server::host::ServedMemory;
use ringbar_server::ringbar::Ringbar;
use ringbar_server::shape::shape;
use ringbar_server::{Error, Options};
use ringbar_spec::error::ErrorCode;
use ringbar_spec::layout::{self, REGISTER_BAR};
use ringbar_spec::names::REPORTED;
use ringbar_spec::regs;
use ringbar_spec::setup::{QueueSetup, Segment, WindowKind, WindowSetup, MAX_SEGMENTS};
use ringbar_spec::wake::Word;
use zerocopy::{FromBytes, FromZeros, IntoBytes};

use crate::outside::LyingMemory;
use crate::state::{Deed, Inner, State, Storm};

/// Delay of a late answer, and of a late reset.
const LATE: Duration = Duration::from_millis(300);
/// Time between two shares of a storm, and between two generations.
const SHARE: Duration = Duration::from_millis(1);
/// Time after which memory of a closed window is written.
const STALE: Duration = Duration::from_millis(10);
/// Most bytes of a segment that are written then.
const STALE_BYTES: u64 = 64;
/// The last version of the interface with another major version.
const OLD_VERSION: u32 = 0x2_0004;
/// A limit of entries that is no power of two.
const ODD_ENTRIES: u16 = 1000;

/// Registers that hold limits.
const LIMITS: Range<u64> = at(regs::QUEUE_LIMITS::INFO.offset)
    ..at(regs::LENGTH_LIMIT::INFO.offset + regs::LENGTH_LIMIT::INFO.width);
/// The upper half of QUEUE_LIMITS, the limit of entries.
const ENTRIES: Range<u64> =
    at(regs::QUEUE_LIMITS::INFO.offset + 2)..at(regs::QUEUE_LIMITS::INFO.offset + 4);
/// Registers of the error log.
const ERRORS: [Range<u64>; 2] = [
    at(regs::ERROR_COUNT::INFO.offset)..at(regs::QUEUE_LIMITS::INFO.offset),
    at(regs::ERROR_LOG_ENTRY::INFO.offset)
        ..at(regs::ERROR_LOG_ENTRY::INFO.offset
            + regs::ERROR_LOG_ENTRY::INFO.count * regs::ERROR_LOG_ENTRY::INFO.stride),
];
/// Admin commands.
const COMMANDS: Range<u64> = at(regs::QUEUE_START::INFO.offset)
    ..at(regs::WINDOW_CLOSE::INFO.offset + regs::WINDOW_CLOSE::INFO.width);

/// Returns an offset as those of accesses are.
const fn at(offset: usize) -> u64 {
    offset as u64
}

/// The function: an honest device, and the lies around it.
pub struct Liar {
    honest: Ringbar<LyingMemory>,
    /// The limits in the report page, as the honest device has them: that of the register, the place
    /// and the value of the copy.
    limits: Vec<(u64, usize, u32)>,
    shared_pages: Arc<SharedMemory>,
    state: State,
    vectors: u16,
    queues: u16,
}

impl Liar {
    /// Makes a device as after power-on that notes its work in `events` and has its own memory in
    /// these files.
    ///
    /// # Errors
    ///
    /// Fails if the model has no device of this shape, or if the system refuses memory.
    pub fn endpoint(
        options: &Options,
        events: Events,
        files: &RegionFiles,
        state: State,
    ) -> Result<Endpoint<Self>, Error> {
        let memory = ServedMemory::in_files(files, options.device_memory, events)?;
        let mut shape = shape(&memory, options.interrupts, options.vectors());
        shorten(&mut shape.bars, &mut state.lock())?;
        let shared_pages = Arc::clone(&memory.shared_pages);
        let outside = LyingMemory::new(memory, state.clone(), options.vectors());
        let liar = Self {
            honest: Ringbar::new(options, outside)?,
            limits: reported_limits(&shared_pages),
            shared_pages,
            state,
            vectors: options.vectors(),
            queues: options.queues,
        };
        liar.show_limits(&mut liar.state.lock());
        Ok(Endpoint::new(liar, shape)?)
    }

    /// Obeys an order of the guest: to tell the truth, or one more lie. Ignores other numbers.
    pub(crate) fn obey(&mut self, order: u32, bus: &mut Bus) {
        if order == TRUTH {
            return self.tell_the_truth(bus);
        }
        let mut state = self.state.lock();
        if let Some(lie) = Lie::numbered(order) {
            log::info!("lies from now on: {}", lie.name());
            state.begin(lie);
            match lie {
                Lie::GenerationSteps => {
                    state.tells(lie);
                    self.show_generation(state.generation.wrapping_add(1));
                }
                Lie::GenerationZero => {
                    state.tells(lie);
                    self.show_generation(0);
                }
                // At once: a quick driver, or any while the server waits for a processor, would
                // otherwise meet no lie.
                Lie::GenerationFlickers => self.flicker(&mut state),
                Lie::LimitsZero
                | Lie::LimitsHuge
                | Lie::LimitsOdd
                | Lie::LimitsChange
                | Lie::Anything => self.show_limits(&mut state),
                Lie::InterruptStorm => state.later(SHARE, Deed::Storm(Storm::begin())),
                _ => {}
            }
        }
    }

    /// Tells no lie any more. A reset that is owed is carried out at once: later it would be a lie.
    fn tell_the_truth(&mut self, bus: &mut Bus) {
        let (generation, owed) = {
            let mut state = self.state.lock();
            let owed = state.end();
            self.show_limits(&mut state);
            (state.generation, owed)
        };
        self.show_generation(generation);
        if owed {
            self.reset_by_register(&regs::RESET_KEY.to_le_bytes(), bus);
        }
    }

    /// Stores a generation into all status pages.
    fn show_generation(&self, generation: u32) {
        for queue in 0..self.queues {
            let offset = Word::Generation.offset(usize::from(queue));
            let stored = self.shared_pages.store(offset, generation);
            debug_assert!(stored.is_some(), "no status page of queue {queue}");
        }
    }

    /// Stores limits into the report page: those of the device, or lies.
    fn show_limits(&self, state: &mut Inner) {
        for &(register, offset, honest) in &self.limits {
            let mut told = honest.to_le_bytes();
            state.by_the_clock(|state| {
                if state.says_anything() {
                    state.anything_in(&mut told);
                }
                spoil_limits(state, register, &mut told);
            });
            let stored = self.shared_pages.store(offset, u32::from_le_bytes(told));
            debug_assert!(stored.is_some(), "no report page");
        }
        if state.has(Lie::LimitsChange) {
            state.later(SHARE, Deed::Limits);
        }
    }

    /// Does what is due.
    fn act(&mut self, bus: &mut Bus) {
        let due = self.state.lock().due();
        for deed in due {
            match deed {
                // The guest may have taken the memory away, which is as good.
                Deed::Write(address, bytes) => {
                    let _gone = bus.write(address, &bytes);
                }
                Deed::Interrupt(vector) => bus.interrupt(usize::from(vector)),
                Deed::Storm(storm) => self.storm(storm, bus),
                Deed::Flicker => self.flicker(&mut self.state.lock()),
                Deed::Limits => self.show_limits(&mut self.state.lock()),
                Deed::Reset => {
                    let key = regs::RESET_KEY.to_le_bytes();
                    self.reset_by_register(&key, bus);
                }
            }
        }
    }

    fn storm(&mut self, mut storm: Storm, bus: &mut Bus) {
        let mut state = self.state.lock();
        for _ in 0..storm.due() {
            state.tells(Lie::InterruptStorm);
            let vector = state.by_the_clock(|state| state.random.u16(..self.vectors.max(1)));
            bus.interrupt(usize::from(vector));
        }
        state.later(SHARE, Deed::Storm(storm));
    }

    /// Tells another generation, and again after a moment.
    fn flicker(&self, state: &mut Inner) {
        state.tells(Lie::GenerationFlickers);
        let generation = state.by_the_clock(|state| state.random.u32(..));
        self.show_generation(generation);
        state.later(SHARE, Deed::Flicker);
    }

    /// Resets the honest device by a write to RESET. The lies about resets are told by the caller.
    fn reset_by_register(&mut self, data: &[u8], bus: &mut Bus) {
        let offset = at(regs::RESET::INFO.offset);
        self.honest.write(REGISTER_BAR, offset, data, bus);
        let mut state = self.state.lock();
        state.reset();
        if state.tells(Lie::ResetMad) {
            state.mad = true;
        }
    }

    /// Notes the queue or window that a command is about. Returns whether the device is to carry the
    /// command out.
    fn command(&mut self, offset: u64, data: &[u8], bus: &Bus) -> bool {
        let mut state = self.state.lock();
        state.earlier = state.outcome.unwrap_or(state.earlier);
        state.outcome = None;
        if state.tells(Lie::AdminRefuses) {
            state.outcome = Some(refusal(&mut state.random));
            return false;
        }
        let number = data
            .iter()
            .rev()
            .fold(0, |number, byte| number << 8 | u64::from(*byte));
        if state.tells(Lie::AdminDropped) {
            state.outcome = Some(0);
            if offset == at(regs::QUEUE_STOP::INFO.offset) {
                // The driver believes it, and gives the memory of the rings to others.
                state.forget_queue(number);
            }
            return false;
        }
        learn(&mut state, offset, number, bus);
        true
    }

    /// Changes the answer to a read of registers.
    fn spoil(&mut self, offset: u64, data: &mut [u8]) {
        let mut state = self.state.lock();
        spoil_registers(&mut state, offset, data);
        if offset == at(regs::ADMIN_STATUS::INFO.offset) {
            spoil_outcome(&mut state, data);
            let (never, late) = (
                state.tells(Lie::AdminUnanswered),
                state.tells(Lie::AdminLate),
            );
            drop(state);
            if never {
                hold_back(Duration::MAX);
            } else if late {
                hold_back(LATE);
            }
        }
    }
}

/// Draws a code that a driver cannot take for "it is done already", as it does with those of a queue
/// or window that is gone. It would use the number again, and the honest device refuse it.
fn refusal(random: &mut fastrand::Rng) -> u32 {
    let done =
        [ErrorCode::QUEUE_STOPPED, ErrorCode::WINDOW_IS_CLOSED].map(|code| u32::from(code.0));
    loop {
        let code = random.u32(1..0x40);
        if !done.contains(&code) {
            return code;
        }
    }
}

impl Function for Liar {
    fn read(&mut self, bar: u32, offset: u64, data: &mut [u8], bus: &mut Bus) {
        self.honest.read(bar, offset, data, bus);
        if bar == REGISTER_BAR {
            self.spoil(offset, data);
        }
    }

    fn write(&mut self, bar: u32, offset: u64, data: &[u8], bus: &mut Bus) {
        let is_reset = bar == REGISTER_BAR && offset == at(regs::RESET::INFO.offset);
        if is_reset {
            let mut state = self.state.lock();
            if state.tells(Lie::ResetIgnored) {
                return;
            }
            if state.tells(Lie::ResetLate) {
                state.later(LATE, Deed::Reset);
                return;
            }
            drop(state);
            self.reset_by_register(data, bus);
        } else if bar == REGISTER_BAR && COMMANDS.contains(&offset) {
            if self.command(offset, data, bus) {
                self.honest.write(bar, offset, data, bus);
            }
        } else {
            self.honest.write(bar, offset, data, bus);
        }
    }

    fn reset(&mut self, bus: &mut Bus) {
        self.honest.reset(bus);
        self.state.lock().reset();
    }

    fn set_bus_master(&mut self, on: bool, bus: &mut Bus) {
        self.honest.set_bus_master(on, bus);
    }

    fn note(&self, access: &Trapped<'_>) {
        self.honest.note(access);
    }
}

impl Work for Liar {
    fn work(&mut self, bus: &mut Bus) -> Next {
        self.act(bus);
        let next = self.honest.work(bus);
        let deed = self.state.lock().next();
        match (next, deed) {
            (Next::Wait, Some(time)) => Next::At(time),
            (Next::At(other), Some(time)) => Next::At(time.min(other)),
            (next, _) => next,
        }
    }

    fn has_work(&self) -> bool {
        self.honest.has_work() || self.state.lock().next().is_some()
    }
}

/// Changes the BARs, of which the device itself keeps what is behind the full ones.
///
/// # Errors
///
/// Fails if the system refuses memory.
fn shorten(bars: &mut Vec<BarShape>, state: &mut Inner) -> Result<(), Error> {
    let mut replace = |index: u32, backing: Option<Backing>| {
        bars.retain(|bar| bar.index != index);
        bars.extend(backing.map(|backing| BarShape { index, backing }));
    };
    if state.tells(Lie::RegistersShort) {
        let traps = Backing::Trapped(at(layout::DOORBELL_PAGES));
        replace(REGISTER_BAR, Some(traps));
    }
    if state.tells(Lie::MemoryShort) {
        let memory = SharedMemory::new("ringbar-short-memory", layout::DEVICE_MEMORY_MIN / 2)?;
        let memory = Backing::Memory(Arc::new(memory));
        replace(layout::DEVICE_MEMORY_BAR, Some(memory));
    }
    if state.tells(Lie::MemoryAbsent) {
        replace(layout::DEVICE_MEMORY_BAR, None);
    }
    Ok(())
}

/// Notes the queue or window of a command, and what is to be done when a window closes.
fn learn(state: &mut Inner, offset: u64, number: u64, bus: &Bus) {
    if offset == at(regs::QUEUE_START::INFO.offset) {
        let mut setup = QueueSetup::new_zeroed();
        if bus.read(number, setup.as_mut_bytes()).is_ok() {
            state.before.remove(&setup.queue);
            state.shown.remove(&setup.queue);
            state.queues.insert(setup.queue, setup);
        }
    } else if offset == at(regs::QUEUE_STOP::INFO.offset) {
        state.forget_queue(number);
    } else if offset == at(regs::WINDOW_OPEN::INFO.offset) {
        if let Some((window, segments)) = window_at(number, bus) {
            state.windows.insert(window, segments);
        }
    } else if offset == at(regs::WINDOW_CLOSE::INFO.offset) {
        let window = u32::try_from(number).unwrap_or(u32::MAX);
        let segments = state.windows.remove(&window).unwrap_or_default();
        for segment in segments {
            if state.tells(Lie::StaleDma) {
                let length = usize::try_from(segment.length.min(STALE_BYTES)).unwrap_or_default();
                let mut bytes = vec![0; length];
                state.random.fill(&mut bytes);
                state.later(STALE, Deed::Write(segment.address, bytes));
            }
        }
    }
}

/// Returns the number of the window that a block describes, and its memory in the guest.
fn window_at(address: u64, bus: &Bus) -> Option<(u32, Vec<Segment>)> {
    let mut setup = WindowSetup::new_zeroed();
    bus.read(address, setup.as_mut_bytes()).ok()?;
    if WindowKind(setup.kind) != WindowKind::SEGMENTS {
        return None;
    }
    let count = setup.segments.min(MAX_SEGMENTS) as usize;
    let mut bytes = vec![0; count.checked_mul(size_of::<Segment>())?];
    let first = address.checked_add(size_of::<WindowSetup>() as u64)?;
    bus.read(first, &mut bytes).ok()?;
    let segments = bytes
        .chunks_exact(size_of::<Segment>())
        .filter_map(|segment| Segment::read_from_bytes(segment).ok());
    Some((setup.window, segments.collect()))
}

/// Changes the bytes of registers, before those of an outcome.
fn spoil_registers(state: &mut Inner, offset: u64, data: &mut [u8]) {
    if state.tells(Lie::RegistersOnes) {
        data.fill(u8::MAX);
    }
    if state.tells(Lie::RegistersZero) {
        data.fill(0);
    }
    if state.mad || state.tells(Lie::RegistersRandom) {
        state.random.fill(data);
    }
    if state.says_anything() {
        state.anything_in(data);
    }
    if LIMITS.contains(&offset) {
        spoil_limits(state, offset, data);
    }
    // The driver reads both at once.
    let ident = part_of(offset, data, at(regs::IDENT::INFO.offset));
    if !ident.is_empty() && state.tells(Lie::IdentWrong) {
        ident.iter_mut().for_each(|byte| *byte ^= 0x20);
    }
    let version = part_of(offset, data, at(regs::VERSION::INFO.offset));
    if !version.is_empty() && state.tells(Lie::VersionOld) {
        for (byte, old) in version.iter_mut().zip(OLD_VERSION.to_le_bytes()) {
            *byte = old;
        }
    }
    let is_error = ERRORS.iter().any(|errors| errors.contains(&offset));
    if is_error && state.tells(Lie::ErrorLogRandom) {
        state.random.fill(data);
    }
}

/// Returns the limits in the report page: offset of the register, offset and value of the copy.
fn reported_limits(shared_pages: &SharedMemory) -> Vec<(u64, usize, u32)> {
    let limits = REPORTED
        .iter()
        .map(|(register, copy)| (at(register.info().offset), *copy));
    let limits = limits.filter(|(register, _)| LIMITS.contains(register));
    limits
        .map(|(register, copy)| (register, copy, shared_pages.load(copy).unwrap_or_default()))
        .collect()
}

/// Returns the bytes of an access at `offset` that are those of a register of four bytes, if the access
/// has its first one.
fn part_of(offset: u64, data: &mut [u8], register: u64) -> &mut [u8] {
    let before = register.checked_sub(offset).map(|before| before as usize);
    let rest = before.and_then(|before| data.get_mut(before..));
    let rest = rest.unwrap_or_default();
    let length = rest.len().min(4);
    rest.get_mut(..length).unwrap_or_default()
}

/// Changes the bytes of a limit.
fn spoil_limits(state: &mut Inner, offset: u64, data: &mut [u8]) {
    if state.tells(Lie::LimitsZero) {
        data.fill(0);
    }
    if state.tells(Lie::LimitsHuge) {
        data.fill(u8::MAX);
    }
    if state.tells(Lie::LimitsChange) {
        state.random.fill(data);
    }
    let entries = ENTRIES.zip(ODD_ENTRIES.to_le_bytes());
    let bytes = (offset..).zip(data);
    let told = bytes.filter_map(|(place, byte)| {
        let (_, odd) = entries.clone().find(|(entry, _)| *entry == place)?;
        Some((byte, odd))
    });
    for (byte, odd) in told {
        if state.tells(Lie::LimitsOdd) {
            *byte = odd;
        }
    }
}

/// Changes the outcome of a command.
fn spoil_outcome(state: &mut Inner, data: &mut [u8]) {
    let honest = data
        .iter()
        .rev()
        .fold(0, |code, byte| code << 8 | u32::from(*byte));
    let own = state.outcome.unwrap_or(honest);
    let told = if state.tells(Lie::AdminOnes) {
        u32::MAX
    } else if state.tells(Lie::AdminOther) {
        state.earlier
    } else {
        own
    };
    state.outcome = Some(own);
    if told != honest {
        data.iter_mut()
            .zip(told.to_le_bytes())
            .for_each(|(byte, new)| *byte = new);
    }
}

/// Holds the caller back. The device does nothing else meanwhile.
fn hold_back(time: Duration) {
    let begin = Instant::now();
    while let Some(left) = time.checked_sub(begin.elapsed()) {
        // Not a sleep: that is one more system call than the sandbox allows. A thread may come back
        // early.
        thread::park_timeout(left);
    }
}

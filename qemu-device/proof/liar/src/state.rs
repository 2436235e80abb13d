// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The lies that a device tells now, and what it must know of its driver to tell them.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use ringbar_lies::Lie;
use ringbar_model::DmaAddress;
use ringbar_spec::ring::Completion;
use ringbar_spec::setup::{QueueSetup, Segment};

/// What the device does at a later time.
#[derive(Clone, Debug)]
pub(crate) enum Deed {
    /// Writes bytes to memory of the guest, whoever has it by then.
    Write(DmaAddress, Vec<u8>),
    /// Raises this vector.
    Interrupt(u16),
    /// Raises the interrupts of a storm that are due, and goes on a millisecond later.
    Storm(Storm),
    /// Stores another generation into the status pages, and goes on a millisecond later.
    Flicker,
    /// Stores other limits into the report page, and goes on a millisecond later.
    Limits,
    /// Carries out a write to RESET.
    Reset,
}

/// A storm of interrupts at a steady rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Storm {
    begin: Instant,
    raised: u64,
}

impl Storm {
    /// Interrupts a second.
    const RATE: u64 = 100_000;
    /// Most interrupts at a time. A device that was held up longer skips the others: the guest waits
    /// for the device meanwhile.
    const MOST: u64 = Self::RATE / 10;

    /// Begins a storm.
    pub(crate) fn begin() -> Self {
        Self {
            begin: Instant::now(),
            raised: 0,
        }
    }

    /// Returns how many interrupts are due now, and counts them as raised.
    pub(crate) fn due(&mut self) -> u64 {
        self.due_after(self.begin.elapsed())
    }

    fn due_after(&mut self, time: Duration) -> u64 {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let all = micros.saturating_mul(Self::RATE) / 1_000_000;
        let due = all.saturating_sub(self.raised);
        self.raised = all.max(self.raised);
        due.min(Self::MOST)
    }
}

/// State of a lying device, shared by its parts.
#[derive(Clone, Debug)]
pub struct State(Arc<Mutex<Inner>>);

/// The state, locked.
#[derive(Debug)]
pub(crate) struct Inner {
    lies: BTreeSet<Lie>,
    told: u32,
    /// What is random in lies.
    pub(crate) random: fastrand::Rng,
    /// The same for lies that the clock tells, see [`Inner::by_the_clock`].
    clocked: fastrand::Rng,
    deeds: Vec<(Instant, Deed)>,
    /// Queues that were started since the last reset.
    pub(crate) queues: BTreeMap<u32, QueueSetup>,
    /// Memory of the open windows.
    pub(crate) windows: BTreeMap<u32, Vec<Segment>>,
    /// The completion before the next one of each queue, as the device meant it.
    pub(crate) before: BTreeMap<u32, Completion>,
    /// The last completion of each queue, as it is in the ring.
    pub(crate) shown: BTreeMap<u32, Completion>,
    /// Second halves of completions that come with the next completion of their queue.
    pub(crate) torn: BTreeMap<u32, Vec<(DmaAddress, Vec<u8>)>>,
    /// Outcome of the last admin command, if it is not the model's.
    pub(crate) outcome: Option<u32>,
    /// Outcome of the command before.
    pub(crate) earlier: u32,
    /// A write to RESET came while the device was to go mad at one.
    pub(crate) mad: bool,
    /// The generation that the device has told last, if it was true.
    pub(crate) generation: u32,
}

impl State {
    /// Makes a device that tells these lies from the start.
    pub fn new(lies: impl IntoIterator<Item = Lie>, seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            lies: lies.into_iter().collect(),
            told: 0,
            random: fastrand::Rng::with_seed(seed),
            clocked: fastrand::Rng::with_seed(seed),
            deeds: Vec::new(),
            queues: BTreeMap::new(),
            windows: BTreeMap::new(),
            before: BTreeMap::new(),
            shown: BTreeMap::new(),
            torn: BTreeMap::new(),
            outcome: None,
            earlier: 0,
            mad: false,
            generation: 0,
        })))
    }

    /// Locks the state.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock()
    }
}

impl Inner {
    /// Returns whether the device tells this lie.
    pub(crate) fn has(&self, lie: Lie) -> bool {
        self.lies.contains(&lie)
    }

    /// Has all that is random follow from a number.
    pub(crate) fn seed(&mut self, seed: u64) {
        self.random.seed(seed);
        self.clocked.seed(seed);
    }

    /// Tells a lie at a time of the device's own. It takes other random numbers than the lies about
    /// accesses do. Otherwise a seed would give those other numbers each time.
    pub(crate) fn by_the_clock<R>(&mut self, tell: impl FnOnce(&mut Self) -> R) -> R {
        mem::swap(&mut self.random, &mut self.clocked);
        let told = tell(self);
        mem::swap(&mut self.random, &mut self.clocked);
        told
    }

    /// Returns whether the device tells this lie, and counts it: the caller tells it now.
    pub(crate) fn tells(&mut self, lie: Lie) -> bool {
        let tells = self.has(lie);
        if tells {
            self.told = self.told.saturating_add(1);
        }
        tells
    }

    /// Returns whether the report page has no outcomes: one of the lies that registers tell is told
    /// about them.
    pub(crate) fn hides_outcomes(&self) -> bool {
        let of_registers = [
            Lie::AdminUnanswered,
            Lie::AdminLate,
            Lie::AdminOther,
            Lie::AdminOnes,
            Lie::RegistersOnes,
            Lie::RegistersZero,
            Lie::RegistersRandom,
        ];
        self.mad || of_registers.into_iter().any(|lie| self.has(lie))
    }

    /// Returns whether the device says anything now, in place of what it means.
    pub(crate) fn says_anything(&mut self) -> bool {
        self.has(Lie::Anything) && self.random.u8(..4) == 0 && self.tells(Lie::Anything)
    }

    /// Returns what the device says in place of `value`: one of the numbers that are special, one
    /// near by, or any. A driver refuses almost all that are just any.
    pub(crate) fn anything(&mut self, value: u32) -> u32 {
        const SPECIAL: [u32; 6] = [0, 1, u32::MAX, 1 << 31, u16::MAX as u32, 1 << 16];
        match self.random.u8(..3) {
            0 => SPECIAL[self.random.usize(..SPECIAL.len())],
            1 => value.wrapping_add(self.random.u32(1..=16)).wrapping_sub(8),
            _ => self.random.u32(..),
        }
    }

    /// Puts what the device says into the place of words, as [`Inner::anything`] does.
    pub(crate) fn anything_in(&mut self, data: &mut [u8]) {
        for word in data.chunks_mut(size_of::<u32>()) {
            let mut value = [0; size_of::<u32>()];
            value[..word.len()].copy_from_slice(word);
            let said = self.anything(u32::from_le_bytes(value));
            word.copy_from_slice(&said.to_le_bytes()[..word.len()]);
        }
    }

    /// Returns how many lies were told since the last truth.
    pub(crate) fn told(&self) -> u32 {
        self.told
    }

    /// Adds a lie.
    pub(crate) fn begin(&mut self, lie: Lie) {
        self.lies.insert(lie);
    }

    /// Ends all lies. What was to be done later is not done. Returns whether a reset is owed.
    pub(crate) fn end(&mut self) -> bool {
        self.lies.clear();
        self.told = 0;
        self.mad = false;
        self.outcome = None;
        self.torn.clear();
        let deeds = std::mem::take(&mut self.deeds);
        deeds.iter().any(|(_, deed)| matches!(deed, Deed::Reset))
    }

    /// Does something later.
    pub(crate) fn later(&mut self, after: Duration, deed: Deed) {
        // A sum that does not fit is a time that never comes.
        if let Some(time) = Instant::now().checked_add(after) {
            self.deeds.push((time, deed));
        }
    }

    /// Takes the deeds that are due.
    pub(crate) fn due(&mut self) -> Vec<Deed> {
        let now = Instant::now();
        let is_due = |(time, _): &mut (Instant, Deed)| *time <= now;
        self.deeds
            .extract_if(.., is_due)
            .map(|(_, deed)| deed)
            .collect()
    }

    /// Returns the time of the next deed.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.deeds.iter().map(|(time, _)| *time).min()
    }

    /// Forgets what a reset ends.
    pub(crate) fn reset(&mut self) {
        self.queues.clear();
        self.windows.clear();
        self.before.clear();
        self.shown.clear();
        self.torn.clear();
        self.outcome = None;
    }

    /// Forgets a queue, whose rings are the driver's again.
    pub(crate) fn forget_queue(&mut self, number: u64) {
        self.queues.retain(|queue, _| u64::from(*queue) != number);
        self.torn.retain(|queue, _| u64::from(*queue) != number);
    }

    /// Returns the queue in whose completion ring these bytes lie.
    pub(crate) fn completions_at(&self, address: DmaAddress, length: usize) -> Option<u32> {
        let lies_in = |setup: &QueueSetup| {
            let size = u64::from(setup.completion_entries) * size_of::<Completion>() as u64;
            let end = address.checked_add(length as u64);
            address >= setup.completion_ring && end <= setup.completion_ring.checked_add(size)
        };
        let mut queues = self.queues.iter();
        let (number, _) = queues.find(|(_, setup)| lies_in(setup))?;
        Some(*number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn storm_at(times: &[u64]) -> Vec<u64> {
        let mut storm = Storm::begin();
        let due = |time: &u64| storm.due_after(Duration::from_millis(*time));
        times.iter().map(due).collect()
    }

    #[test]
    fn storm_has_100_000_interrupts_a_second_however_seldom_it_is_its_turn() {
        assert_eq!(storm_at(&[1, 2, 7, 50]), [100, 100, 500, 4300]);
    }

    #[test]
    fn storm_skips_interrupts_that_are_late() {
        assert_eq!(storm_at(&[1000, 1001]), [10_000, 100]);
    }

    #[test]
    fn anything_is_special_or_near_or_far() {
        let state = State::new([Lie::Anything], 1);
        let mut state = state.lock();
        let said: Vec<u32> = (0..1000).map(|_| state.anything(5000)).collect();

        assert!(said.contains(&0) && said.contains(&u32::MAX));
        assert!(said.contains(&4999) && said.contains(&5001));
        assert!(said.iter().any(|value| (6000..1 << 31).contains(value)));
    }
}

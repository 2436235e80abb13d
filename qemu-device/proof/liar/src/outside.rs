// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Lies in what the device writes: completions, words of status pages, interrupts.

use std::time::Duration;

use ringbar_endpoint::function::Bus;
use ringbar_lies::Lie;
use ringbar_model::{DmaAddress, Host, Location, Note, Unreachable};
use ringbar_server::host::{ModelHost, Outside, ServedMemory};
use ringbar_spec::layout::{MAX_QUEUES, PAGE_STRIDE, STATUS_PAGES};
use ringbar_spec::pages;
use ringbar_spec::ring::Completion;
use ringbar_spec::wake::Word;
use zerocopy::{FromBytes, IntoBytes};

use crate::state::{Deed, Inner, State};

/// Bytes of a completion in its first half: tag, status and what must be 0.
const FIRST_HALF: usize = 8;
/// Delay of late interrupts.
const LATE: Duration = Duration::from_millis(200);

/// The outside of the model, which lies on the way.
#[derive(Debug)]
pub struct LyingMemory {
    memory: ServedMemory,
    state: State,
    vectors: u16,
}

impl LyingMemory {
    /// Makes the outside of a device with this number of interrupt vectors.
    pub fn new(memory: ServedMemory, state: State, vectors: u16) -> Self {
        Self {
            memory,
            state,
            vectors,
        }
    }
}

impl Outside for LyingMemory {
    type Host<'a> = LyingHost<'a>;

    fn memory(&self) -> &ServedMemory {
        &self.memory
    }

    fn host<'a>(&'a self, bus: &'a Bus) -> LyingHost<'a> {
        LyingHost {
            honest: self.memory.host(bus),
            state: &self.state,
        }
    }

    fn interrupt(&self, vector: u16, bus: &mut Bus) {
        let mut state = self.state.lock();
        if state.tells(Lie::InterruptLost) || state.says_anything() {
            return;
        }
        let vector = if state.tells(Lie::InterruptElsewhere) {
            let step = state.random.u16(1..self.vectors.max(2));
            vector.wrapping_add(step) % self.vectors.max(1)
        } else {
            vector
        };
        if state.tells(Lie::InterruptLate) {
            state.later(LATE, Deed::Interrupt(vector));
            return;
        }
        if state.tells(Lie::InterruptDoubled) {
            bus.interrupt(usize::from(vector));
        }
        bus.interrupt(usize::from(vector));
    }
}

/// The process as the model sees it, for one call. Lies to the guest in the model's place.
pub struct LyingHost<'a> {
    honest: ModelHost<'a>,
    state: &'a State,
}

impl Host for LyingHost<'_> {
    fn unreachable(&self, address: DmaAddress, length: u64, write: bool) -> Option<DmaAddress> {
        self.honest.unreachable(address, length, write)
    }

    fn read(&self, from: Location, data: &mut [u8]) -> Result<(), Unreachable> {
        self.honest.read(from, data)
    }

    fn write(&self, to: Location, data: &[u8]) -> Result<(), Unreachable> {
        let mut state = self.state.lock();
        match to {
            Location::Guest(address) => match state.completions_at(address, data.len()) {
                Some(queue) => self.write_completions(&mut state, queue, address, data),
                None => self.honest.write(to, data),
            },
            Location::DeviceMemory(_) => self.honest.write(to, data),
        }
    }

    fn copy(&self, from: Location, to: Location, length: usize) -> Result<(), Unreachable> {
        self.honest.copy(from, to, length)
    }

    fn load(&self, offset: usize) -> u32 {
        self.honest.load(offset)
    }

    fn store(&self, offset: usize, value: u32) {
        let mut state = self.state.lock();
        let told = match offset {
            pages::OUTCOME => spoil_outcome(&mut state, value),
            _ => spoil_word(&mut state, word_at(offset), value),
        };
        if let Some(value) = told {
            self.honest.store(offset, value);
        }
    }

    fn read_shared(&self, offset: usize, data: &mut [u8]) {
        self.honest.read_shared(offset, data);
    }

    fn write_shared(&self, offset: usize, data: &[u8]) {
        // The copy beside the tail tells the same as the ring.
        let state = self.state.lock();
        let mut queues = state.shown.iter();
        match queues.find(|(queue, _)| offset == pages::inline_completion(**queue as usize)) {
            Some((_, shown)) if data.len() == size_of::<Completion>() => {
                self.honest.write_shared(offset, shown.as_bytes());
            }
            _ => self.honest.write_shared(offset, data),
        }
    }

    fn fence(&self) {
        self.honest.fence();
    }

    fn now(&self) -> u64 {
        self.honest.now()
    }

    fn is_watched(&self) -> bool {
        self.honest.is_watched()
    }

    fn note(&self, note: Note<'_>) {
        self.honest.note(note);
    }
}

impl LyingHost<'_> {
    /// Writes completions to their ring, with the lies about them.
    fn write_completions(
        &self,
        state: &mut Inner,
        queue: u32,
        address: DmaAddress,
        data: &[u8],
    ) -> Result<(), Unreachable> {
        // Not after some time: a driver on a busy machine would find them whole.
        for (place, half) in state.torn.remove(&queue).unwrap_or_default() {
            self.honest.write(Location::Guest(place), &half)?;
        }
        let mut entries: Vec<Completion> = data
            .chunks_exact(size_of::<Completion>())
            .filter_map(|entry| Completion::read_from_bytes(entry).ok())
            .collect();
        spoil_completions(state, queue, &mut entries);
        if let Some(last) = entries.last() {
            state.shown.insert(queue, *last);
        }
        if !state.tells(Lie::TornCompletion) {
            return self
                .honest
                .write(Location::Guest(address), entries.as_bytes());
        }
        for (entry, place) in entries
            .iter()
            .zip((address..).step_by(size_of::<Completion>()))
        {
            let (now, later) = entry.as_bytes().split_at(FIRST_HALF);
            self.honest.write(Location::Guest(place), now)?;
            let place = place.wrapping_add(FIRST_HALF as u64);
            let halves = state.torn.entry(queue).or_default();
            halves.push((place, later.to_vec()));
        }
        Ok(())
    }
}

/// Changes completions of a queue that go to its ring.
fn spoil_completions(state: &mut Inner, queue: u32, entries: &mut [Completion]) {
    let meant: Vec<Completion> = entries.to_vec();
    for (index, entry) in entries.iter_mut().enumerate() {
        // Half by half: one that is wrong as a whole is refused by its first field.
        for half in entry.as_mut_bytes().chunks_mut(size_of::<u64>()) {
            if state.says_anything() {
                state.anything_in(half);
            }
        }
        if state.tells(Lie::ForeignTag) {
            entry.tag ^= state.random.u32(1..);
        }
        if state.tells(Lie::UnknownStatus) {
            entry.status = state.random.u16(0x100..);
        }
        if state.tells(Lie::WrongResult) {
            entry.result = state.random.u64(..);
        }
        let before = match index.checked_sub(1) {
            Some(index) => meant.get(index).copied(),
            None => state.before.get(&queue).copied(),
        };
        if let Some(before) = before
            && state.tells(Lie::CompletionTwice)
        {
            *entry = before;
        }
    }
    if entries.len() > 1 && state.tells(Lie::CompletionsSwapped) {
        let first = state.random.usize(..entries.len().saturating_sub(1));
        entries.swap(first, first.saturating_add(1));
    }
    if let Some(last) = meant.last() {
        state.before.insert(queue, *last);
    }
}

/// Returns the word of a status page at an offset of BAR 0.
fn word_at(offset: usize) -> Option<Word> {
    let pages = STATUS_PAGES..STATUS_PAGES + MAX_QUEUES * PAGE_STRIDE;
    let mut words = Word::ALL.into_iter().filter(|word| !word.is_in_doorbell());
    words.find(|word| pages.contains(&offset) && word.in_page() == offset % PAGE_STRIDE)
}

/// Returns the outcome to report in place of the device's; `None` to report none. The driver then
/// reads the register, whose lies are told by the caller.
fn spoil_outcome(state: &mut Inner, value: u32) -> Option<u32> {
    if state.hides_outcomes() {
        return None;
    }
    if state.says_anything() {
        return Some(state.anything(value));
    }
    if state.tells(Lie::ReportNumber) {
        return Some(state.random.u32(..) & !0xffff | value & 0xffff);
    }
    Some(value)
}

/// Returns the value to store into a word in place of the device's; `None` to store none.
fn spoil_word(state: &mut Inner, word: Option<Word>, value: u32) -> Option<u32> {
    if word.is_some() && state.says_anything() {
        if word == Some(Word::Generation) && value != 0 {
            state.generation = value;
        }
        return Some(state.anything(value));
    }
    match word {
        // A queue begins with the tail 0, which tells nothing.
        Some(Word::CompletionTail) if value != 0 => {
            if state.tells(Lie::TailStuck) {
                return None;
            }
            let mut told = value;
            if state.tells(Lie::TailAhead) {
                told = told.wrapping_add(state.random.u32(1..=16));
            }
            if state.tells(Lie::TailBack) {
                told = told.wrapping_sub(1);
            }
            if state.tells(Lie::TailJumps) {
                told = told.wrapping_add(1 << 31);
            }
            Some(told)
        }
        Some(Word::Sleeping) if value != 0 && state.tells(Lie::SleepingStuck) => Some(0),
        Some(Word::QueueState) if state.tells(Lie::StateRandom) => Some(state.random.u32(..)),
        // In the pages of queues that the device does not have, it is 0.
        Some(Word::Generation) if value != 0 => {
            state.generation = value;
            if state.tells(Lie::ResetEndless) {
                Some(u32::MAX)
            } else if state.tells(Lie::ResetTwice) {
                Some(value.wrapping_add(1))
            } else {
                Some(value)
            }
        }
        _ => Some(value),
    }
}

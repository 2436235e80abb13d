// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A [`Host`] made of vectors: guest memory in ranges, device memory, shared words.
//!
//! For tests and benchmarks. It records on request what the device touches, and can fail on
//! request.

use crate::{DmaAddress, Host, Place, Unreachable};
use ringbar_spec::layout::REGISTER_BAR_SIZE;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// An access of memory that the device made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touch {
    /// The first byte.
    pub place: Place,
    /// How many bytes.
    pub length: u64,
    /// Whether they were written.
    pub write: bool,
}

/// What the guest does while the device works.
type Script = Box<dyn FnMut(&FakeHost)>;

/// Memory of a guest that does not exist.
pub struct FakeHost {
    state: RefCell<State>,
    script: RefCell<Option<Script>>,
}

struct State {
    ranges: BTreeMap<DmaAddress, Range>,
    device_memory: Vec<u8>,
    words: Vec<u32>,
    record: Option<Vec<Touch>>,
    /// Accesses that still work; any number if `None`.
    working: Option<u64>,
    now: u64,
}

struct Range {
    bytes: Vec<u8>,
    writable: bool,
}

impl FakeHost {
    /// A host without guest memory, and with this much device memory.
    pub fn new(device_memory_size: usize) -> Self {
        Self {
            state: RefCell::new(State {
                ranges: BTreeMap::new(),
                device_memory: vec![0; device_memory_size],
                words: vec![0; REGISTER_BAR_SIZE / 4],
                record: None,
                working: None,
                now: 0,
            }),
            script: RefCell::new(None),
        }
    }

    /// Maps guest memory that holds `bytes`. Ranges may touch but not overlap.
    pub fn map(&self, address: DmaAddress, bytes: Vec<u8>, writable: bool) {
        let range = Range { bytes, writable };
        self.state.borrow_mut().ranges.insert(address, range);
    }

    /// Unmaps the range that starts at `address`.
    pub fn unmap(&self, address: DmaAddress) {
        self.state.borrow_mut().ranges.remove(&address);
    }

    /// Lets the guest read memory, unrecorded. All of it must be mapped.
    pub fn peek(&self, place: Place, length: usize) -> Vec<u8> {
        let mut data = vec![0; length];
        let state = self.state.borrow();
        state.read(place, &mut data).expect("peek of mapped memory");
        data
    }

    /// Lets the guest write memory, unrecorded, whatever the device's rights. All of it must be
    /// mapped.
    pub fn poke(&self, place: Place, data: &[u8]) {
        let mut state = self.state.borrow_mut();
        state.write(place, data).expect("poke of mapped memory");
    }

    /// What a shared word holds.
    pub fn word(&self, offset: usize) -> u32 {
        self.state.borrow().words[offset / 4]
    }

    /// Lets the guest write a shared word.
    pub fn set_word(&self, offset: usize, value: u32) {
        self.state.borrow_mut().words[offset / 4] = value;
    }

    /// Lets the guest write to the shared pages, in whole words.
    pub fn set_shared(&self, offset: usize, data: &[u8]) {
        for (place, word) in (offset..).step_by(4).zip(data.chunks_exact(4)) {
            self.set_word(place, u32::from_le_bytes(word.try_into().expect("4 bytes")));
        }
    }

    /// Lets the guest do something before each load, store and fence of the device from now on.
    pub fn interleave(&self, script: impl FnMut(&Self) + 'static) {
        *self.script.borrow_mut() = Some(Box::new(script));
    }

    /// Records from now on what the device touches.
    pub fn start_recording(&self) {
        self.state.borrow_mut().record = Some(Vec::new());
    }

    /// Takes what was recorded since the last call. Recording goes on.
    pub fn take_record(&self) -> Vec<Touch> {
        let mut state = self.state.borrow_mut();
        state
            .record
            .as_mut()
            .map(std::mem::take)
            .unwrap_or_default()
    }

    /// Lets this many accesses of the device work, and those after them fail.
    pub fn fail_after(&self, accesses: u64) {
        self.state.borrow_mut().working = Some(accesses);
    }

    /// Sets the clock.
    pub fn set_time(&self, now: u64) {
        self.state.borrow_mut().now = now;
    }

    /// All of guest memory, by address, to compare.
    pub fn snapshot(&self) -> Vec<(DmaAddress, Vec<u8>)> {
        let state = self.state.borrow();
        let ranges = state.ranges.iter();
        ranges
            .map(|(&at, range)| (at, range.bytes.clone()))
            .collect()
    }
}

impl FakeHost {
    fn run_script(&self) {
        // Out of its place meanwhile, as what it does is the guest's.
        let script = self.script.borrow_mut().take();
        if let Some(mut script) = script {
            script(self);
            *self.script.borrow_mut() = Some(script);
        }
    }
}

impl Host for FakeHost {
    fn unreachable(&self, address: DmaAddress, length: u64, write: bool) -> Option<DmaAddress> {
        self.state.borrow().unreachable(address, length, write)
    }

    fn read(&self, from: Place, data: &mut [u8]) -> Result<(), Unreachable> {
        let mut state = self.state.borrow_mut();
        state.allow(from, data.len() as u64, false)?;
        state.spend()?;
        state.record(from, data.len(), false);
        state.read(from, data)
    }

    fn write(&self, to: Place, data: &[u8]) -> Result<(), Unreachable> {
        let mut state = self.state.borrow_mut();
        state.allow(to, data.len() as u64, true)?;
        state.spend()?;
        state.record(to, data.len(), true);
        state.write(to, data)
    }

    fn copy(&self, from: Place, to: Place, length: usize) -> Result<(), Unreachable> {
        let mut state = self.state.borrow_mut();
        state.allow(from, length as u64, false)?;
        state.allow(to, length as u64, true)?;
        state.spend()?;
        state.record(from, length, false);
        state.record(to, length, true);
        let mut data = vec![0; length];
        state.read(from, &mut data)?;
        state.write(to, &data)
    }

    fn load(&self, offset: usize) -> u32 {
        self.run_script();
        self.word(offset)
    }

    fn store(&self, offset: usize, value: u32) {
        self.run_script();
        self.set_word(offset, value);
    }

    fn read_shared(&self, offset: usize, data: &mut [u8]) {
        self.run_script();
        let words = (offset / 4..).map(|word| self.word(word * 4).to_le_bytes());
        for (to, from) in data.iter_mut().zip(words.flatten()) {
            *to = from;
        }
    }

    fn write_shared(&self, offset: usize, data: &[u8]) {
        self.run_script();
        self.set_shared(offset, data);
    }

    fn now(&self) -> u64 {
        self.state.borrow().now
    }

    /// All accesses take effect at once and in order, so there is nothing to do.
    fn fence(&self) {
        self.run_script();
    }
}

impl State {
    /// Checks an access of the device.
    fn allow(&self, place: Place, length: u64, write: bool) -> Result<(), Unreachable> {
        if let Place::Guest(address) = place
            && self.unreachable(address, length, write).is_some()
        {
            return Err(Unreachable);
        }
        Ok(())
    }

    fn spend(&mut self) -> Result<(), Unreachable> {
        if let Some(working) = &mut self.working {
            *working = working.checked_sub(1).ok_or(Unreachable)?;
        }
        Ok(())
    }

    fn record(&mut self, place: Place, length: usize, write: bool) {
        if let Some(record) = &mut self.record {
            let length = length as u64;
            record.push(Touch {
                place,
                length,
                write,
            });
        }
    }

    fn unreachable(&self, address: DmaAddress, length: u64, write: bool) -> Option<DmaAddress> {
        let (mut at, mut left) = (address, length);
        while left > 0 {
            let Some((range, inside)) = self.range(at) else {
                return Some(at);
            };
            if write && !range.writable {
                return Some(at);
            }
            let run = left.min((range.bytes.len() - inside) as u64);
            left -= run;
            match at.checked_add(run) {
                Some(next) => at = next,
                None if left > 0 => return Some(at),
                None => {}
            }
        }
        None
    }

    /// The range that holds `address`, and the place in it.
    fn range(&self, address: DmaAddress) -> Option<(&Range, usize)> {
        let (&start, range) = self.ranges.range(..=address).next_back()?;
        let inside = usize::try_from(address - start).ok()?;
        (inside < range.bytes.len()).then_some((range, inside))
    }

    fn read(&self, from: Place, data: &mut [u8]) -> Result<(), Unreachable> {
        match from {
            Place::DeviceMemory(offset) => {
                let offset = offset as usize;
                data.copy_from_slice(&self.device_memory[offset..offset + data.len()]);
            }
            Place::Guest(address) => {
                let mut done = 0;
                while done < data.len() {
                    let at = address.checked_add(done as u64).ok_or(Unreachable)?;
                    let (range, inside) = self.range(at).ok_or(Unreachable)?;
                    let run = (data.len() - done).min(range.bytes.len() - inside);
                    data[done..done + run].copy_from_slice(&range.bytes[inside..inside + run]);
                    done += run;
                }
            }
        }
        Ok(())
    }

    fn write(&mut self, to: Place, data: &[u8]) -> Result<(), Unreachable> {
        match to {
            Place::DeviceMemory(offset) => {
                let offset = offset as usize;
                self.device_memory[offset..offset + data.len()].copy_from_slice(data);
            }
            Place::Guest(address) => {
                let mut done = 0;
                while done < data.len() {
                    let at = address.checked_add(done as u64).ok_or(Unreachable)?;
                    let (&start, range) = self
                        .ranges
                        .range_mut(..=at)
                        .next_back()
                        .ok_or(Unreachable)?;
                    let inside = (at - start) as usize;
                    let run = (data.len() - done).min(range.bytes.len().saturating_sub(inside));
                    if run == 0 {
                        return Err(Unreachable);
                    }
                    range.bytes[inside..inside + run].copy_from_slice(&data[done..done + run]);
                    done += run;
                }
            }
        }
        Ok(())
    }
}

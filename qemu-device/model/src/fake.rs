// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A [`Host`] made of vectors: guest memory in ranges, device memory, shared words.
//!
//! For tests and benchmarks. On request it records the device's accesses, and lets them fail.

use crate::{DmaAddress, Host, Location, Unreachable};
use ringbar_spec::layout::REGISTER_BAR_SIZE;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// An access of memory by the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touch {
    /// Its first byte.
    pub place: Location,
    /// Number of bytes.
    pub length: u64,
    /// Whether they were written.
    pub write: bool,
}

/// Actions of the guest while the device works.
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
    /// Number of accesses that still work; any number if `None`.
    working: Option<u64>,
    /// A byte that cannot be copied, although it counts as reachable.
    lost: Option<DmaAddress>,
    now: u64,
}

struct Range {
    bytes: Vec<u8>,
    writable: bool,
}

impl FakeHost {
    /// Makes a host without guest memory, and with this much device memory.
    pub fn new(device_memory_size: usize) -> Self {
        Self {
            state: RefCell::new(State {
                ranges: BTreeMap::new(),
                device_memory: vec![0; device_memory_size],
                words: vec![0; REGISTER_BAR_SIZE / 4],
                record: None,
                working: None,
                lost: None,
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

    /// Reads memory for the guest, unrecorded.
    ///
    /// # Panics
    ///
    /// Panics if a part of the memory is not mapped.
    pub fn peek(&self, place: Location, length: usize) -> Vec<u8> {
        let mut data = vec![0; length];
        let state = self.state.borrow();
        state.read(place, &mut data).expect("peek of mapped memory");
        data
    }

    /// Writes memory for the guest, unrecorded, whatever the device's rights.
    ///
    /// # Panics
    ///
    /// Panics if a part of the memory is not mapped.
    pub fn poke(&self, place: Location, data: &[u8]) {
        let mut state = self.state.borrow_mut();
        state.write(place, data).expect("poke of mapped memory");
    }

    /// Returns the value of a shared word.
    pub fn word(&self, offset: usize) -> u32 {
        self.state.borrow().words[offset / 4]
    }

    /// Stores a shared word for the guest.
    pub fn set_word(&self, offset: usize, value: u32) {
        self.state.borrow_mut().words[offset / 4] = value;
    }

    /// Writes to the shared pages for the guest, in whole words.
    pub fn set_shared(&self, offset: usize, data: &[u8]) {
        for (place, word) in (offset..).step_by(4).zip(data.chunks_exact(4)) {
            self.set_word(place, u32::from_le_bytes(word.try_into().expect("4 bytes")));
        }
    }

    /// Runs `script` as the guest before each load, store and fence of the device from now on.
    pub fn interleave(&self, script: impl FnMut(&Self) + 'static) {
        *self.script.borrow_mut() = Some(Box::new(script));
    }

    /// Records the device's accesses from now on.
    pub fn start_recording(&self) {
        self.state.borrow_mut().record = Some(Vec::new());
    }

    /// Takes the accesses that were recorded since the last call. Recording goes on.
    pub fn take_record(&self) -> Vec<Touch> {
        let mut state = self.state.borrow_mut();
        state
            .record
            .as_mut()
            .map(std::mem::take)
            .unwrap_or_default()
    }

    /// Lets this many accesses of the device succeed, and those after them fail.
    pub fn fail_after(&self, accesses: u64) {
        self.state.borrow_mut().working = Some(accesses);
    }

    /// Loses a byte as the file behind memory may: it counts as reachable, and each copy of it fails.
    pub fn lose(&self, address: DmaAddress) {
        self.state.borrow_mut().lost = Some(address);
    }

    /// Sets the clock.
    pub fn set_time(&self, now: u64) {
        self.state.borrow_mut().now = now;
    }

    /// Returns all guest memory, by address, to compare.
    pub fn snapshot(&self) -> Vec<(DmaAddress, Vec<u8>)> {
        let state = self.state.borrow();
        let ranges = state.ranges.iter();
        ranges
            .map(|(&at, range)| (at, range.bytes.clone()))
            .collect()
    }
}

impl FakeHost {
    /// Runs the guest's script, if there is one.
    fn run_script(&self) {
        // Taken out while it runs: its own accesses must not run it again.
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

    fn read(&self, from: Location, data: &mut [u8]) -> Result<(), Unreachable> {
        let mut state = self.state.borrow_mut();
        // Before anything is copied: a read fails without effect.
        state.allow(from, data.len() as u64, false)?;
        state.keep(from, data.len() as u64)?;
        state.spend()?;
        state.record(from, data.len(), false);
        state.read(from, data)
    }

    fn write(&self, to: Location, data: &[u8]) -> Result<(), Unreachable> {
        let mut state = self.state.borrow_mut();
        state.allow(to, data.len() as u64, true)?;
        state.keep(to, data.len() as u64)?;
        state.spend()?;
        state.record(to, data.len(), true);
        state.write(to, data)
    }

    fn copy(&self, from: Location, to: Location, length: usize) -> Result<(), Unreachable> {
        let mut state = self.state.borrow_mut();
        state.allow(from, length as u64, false)?;
        state.allow(to, length as u64, true)?;
        state.keep(from, length as u64)?;
        state.keep(to, length as u64)?;
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

    /// Does nothing but run the script: accesses take effect at once and in order.
    fn fence(&self) {
        self.run_script();
    }
}

impl State {
    /// Fails if the device may not make this access.
    fn allow(&self, place: Location, length: u64, write: bool) -> Result<(), Unreachable> {
        if let Location::Guest(address) = place
            && self.unreachable(address, length, write).is_some()
        {
            return Err(Unreachable);
        }
        Ok(())
    }

    /// Fails if one of these bytes is lost.
    fn keep(&self, place: Location, length: u64) -> Result<(), Unreachable> {
        match (place, self.lost) {
            (Location::Guest(address), Some(lost))
                if (address..address.saturating_add(length)).contains(&lost) =>
            {
                Err(Unreachable)
            }
            _ => Ok(()),
        }
    }

    /// Counts an access. Fails if the test wants this one to fail.
    fn spend(&mut self) -> Result<(), Unreachable> {
        if let Some(working) = &mut self.working {
            *working = working.checked_sub(1).ok_or(Unreachable)?;
        }
        Ok(())
    }

    /// Records an access, if a test asked for it.
    fn record(&mut self, place: Location, length: usize, write: bool) {
        if let Some(record) = &mut self.record {
            let length = length as u64;
            record.push(Touch {
                place,
                length,
                write,
            });
        }
    }

    /// Returns the first of `length` bytes at `address` that is not mapped, or not writable if
    /// `write` is set.
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
                // The range ends at 2^64: no address follows.
                None if left > 0 => return Some(at),
                None => {}
            }
        }
        None
    }

    /// Returns the range that holds `address`, and the place in it.
    fn range(&self, address: DmaAddress) -> Option<(&Range, usize)> {
        let (&start, range) = self.ranges.range(..=address).next_back()?;
        let inside = usize::try_from(address - start).ok()?;
        (inside < range.bytes.len()).then_some((range, inside))
    }

    /// Copies bytes out of memory. Fails at the first that is not mapped.
    fn read(&self, from: Location, data: &mut [u8]) -> Result<(), Unreachable> {
        match from {
            Location::DeviceMemory(offset) => {
                let offset = offset as usize;
                data.copy_from_slice(&self.device_memory[offset..offset + data.len()]);
            }
            Location::Guest(address) => {
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

    /// Copies bytes to memory, whatever its rights. Fails at the first that is not mapped.
    fn write(&mut self, to: Location, data: &[u8]) -> Result<(), Unreachable> {
        match to {
            Location::DeviceMemory(offset) => {
                let offset = offset as usize;
                self.device_memory[offset..offset + data.len()].copy_from_slice(data);
            }
            Location::Guest(address) => {
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

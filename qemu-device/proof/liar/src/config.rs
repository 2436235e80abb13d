// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Configuration space of a lying device: its lies there, and the orders of the guest.

use std::os::fd::OwnedFd;

use ringbar_endpoint::config_space::{self, COMMAND};
use ringbar_endpoint::Worker;
use ringbar_lies::{Lie, IDENT, ORDER, SEED};
use ringbar_vfio_user::device::{Device, DmaMap, DmaRange, Interrupts, Region, SetInterrupts};
use ringbar_vfio_user::{Errno, Refusal};

use crate::liar::Liar;
use crate::state::State;

/// Bytes of the registers for vendor and device.
const IDS: u64 = 4;

/// A device at work, as its client sees it.
pub struct Lying {
    worker: Worker<Liar>,
    state: State,
}

impl Lying {
    /// Puts the lies about configuration space before a device.
    pub fn new(worker: Worker<Liar>, state: State) -> Self {
        Self { worker, state }
    }

    /// Takes an order, if these bytes are one.
    fn take_order(&self, offset: u64, data: &[u8]) {
        let Ok(number) = data.try_into().map(u32::from_le_bytes) else {
            return;
        };
        if offset == u64::from(ORDER) {
            self.worker
                .with(|device| device.run(|liar, bus| liar.obey(number, bus)));
        } else if offset == u64::from(SEED) {
            self.state.lock().seed(u64::from(number));
        }
    }

    /// Changes the answer to a read of configuration space.
    fn spoil(&self, offset: u64, data: &mut [u8]) {
        let mut state = self.state.lock();
        if state.tells(Lie::ConfigOnes) {
            data.fill(u8::MAX);
        }
        if state.tells(Lie::ConfigRandom) {
            state.random.fill(data);
        }
        if offset < IDS && state.tells(Lie::IdsChange) {
            // Not all ones, which means that there is no device.
            data.iter_mut().for_each(|byte| *byte ^= 0x01);
        }
    }
}

/// Answers a read of the word at `at` with `value`. Returns false if the read is another one.
fn answer(offset: u64, data: &mut [u8], at: u16, value: u32) -> bool {
    let is_asked = offset == u64::from(at) && data.len() == size_of::<u32>();
    if is_asked {
        data.copy_from_slice(&value.to_le_bytes());
    }
    is_asked
}

impl Device for Lying {
    type Fd = OwnedFd;

    fn regions(&self) -> &[Region<OwnedFd>] {
        self.worker.regions()
    }

    fn interrupts(&self) -> &[Interrupts] {
        self.worker.interrupts()
    }

    fn read(&mut self, region: u32, offset: u64, data: &mut [u8]) -> Result<(), Errno> {
        self.worker.read(region, offset, data)?;
        if region == config_space::REGION {
            let told = self.state.lock().told();
            // Orders and their count are true whatever else is a lie: a test relies on them.
            if !answer(offset, data, ORDER, told) && !answer(offset, data, SEED, IDENT) {
                self.spoil(offset, data);
            }
        }
        Ok(())
    }

    fn write(&mut self, region: u32, offset: u64, data: &[u8]) -> Result<(), Errno> {
        if region == config_space::REGION {
            self.take_order(offset, data);
            let is_command = offset == COMMAND as u64;
            if is_command && self.state.lock().tells(Lie::CommandIgnored) {
                return Ok(());
            }
        }
        self.worker.write(region, offset, data)
    }

    fn dma_map(&mut self, map: DmaMap<OwnedFd>) -> Result<(), Refusal> {
        self.worker.dma_map(map)
    }

    fn dma_unmap(&mut self, range: DmaRange) -> Result<(), Refusal> {
        self.worker.dma_unmap(range)
    }

    fn set_interrupts(&mut self, request: SetInterrupts<OwnedFd>) -> Result<(), Errno> {
        self.worker.set_interrupts(request)
    }

    fn reset(&mut self) -> Result<(), Errno> {
        self.worker.reset()
    }
}

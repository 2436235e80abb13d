// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A PCI device that adds up bytes of guest memory.
//!
//! BAR 0, registers of 32 bits, little-endian:
//!
//! | offset | register | |
//! |---|---|---|
//! | 0x00 | ADDRESS_LOW | DMA address of the bytes |
//! | 0x04 | ADDRESS_HIGH | |
//! | 0x08 | LENGTH | how many, at most 1 MiB |
//! | 0x0c | START | a write adds them up, then raises vector 0 |
//! | 0x10 | SUM | of the last run, modulo 2^32 |
//! | 0x14 | STATUS | of the last run: 0 none yet, 1 done, 2 memory not reachable, 3 too long |
//!
//! Accesses of another width or at another offset do nothing and read 0.

#![forbid(unsafe_code)]

use ringbar_endpoint::config_space::{Identity, Messages};
use ringbar_endpoint::function::{Bus, Function};
use ringbar_endpoint::shape::{Backing, BarShape, Shape};
use ringbar_endpoint::{Endpoint, Error};

const ADDRESS_LOW: u64 = 0x00;
const ADDRESS_HIGH: u64 = 0x04;
const LENGTH: u64 = 0x08;
const START: u64 = 0x0c;
const SUM: u64 = 0x10;
const STATUS: u64 = 0x14;

/// Offset and name of each register of BAR 0. A trace of the guest's accesses has these names.
pub const REGISTERS: &[(u64, &str)] = &[
    (ADDRESS_LOW, "ADDRESS_LOW"),
    (ADDRESS_HIGH, "ADDRESS_HIGH"),
    (LENGTH, "LENGTH"),
    (START, "START"),
    (SUM, "SUM"),
    (STATUS, "STATUS"),
];

/// Bytes of BAR 0. A kernel maps it by pages, of which the largest on x86 and arm64 have 64 KiB.
const REGISTERS_SIZE: u64 = 64 << 10;
/// Most bytes of one run: the client waits for the whole of it.
const MAX_LENGTH: u32 = 1 << 20;
/// Bytes that are copied at once.
const PIECE: usize = 4096;

/// The registers; all 0 after power-on.
#[derive(Debug, Default)]
pub struct Sum {
    address: u64,
    length: u32,
    sum: u32,
    status: u32,
}

impl Sum {
    /// The device, to be served.
    pub fn endpoint() -> Result<Endpoint<Self>, Error> {
        let shape = Shape {
            identity: Identity {
                vendor: 0x1af4,
                device: 0x10f1,
                // Processing accelerator.
                class: 0x12_0000,
                revision: 0,
            },
            bars: vec![BarShape {
                index: 0,
                backing: Backing::Trapped(REGISTERS_SIZE),
            }],
            messages: Messages::Msi { vectors: 1 },
        };
        Endpoint::new(Self::default(), shape)
    }

    fn run(&mut self, bus: &mut Bus) {
        self.sum = 0;
        self.status = if self.length > MAX_LENGTH {
            3
        } else if let Some(sum) = self.add_up(bus) {
            self.sum = sum;
            1
        } else {
            2
        };
        bus.interrupt(0);
    }

    /// `None` if not all of the memory can be reached.
    fn add_up(&self, bus: &Bus) -> Option<u32> {
        let mut bytes = [0; PIECE];
        let mut left = usize::try_from(self.length).ok()?;
        let mut address = self.address;
        let mut sum = 0_u32;
        while left > 0 {
            let piece = bytes.get_mut(..left.min(PIECE))?;
            bus.read(address, piece).ok()?;
            sum = piece
                .iter()
                .fold(sum, |sum, &byte| sum.wrapping_add(byte.into()));
            address = address.wrapping_add(piece.len() as u64);
            left = left.saturating_sub(piece.len());
        }
        Some(sum)
    }
}

impl Function for Sum {
    fn read(&mut self, _bar: u32, offset: u64, data: &mut [u8], _bus: &mut Bus) {
        let value = match offset {
            ADDRESS_LOW => self.address as u32,
            ADDRESS_HIGH => (self.address >> 32) as u32,
            LENGTH => self.length,
            SUM => self.sum,
            STATUS => self.status,
            _ => 0,
        };
        if let Ok(word) = <&mut [u8; 4]>::try_from(data) {
            *word = value.to_le_bytes();
        }
    }

    fn write(&mut self, _bar: u32, offset: u64, data: &[u8], bus: &mut Bus) {
        let Ok(word) = data.try_into().map(u32::from_le_bytes) else {
            return;
        };
        let word_64 = u64::from(word);
        match offset {
            ADDRESS_LOW => self.address = self.address >> 32 << 32 | word_64,
            ADDRESS_HIGH => self.address = self.address << 32 >> 32 | word_64 << 32,
            LENGTH => self.length = word,
            START => self.run(bus),
            _ => {}
        }
    }

    fn reset(&mut self, _bus: &mut Bus) {
        *self = Self::default();
    }
}

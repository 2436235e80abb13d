// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What a device does wrong on purpose, to see which tests notice. Only with the feature `sabotage`.

use crate::Place;
use std::sync::OnceLock;

/// What it is for the whole process, which serves one device.
static CHOSEN: OnceLock<Sabotage> = OnceLock::new();

/// What is done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// A copy from the guest to the device memory leaves its last byte out.
    OffByOne,
    /// Nothing is written to the windows in guest memory, and completions say that all was.
    LostDma,
    /// The server says that it has written `IRQ_MASK`, and has not.
    DroppedWrite,
}

impl Sabotage {
    /// All of them by name.
    pub const ALL: &'static [(&'static str, Self)] = &[
        ("off-by-one", Self::OffByOne),
        ("lost-dma", Self::LostDma),
        ("dropped-write", Self::DroppedWrite),
    ];

    /// Chooses one by name, once for all. `None` if no sabotage has that name.
    pub fn choose(name: &str) -> Option<Self> {
        let (_, sabotage) = Self::ALL.iter().find(|(known, _)| *known == name)?;
        Some(*CHOSEN.get_or_init(|| *sabotage))
    }

    /// Whether it was chosen.
    pub fn is_on(self) -> bool {
        CHOSEN.get() == Some(&self)
    }
}

/// How many of `length` bytes get to `to`. Those that the device makes itself come from nowhere.
pub(crate) fn bytes_to_write(from: Option<Place>, to: Place, length: u64) -> u64 {
    match (from, to) {
        (_, Place::Guest(_)) if Sabotage::LostDma.is_on() => 0,
        (Some(Place::Guest(_)), Place::DeviceMemory(_)) if Sabotage::OffByOne.is_on() => {
            length.saturating_sub(1)
        }
        _ => length,
    }
}

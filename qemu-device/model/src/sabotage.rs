// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Deliberate faults of the device, which show whether the tests notice them. Only with the feature
//! `sabotage`.

use crate::Location;
use std::sync::OnceLock;

/// The fault of the whole process, which serves one device.
static CHOSEN: OnceLock<Sabotage> = OnceLock::new();

/// A deliberate fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// A copy from the guest to the device memory leaves its last byte out.
    OffByOne,
    /// The device writes nothing to windows in guest memory, and completes as if it had.
    LostDma,
    /// The server answers a write of `IRQ_MASK` as done, and drops it.
    DroppedWrite,
    /// The server answers a read of `COUNTER` with another last byte than the device gave it.
    WrongByte,
}

impl Sabotage {
    /// All faults by name.
    pub const ALL: &'static [(&'static str, Self)] = &[
        ("off-by-one", Self::OffByOne),
        ("lost-dma", Self::LostDma),
        ("dropped-write", Self::DroppedWrite),
        ("wrong-byte", Self::WrongByte),
    ];

    /// Chooses a fault by name, once per process. Returns `None` if no fault has that name.
    pub fn choose(name: &str) -> Option<Self> {
        let (_, sabotage) = Self::ALL.iter().find(|(known, _)| *known == name)?;
        Some(*CHOSEN.get_or_init(|| *sabotage))
    }

    /// Checks whether this fault was chosen.
    pub fn is_on(self) -> bool {
        CHOSEN.get() == Some(&self)
    }
}

/// Returns how many of `length` bytes are written to `to`. Bytes that the device makes itself have
/// no `from`.
pub(crate) fn bytes_to_write(from: Option<Location>, to: Location, length: u64) -> u64 {
    match (from, to) {
        (_, Location::Guest(_)) if Sabotage::LostDma.is_on() => 0,
        (Some(Location::Guest(_)), Location::DeviceMemory(_)) if Sabotage::OffByOne.is_on() => {
            length.saturating_sub(1)
        }
        _ => length,
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The scene of all vectors: memories with known bytes, and windows on them.
//!
//! Vectors name windows by the numbers of this file, from 1 on in the order of [`windows`]. A path
//! has numbers of its own for them. Other numbers mean themselves.

use crate::check::{Opened, Target};
use crate::pattern_bytes;
use ringbar_spec::setup::MAX_WINDOWS;
use std::ops::Range;

/// Place of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backing {
    /// Memory of the guest.
    Guest,
    /// Memory of the device.
    Device,
}

/// A memory: its place and its size, in whole pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Its place.
    pub backing: Backing,
    /// Size in bytes.
    pub size: usize,
}

/// Makes a memory of the guest.
const fn guest(size: usize) -> Memory {
    Memory {
        backing: Backing::Guest,
        size,
    }
}

/// Makes a memory of the device.
const fn device(size: usize) -> Memory {
    Memory {
        backing: Backing::Device,
        size,
    }
}

/// Bytes of the memories that [`GUEST`] and [`DEVICE`] show.
pub const SIZE: usize = 64 << 10;
/// Bytes of the memories that [`BIG`] and [`BIG_DEVICE`] show.
pub const BIG_SIZE: usize = 256 << 10;
const SMALL: usize = 16 << 10;

/// All memories. Before each vector, a memory holds the pattern of its [`seed`].
pub const MEMORIES: [Memory; 9] = [
    guest(SIZE),
    device(SIZE),
    guest(SIZE),
    device(SMALL),
    guest(SMALL),
    guest(SMALL),
    guest(SMALL),
    guest(BIG_SIZE),
    device(BIG_SIZE),
];

/// Returns the seed of a memory's bytes before each vector.
pub const fn seed(memory: usize) -> u64 {
    0x5ce0_0000 + memory as u64
}

/// Returns the bytes of a memory before each vector.
pub fn initial(memory: usize) -> Vec<u8> {
    pattern_bytes(seed(memory), MEMORIES[memory].size)
}

/// A range of a memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Index in [`MEMORIES`].
    pub memory: usize,
    /// The bytes in it.
    pub range: Range<usize>,
}

/// Makes a range of a memory.
fn part(memory: usize, range: Range<usize>) -> Part {
    Part { memory, range }
}

/// Rights of descriptors to a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// Read it.
    Read,
    /// Write it.
    Write,
    /// Both rights.
    ReadWrite,
}

/// All of a memory of the guest.
pub const GUEST: u16 = 1;
/// All of a memory of the device.
pub const DEVICE: u16 = 2;
/// Four pieces of a memory of the guest, at odd addresses, of odd lengths, not in order.
pub const SCATTERED: u16 = 3;
/// An odd piece of a memory of the device.
pub const DEVICE_PART: u16 = 4;
/// Guest memory that may only be read.
pub const READ_ONLY: u16 = 5;
/// Guest memory that may only be written.
pub const WRITE_ONLY: u16 = 6;
/// As many segments as the kernel driver takes, of 1 to 7 bytes each, from the last in memory to
/// the first.
pub const CRUMBS: u16 = 7;
/// A single byte; its memory is that of [`CRUMBS`].
pub const SINGLE: u16 = 8;
/// All of a large memory of the guest.
pub const BIG: u16 = 9;
/// All of a large memory of the device.
pub const BIG_DEVICE: u16 = 10;
/// The memory of [`BIG`] again and again, up to the largest length of a descriptor. May only be
/// read.
pub const WIDE: u16 = 11;
/// A window that was closed.
pub const CLOSED: u16 = 12;
/// A window of another protection domain.
pub const FOREIGN: u16 = 13;

/// A number that no path gives to a window, as it is the largest that exists (data sheet 13).
pub const NEVER_OPENED: u16 = MAX_WINDOWS;

/// State of a window when vectors run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Open.
    Open,
    /// Opened, then closed.
    Closed,
    /// Open, but in another domain, on memory of its own.
    Foreign,
}

/// A window of the scene.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its number in vectors.
    pub number: u16,
    /// Its memory, in this order.
    pub parts: Vec<Part>,
    /// Rights of descriptors.
    pub rights: Rights,
    /// Its state when vectors run.
    pub state: State,
}

impl Window {
    /// Returns its length in bytes.
    pub fn length(&self) -> u64 {
        self.parts.iter().map(|it| it.range.len() as u64).sum()
    }

    /// Returns the window as the checks of the data sheet see it.
    pub fn target(&self) -> Target {
        let open = (self.state == State::Open).then(|| Opened {
            length: self.length(),
            readable: self.rights != Rights::Write,
            writable: self.rights != Rights::Read,
        });
        Target {
            window: self.number,
            open,
        }
    }
}

/// Returns all windows, by number from 1 on.
pub fn windows() -> Vec<Window> {
    use Rights::{Read, ReadWrite, Write};
    let scattered = vec![
        part(2, 9000..13_097),
        part(2, 101..2100),
        part(2, 2500..2501),
        part(2, 20_479..24_576),
    ];
    // 64 segments of different lengths, each before the one that came before: no two can be merged.
    let crumbs = (0..64).map(|n| {
        let start = SMALL - 200 * (n + 1);
        part(6, start..start + 1 + n % 7)
    });
    let wide = (0..64).map(|_| part(7, 0..BIG_SIZE)).collect();
    let shapes = [
        (GUEST, vec![part(0, 0..SIZE)], ReadWrite),
        (DEVICE, vec![part(1, 0..SIZE)], ReadWrite),
        (SCATTERED, scattered, ReadWrite),
        (DEVICE_PART, vec![part(3, 4173..12_099)], ReadWrite),
        (READ_ONLY, vec![part(4, 0..SMALL)], Read),
        (WRITE_ONLY, vec![part(5, 0..SMALL)], Write),
        (CRUMBS, crumbs.collect(), ReadWrite),
        (SINGLE, vec![part(6, 1234..1235)], ReadWrite),
        (BIG, vec![part(7, 0..BIG_SIZE)], ReadWrite),
        (BIG_DEVICE, vec![part(8, 0..BIG_SIZE)], ReadWrite),
        (WIDE, wide, Read),
        (CLOSED, vec![part(0, 0..SIZE)], ReadWrite),
        (FOREIGN, vec![part(0, 0..SMALL)], ReadWrite),
    ];
    let state = |number| match number {
        CLOSED => State::Closed,
        FOREIGN => State::Foreign,
        _ => State::Open,
    };
    shapes
        .into_iter()
        .map(|(number, parts, rights)| Window {
            number,
            parts,
            rights,
            state: state(number),
        })
        .collect()
}

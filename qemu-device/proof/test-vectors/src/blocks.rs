// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Set-up blocks of windows (data sheet 5), for paths without a kernel that makes them.

use crate::scene::Rights;
use ringbar_spec::setup::{Segment, WindowKind, WindowSetup, RIGHT_READ, RIGHT_WRITE};

/// Place of the bytes of a window.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// Guest memory, from a DMA address on.
    Guest(u64),
    /// Device memory, from an offset on.
    Device(u64),
}

/// Makes the block and the list of a window of a protection domain, without its number. The window
/// shows places of these lengths: one of device memory, or any number of guest memory.
///
/// # Panics
///
/// Panics if device memory is not the only place: no kind of window mixes the two (data sheet 5).
pub fn window(domain: u32, rights: Rights, places: &[(Place, u64)]) -> (WindowSetup, Vec<Segment>) {
    let setup = WindowSetup {
        domain,
        rights: match rights {
            Rights::Read => RIGHT_READ,
            Rights::Write => RIGHT_WRITE,
            Rights::ReadWrite => RIGHT_READ | RIGHT_WRITE,
        },
        length: places.iter().map(|(_, length)| length).sum(),
        ..WindowSetup::default()
    };
    if let [(Place::Device(offset), _)] = *places {
        let setup = WindowSetup {
            kind: WindowKind::DEVICE_MEMORY.0,
            offset,
            ..setup
        };
        return (setup, Vec::new());
    }
    let segments: Vec<_> = places
        .iter()
        .map(|&(place, length)| match place {
            Place::Guest(address) => Segment { address, length },
            Place::Device(_) => panic!("device memory is a window by itself"),
        })
        .collect();
    let setup = WindowSetup {
        kind: WindowKind::SEGMENTS.0,
        segments: segments.len() as u32,
        ..setup
    };
    (setup, segments)
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Set-up blocks of windows (data sheet, section 5), for paths that have no kernel to make them.

use crate::scene::Rights;
use ringbar_spec::setup::{Segment, WindowKind, WindowSetup, RIGHT_READ, RIGHT_WRITE};

/// Bytes that a window can show.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// Guest memory, from a DMA address on.
    Guest(u64),
    /// Device memory, from an offset on.
    Device(u64),
}

/// The block and the list of a window of a protection domain, without its number. It shows places of
/// these lengths: one of the device memory, or any of guest memory.
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

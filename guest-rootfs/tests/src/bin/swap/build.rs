// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The build of the model that serves the device.

use ringbar_lies::{IDENT, SEED};
use ringbar_tests::{within, PciFunction, PATIENCE};
use std::os::unix::fs::FileExt;

/// A build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Build {
    /// `ringbar-server`.
    Usual,
    /// `ringbar-liar`, which has two more registers in configuration space.
    Liar,
}

impl Build {
    /// Returns the build of the present server. Waits for one if there is none.
    #[track_caller]
    pub(crate) fn of_server() -> Self {
        within("a server answers", PATIENCE, look)
    }
}

/// Returns the build, unless there is no server.
fn look() -> Option<Build> {
    let mut bytes = [0; 4];
    let function = PciFunction::of(0);
    let read = function.config().read_exact_at(&mut bytes, SEED.into());
    read.expect("configuration space can be read");
    match u32::from_le_bytes(bytes) {
        IDENT => Some(Build::Liar),
        0 => Some(Build::Usual),
        u32::MAX => None,
        other => panic!("{other:#x} is of no known build"),
    }
}

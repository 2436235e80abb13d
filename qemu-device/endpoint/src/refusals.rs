// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A log that a client cannot flood.

use std::fmt;

use log::Level;

/// So many are logged one by one.
const IN_FULL: u64 = 16;

/// Counts what a client did wrong, and logs the first ones and then ever fewer.
#[derive(Debug, Default)]
pub(crate) struct Refusals(u64);

impl Refusals {
    /// Logs one more, or not.
    pub(crate) fn note(&mut self, level: Level, what: fmt::Arguments<'_>) {
        self.0 = self.0.saturating_add(1);
        if self.0 <= IN_FULL {
            log::log!(level, "{what}");
        } else if self.0.is_power_of_two() {
            log::log!(level, "{what} (refusal {} of this client)", self.0);
        }
    }
}

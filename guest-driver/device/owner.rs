// SPDX-License-Identifier: GPL-2.0-only

//! The owner of queues, windows and memory, as the device and the limits know it.

use super::limits::{
    Amount,
    Charge,
    User, //
};
use kernel::prelude::*;

/// The owner of queues, windows and memory: an open file has one.
pub(crate) struct Owner {
    user: User,
    domain: u32,
}

impl Owner {
    /// Returns the owner for whom `user` pays, in a protection domain that no other owner has.
    pub(crate) fn new(user: User, domain: u32) -> Self {
        Self { user, domain }
    }

    /// Returns the protection domain of its queues and windows.
    pub(crate) fn domain(&self) -> u32 {
        self.domain
    }

    /// Charges the user.
    ///
    /// # Errors
    ///
    /// `ENOSPC` if that goes over a limit of the user or of the device; `ENOMEM`.
    pub(crate) fn charge(&self, amount: Amount) -> Result<Charge> {
        self.user.charge(amount)
    }
}

/// Returns why a region is refused that is not this owner's: `ENXIO` unless it `exists`.
pub(crate) fn denied(exists: bool) -> Error {
    if exists {
        EPERM
    } else {
        ENXIO
    }
}

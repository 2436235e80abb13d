// SPDX-License-Identifier: GPL-2.0-only

//! The part of a device that its open files share.

use super::{
    Files,
    OpenFile, //
};
use crate::{
    device::{
        limits::Accounts,
        recovery::Recovery,
        Gate, //
    },
    queue::wakeups::Wakeups, //
};
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    },
};

/// The part of a device that its open files share. Outlives the binding of driver and device.
pub(crate) struct Shared {
    /// Queues of the files.
    pub(crate) wakeups: Arc<Wakeups>,
    /// Looks at a device that is lost.
    pub(crate) recovery: Arc<Recovery>,
    /// The share of the device that each user has.
    pub(crate) accounts: Arc<Accounts>,
}

/// Protection domains are numbered through, and come round again after 2^32 opens.
static NEXT_DOMAIN: Atomic<u32> = Atomic::new(1);

/// Returns the files of a device that is not there yet.
pub(crate) fn no_files() -> Result<Arc<Files>> {
    let gate = Arc::pin_init(Gate::new(), GFP_KERNEL)?;
    let shared = Shared {
        wakeups: Wakeups::new(gate.clone())?,
        recovery: Recovery::new(gate.clone())?,
        accounts: Accounts::new()?,
    };
    Files::behind(gate, shared)
}

/// Returns a protection domain that none of the device's open files has.
pub(super) fn free_domain(files: &[Arc<OpenFile>]) -> u32 {
    loop {
        let domain = NEXT_DOMAIN.fetch_add(1, Relaxed);
        if !files.iter().any(|file| file.own().domain() == domain) {
            return domain;
        }
    }
}

// SPDX-License-Identifier: GPL-2.0-only

//! Looks now and then whether a lost device answers again, and has the driver use it again then.
//!
//! A look is one access. It takes as long as QEMU waits for a server that is stopped, and the whole
//! machine stands still meanwhile. So the longer a look takes, the rarer looks are. A device that
//! answers looks, but not what comes after them, would hold the machine up again and again. So the
//! more often the same device has come back, the later it is looked at.

use super::{
    delayed,
    registers::OnLoss,
    Device,
    Gate, //
};
use crate::mapping::series::millis_ceil;
use kernel::{
    new_delayed_work,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    },
    time::{
        Delta,
        Instant,
        Monotonic,
        Msecs, //
    },
    workqueue::{
        impl_has_delayed_work,
        DelayedWork,
        WorkItem, //
    },
};

/// Shortest time between two looks.
const PAUSE: Msecs = 250;
/// Longest time between two looks.
const LONGEST_PAUSE: Msecs = 5 * 60 * 1000;
/// The pause after a look is at least as many times as long as the look took.
const SHARE: i64 = 20;
/// The first pause after a loss is so many times as long, for each time that the same device has come
/// back before.
const GROWTH: i64 = 16;

/// The looks at a device that is lost. Outlives the binding of driver and device.
#[pin_data]
pub(crate) struct Recovery {
    gate: Arc<Gate>,
    /// The driver leaves the device: no look is made any more.
    over: Atomic<bool>,
    #[pin]
    looks: DelayedWork<Self>,
}

impl_has_delayed_work! {
    impl HasDelayedWork<Self> for Recovery { self.looks }
}

impl WorkItem for Recovery {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        if delayed::machine_sleeps() {
            return delayed::start(this, PAUSE);
        }
        let begun = Instant::<Monotonic>::now();
        let look = |device: &Device<'_>| Ok(device.look_again());
        if this.gate.with(look) == Ok(true) {
            delayed::start(this, pause(begun.elapsed(), PAUSE.into()));
        }
    }
}

impl Recovery {
    /// Returns the looks at a device that is not there yet, behind this gate.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(gate: Arc<Gate>) -> Result<Arc<Self>> {
        Arc::pin_init(
            try_pin_init!(Self {
                gate,
                over: Atomic::new(false),
                looks <- new_delayed_work!("ringbar recovery"),
            }),
            GFP_KERNEL,
        )
    }

    /// Ends the looks, now that the gate is closed. May sleep.
    pub(crate) fn end(self: &Arc<Self>) {
        // The end of all DMA comes after this, and may find that the device is lost.
        self.over.store(true, Relaxed);
        delayed::stop(self);
    }
}

impl OnLoss for Arc<Recovery> {
    fn lost(&self, took: Delta, returns: u32) {
        if !self.over.load(Relaxed) {
            let least = GROWTH.saturating_pow(returns).saturating_mul(PAUSE.into());
            delayed::start(self.clone(), pause(took, least));
        }
    }
}

/// Returns the pause before a look, after an access that took so long, of at least so many
/// milliseconds.
fn pause(took: Delta, least: i64) -> Msecs {
    let pause = millis_ceil(took).saturating_mul(SHARE).max(least);
    pause.clamp(PAUSE.into(), LONGEST_PAUSE.into()) as Msecs
}

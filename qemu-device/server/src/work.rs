// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! When the device works, polls and sleeps.

use std::hint;
use std::time::Instant;

use ringbar_endpoint::function::{Bus, Next, Work};

use crate::ringbar::Ringbar;

/// Number of polling passes before the lock is given back. Meanwhile a request waits for the lock,
/// and QEMU's threads for a processor, of which there are fewer than threads.
const LOOKS: u32 = 32;

impl Work for Ringbar {
    fn work(&mut self, bus: &mut Bus) -> Next {
        if self.has_steps() {
            // One step per call, as reset, window close and DMA_UNMAP wait until it is over.
            self.step(bus);
            // Queues that are awake get no kick, so their doorbells are looked at between the steps
            // of other queues (data sheet 6).
            self.poll(bus);
            // The polling time of the next work begins anew.
            self.idle_since = None;
            return Next::Now;
        }
        if self.is_awake() {
            return self.look(bus);
        }
        // All queues sleep. Only a request, or a held interrupt that becomes due, gives work.
        self.idle_since = None;
        match self.deadline() {
            None => Next::Wait,
            Some(deadline) if deadline > Instant::now() => Next::At(deadline),
            Some(_) => {
                self.poll(bus);
                Next::Now
            }
        }
    }

    fn has_work(&self) -> bool {
        self.has_steps() || self.is_awake() || self.deadline().is_some()
    }
}

impl Ringbar {
    /// Polls the doorbells for a moment. Puts the queues to sleep after the polling time without
    /// work.
    fn look(&mut self, bus: &mut Bus) -> Next {
        let found = (0..LOOKS).any(|_| {
            hint::spin_loop();
            self.poll(bus);
            self.has_steps()
        });
        if found {
            return Next::Now;
        }
        match self.idle_since {
            // The clock starts at the first moment without work. Work in between sets it back.
            None => self.idle_since = Some(Instant::now()),
            Some(since) if since.elapsed() >= self.poll_time => self.sleep(bus),
            Some(_) => {}
        }
        Next::Yield
    }
}

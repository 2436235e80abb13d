// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! When the device works, polls and sleeps.

use std::hint;
use std::time::Instant;

use ringbar_endpoint::function::{Bus, Next, Work};

use crate::host::Outside;
use crate::ringbar::Ringbar;

/// Polls before the lock is given back. Meanwhile requests wait for the lock. QEMU's threads wait
/// for a processor, because a small machine has fewer processors than threads.
const POLLS: u32 = 32;

impl<O: Outside> Work for Ringbar<O> {
    fn work(&mut self, bus: &mut Bus) -> Next {
        if self.has_steps() {
            // One step per call, as reset, window close and DMA_UNMAP wait until it is over.
            self.step(bus);
            // Queues that are awake get no kick, so their doorbells are looked at between the steps
            // of other queues (data sheet 6).
            self.poll(bus);
            // There was work, so the idle time starts from zero.
            self.idle_since = None;
            return Next::Now;
        }
        if self.is_awake() {
            return self.poll_for_a_moment(bus);
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

    // True also if a queue only polls, or only a held interrupt is left.
    fn has_work(&self) -> bool {
        self.has_steps() || self.is_awake() || self.deadline().is_some()
    }
}

impl<O: Outside> Ringbar<O> {
    /// Polls the doorbells for a moment. Puts the queues to sleep after the polling time without
    /// work.
    fn poll_for_a_moment(&mut self, bus: &mut Bus) -> Next {
        let found = (0..POLLS).any(|_| {
            hint::spin_loop();
            self.poll(bus);
            self.has_steps()
        });
        if found {
            return Next::Now;
        }
        match self.idle_since {
            // The clock starts at the first moment without work. Work in between clears it.
            None => self.idle_since = Some(Instant::now()),
            Some(since) if since.elapsed() >= self.poll_time => self.sleep(bus),
            Some(_) => {}
        }
        Next::Yield
    }
}

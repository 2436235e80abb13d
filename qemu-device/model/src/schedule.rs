// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The schedule: queues that have something to do, queues that are polled, and whose turn is next.

use ringbar_spec::layout::MAX_QUEUES;

/// The queues that are awake or have something to do.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Schedule {
    /// Bit n: queue n has something to do.
    pending: u64,
    /// Bit n: queue n is awake, so its doorbell is to be polled.
    awake: u64,
    /// Queue at which the search for the next one begins.
    next: u32,
}
const _: () = assert!(MAX_QUEUES <= u64::BITS as usize);

impl Schedule {
    /// Checks whether a queue has something to do.
    #[inline]
    pub(crate) fn has_work(self) -> bool {
        self.pending != 0
    }

    /// Checks whether a queue is awake.
    #[inline]
    pub(crate) fn is_awake(self) -> bool {
        self.awake != 0
    }

    /// Notes that the queue has something to do, until [`idle`](Self::idle) is called.
    #[inline]
    pub(crate) fn add(&mut self, queue: usize) {
        self.pending |= bit(queue);
    }

    /// Notes that the queue has nothing to do for now.
    #[inline]
    pub(crate) fn idle(&mut self, queue: usize) {
        self.pending &= !bit(queue);
    }

    /// Notes that the queue is awake. Returns whether it slept.
    #[inline]
    pub(crate) fn wake(&mut self, queue: usize) -> bool {
        let slept = self.awake & bit(queue) == 0;
        self.awake |= bit(queue);
        slept
    }

    /// Notes that the queue sleeps.
    #[inline]
    pub(crate) fn sleep(&mut self, queue: usize) {
        self.awake &= !bit(queue);
    }

    /// Forgets a queue that does not run any more.
    #[inline]
    pub(crate) fn remove(&mut self, queue: usize) {
        self.idle(queue);
        self.sleep(queue);
    }

    /// Returns the queues that are awake, and whether each has something to do.
    #[inline]
    pub(crate) fn awake(self) -> impl Iterator<Item = (usize, bool)> {
        let mut left = self.awake;
        std::iter::from_fn(move || {
            let queue = left.trailing_zeros();
            left &= left.checked_sub(1)?;
            Some((queue as usize, self.pending >> queue & 1 != 0))
        })
    }

    /// Returns the next queue with something to do. Queues have turns in the order of their numbers
    /// (data sheet 6), so that one with much work does not keep the others from theirs.
    #[inline]
    pub(crate) fn pick(&mut self) -> Option<usize> {
        // `next` is 64 behind the last queue, and a shift by 64 would overflow.
        let from_next = self.pending & u64::MAX.checked_shl(self.next).unwrap_or(0);
        let candidates = if from_next == 0 {
            self.pending
        } else {
            from_next
        };
        let queue = candidates.trailing_zeros();
        if queue == u64::BITS {
            return None;
        }
        self.next = queue + 1;
        Some(queue as usize)
    }
}

/// Returns the bit of a queue; no bit for a number that the layout does not have.
#[inline]
fn bit(queue: usize) -> u64 {
    u32::try_from(queue)
        .ok()
        .and_then(|queue| 1u64.checked_shl(queue))
        .unwrap_or(0)
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Whose turn it is.

use ringbar_spec::layout::MAX_QUEUES;

/// Queues that have something to do, in turn.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Schedule {
    /// Bit n: queue n has something to do.
    pending: u64,
    /// Queue to look at first.
    next: u32,
}
const _: () = assert!(MAX_QUEUES <= u64::BITS as usize);

impl Schedule {
    pub(crate) fn is_empty(self) -> bool {
        self.pending == 0
    }

    pub(crate) fn add(&mut self, queue: usize) {
        self.pending |= bit(queue);
    }

    pub(crate) fn remove(&mut self, queue: usize) {
        self.pending &= !bit(queue);
    }

    /// The next queue with something to do. It stays in until it is removed.
    pub(crate) fn pick(&mut self) -> Option<usize> {
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

fn bit(queue: usize) -> u64 {
    u32::try_from(queue)
        .ok()
        .and_then(|queue| 1u64.checked_shl(queue))
        .unwrap_or(0)
}

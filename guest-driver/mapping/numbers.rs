// SPDX-License-Identifier: GPL-2.0-only

//! Numbers for regions that files make and give back: indices of mmap offsets.
//!
//! The kernel finds mappings by device and offset, whichever file they are of. So a region that can
//! be revoked alone must not have the offset of another file's.

use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    },
};

const BITS: usize = u64::BITS as usize;

/// The numbers of the regions of a device. Each belongs to one region at a time, and is used again
/// as late as possible: the old mapping of a region that was given back would show the new one
/// when one of its pages is touched.
#[pin_data]
pub(crate) struct Numbers {
    /// Taken inside `mmap_lock` and a file's objects. No lock is taken inside it.
    #[pin]
    state: Mutex<State>,
}

struct State {
    next: u16,
    /// One bit per number that is taken.
    taken: KVec<u64>,
}

impl Numbers {
    /// Returns numbers of which none is taken.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new() -> Result<Arc<Self>> {
        let taken = KVec::from_elem(0, (usize::from(u16::MAX) + 1) / BITS, GFP_KERNEL)?;
        let state = State { next: 0, taken };
        Arc::pin_init(pin_init!(Self { state <- new_mutex!(state) }), GFP_KERNEL)
    }

    /// Takes a free number.
    ///
    /// # Errors
    ///
    /// `ENOSPC` if there is none.
    pub(crate) fn take(self: &Arc<Self>) -> Result<Number> {
        let mut state = self.state.lock();
        let first = state.next;
        for step in 0..=u16::MAX {
            let number = first.wrapping_add(step);
            if state.mark(number, true) {
                state.next = number.wrapping_add(1);
                let numbers = self.clone();
                return Ok(Number { numbers, number });
            }
        }
        Err(ENOSPC)
    }
}

impl State {
    /// Notes whether a number is taken. Returns whether that is a change.
    fn mark(&mut self, number: u16, taken: bool) -> bool {
        let (word, bit) = (usize::from(number) / BITS, usize::from(number) % BITS);
        match self.taken.get_mut(word) {
            Some(word) if (*word >> bit & 1 == 1) != taken => {
                *word ^= 1 << bit;
                true
            }
            _ => false,
        }
    }
}

/// A number that a region has. Given back when dropped.
pub(crate) struct Number {
    numbers: Arc<Numbers>,
    number: u16,
}

impl Number {
    /// Returns the number.
    pub(crate) fn get(&self) -> u16 {
        self.number
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        self.numbers.state.lock().mark(self.number, false);
    }
}

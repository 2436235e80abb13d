// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Requests of the model to the process around it.

use ringbar_spec::error::ErrorCode;
use ringbar_spec::layout::MAX_QUEUES;
use ringbar_spec::regs::NO_QUEUE;
use std::fmt;
use std::ops::BitOrAssign;

/// Most interrupt vectors: one per queue, and vector 0 for errors (data sheet 1).
pub const MAX_VECTORS: u16 = MAX_QUEUES as u16 + 1;

/// An error that went into the error log (data sheet 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoggedError {
    /// The rule that was broken.
    pub code: ErrorCode,
    /// Queue concerned, or [`NO_QUEUE`].
    pub queue: u16,
    /// Value that broke it. Data sheet 9 has its meaning per code.
    pub value: u64,
}

impl LoggedError {
    /// Returns the queue concerned, if it is a matter of one.
    pub fn queue(&self) -> Option<u16> {
        Some(self.queue).filter(|queue| *queue != NO_QUEUE)
    }
}

/// Actions that the caller owes the device after a call of the model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Effects {
    /// Interrupt vectors to raise, once each.
    pub interrupts: Vectors,
    /// There is work to do: call [`Device::step`](crate::Device::step) (again).
    pub work: bool,
    /// Queues are awake: keep calling [`Device::poll`](crate::Device::poll), and then
    /// [`Device::sleep`](crate::Device::sleep).
    pub awake: bool,
    /// Interrupts are held back, no longer than to this time: call
    /// [`Device::poll`](crate::Device::poll) then at the latest.
    pub deadline: Option<u64>,
    /// Errors that went into the log, the oldest first. A step logs at most one for each descriptor
    /// that it works on. Without an error nothing is allocated.
    pub errors: Vec<LoggedError>,
}

impl BitOrAssign for Effects {
    /// Adds the effects of a later call.
    fn bitor_assign(&mut self, later: Self) {
        self.interrupts |= later.interrupts;
        // Interrupts and errors add up. The other fields are states, of which the later one holds.
        self.work = later.work;
        self.awake = later.awake;
        self.deadline = later.deadline;
        self.errors.extend(later.errors);
    }
}

/// A set of interrupt vectors below [`MAX_VECTORS`].
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Vectors(u128);

impl Vectors {
    /// The set without vectors.
    pub const NONE: Self = Self(0);

    /// Checks whether the set has no vectors.
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns the vectors, lowest first.
    #[inline]
    pub fn iter(self) -> impl Iterator<Item = u16> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let vector = left.trailing_zeros();
            left &= left.checked_sub(1)?;
            Some(vector as u16)
        })
    }

    /// Adds a vector; a vector that cannot exist is left out.
    #[inline]
    pub(crate) const fn insert(&mut self, vector: u16) {
        if vector < MAX_VECTORS {
            self.0 |= 1 << vector;
        }
    }
}

impl BitOrAssign for Vectors {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl fmt::Debug for Vectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the set of these vectors.
    fn set(vectors: &[u16]) -> Vectors {
        let mut set = Vectors::NONE;
        for vector in vectors {
            set.insert(*vector);
        }
        set
    }

    #[test]
    fn set_is_empty_without_a_vector_only() {
        assert!(set(&[]).is_empty());
        assert!(!set(&[0]).is_empty());
    }

    #[test]
    fn vectors_of_errors_and_of_the_last_queue_are_the_first_and_the_last() {
        let last = MAX_QUEUES as u16;

        let vectors: Vec<u16> = set(&[last + 1, last, 0]).iter().collect();

        assert_eq!(vectors, [0, last]);
    }

    #[test]
    fn set_is_shown_as_its_vectors() {
        assert_eq!(format!("{:?}", set(&[3, 64])), "{3, 64}");
    }
}

// SPDX-License-Identifier: GPL-2.0-only

//! Numbers for regions that files make and give back: indices of mmap offsets.
//!
//! The kernel finds mappings by device and offset, whichever file they are of. So a region that can
//! be revoked alone must not have the offset of another file's.

use super::number_set::NumberSet;
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    },
};

/// The numbers of the regions of a device. Each belongs to one region at a time.
#[pin_data]
pub(crate) struct Numbers {
    /// Taken inside `mmap_lock` and a file's objects. No lock is taken inside it.
    #[pin]
    set: Mutex<NumberSet>,
}

impl Numbers {
    /// Returns numbers of which none is taken.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new() -> Result<Arc<Self>> {
        // An mmap offset has 16 bits for the index.
        let set = NumberSet::new(0..1 << u16::BITS)?;
        Arc::pin_init(pin_init!(Self { set <- new_mutex!(set) }), GFP_KERNEL)
    }

    /// Takes the lowest free number.
    ///
    /// # Errors
    ///
    /// `ENOSPC` if there is none.
    pub(crate) fn take(self: &Arc<Self>) -> Result<Number> {
        let mut set = self.set.lock();
        let number = set.lowest()?;
        set.take(number);
        let numbers = self.clone();
        Ok(Number { numbers, number })
    }
}

/// A number that a region has. Given back when dropped.
pub(crate) struct Number {
    numbers: Arc<Numbers>,
    number: u32,
}

impl Number {
    /// Returns the number.
    pub(crate) fn get(&self) -> u16 {
        self.number as u16
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        self.numbers.set.lock().give_back(self.number);
    }
}

// SPDX-License-Identifier: GPL-2.0-only

//! The share of a device that its users may take, each of them and all together.
//!
//! Each object that a file owns holds a [`Charge`]. Dropping the object releases it. The limits are
//! module parameters.

use crate::{
    mapping::series::parameter,
    module_parameters as limits, //
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    },
    task::Kuid, //
};

/// An amount of everything that is limited.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Amount {
    /// Queues.
    pub(crate) queues: u64,
    /// Windows, also those that name buffers.
    pub(crate) windows: u64,
    /// DMA buffers, ranges of device memory, memories of the kernel.
    pub(crate) buffers: u64,
    /// All their memory, rings, and memory of processes that windows show.
    pub(crate) bytes: u64,
}

impl Amount {
    /// Returns the sum, if it keeps to `limits`, of which 0 is none.
    ///
    /// # Errors
    ///
    /// `ENOSPC` if it does not.
    fn plus(self, more: Self, limits: Self) -> Result<Self> {
        let add = |used: u64, more, limit| match used.checked_add(more) {
            Some(sum) if more == 0 || limit == 0 || sum <= limit => Ok(sum),
            _ => Err(ENOSPC),
        };
        Ok(Self {
            queues: add(self.queues, more.queues, limits.queues)?,
            windows: add(self.windows, more.windows, limits.windows)?,
            buffers: add(self.buffers, more.buffers, limits.buffers)?,
            bytes: add(self.bytes, more.bytes, limits.bytes)?,
        })
    }

    /// Returns the rest without `less`, which is part of it.
    fn minus(self, less: Self) -> Self {
        Self {
            queues: self.queues - less.queues,
            windows: self.windows - less.windows,
            buffers: self.buffers - less.buffers,
            bytes: self.bytes - less.bytes,
        }
    }
}

/// The amounts that the users of one device have of it.
#[pin_data]
pub(crate) struct Accounts {
    /// Taken inside a file's `objects`; no lock is taken inside it.
    #[pin]
    books: Mutex<Books>,
}

struct Books {
    device: Amount,
    /// Amounts of all users with at least one charge.
    users: KVec<(Kuid, Amount)>,
}

impl Accounts {
    /// Returns the accounts of a device of which no user has anything.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new() -> Result<Arc<Self>> {
        let books = Books {
            device: Amount::default(),
            users: KVec::new(),
        };
        Arc::pin_init(pin_init!(Self { books <- new_mutex!(books) }), GFP_KERNEL)
    }

    /// Calls `f` for the device, without a user, and then for each user with a charge.
    pub(crate) fn for_each<E>(
        &self,
        mut f: impl FnMut(Option<Kuid>, &Amount) -> Result<(), E>,
    ) -> Result<(), E> {
        let books = self.books.lock();
        f(None, &books.device)?;
        books
            .users
            .iter()
            .try_for_each(|(user, amount)| f(Some(*user), amount))
    }
}

/// A user of a device.
pub(crate) struct User {
    accounts: Arc<Accounts>,
    id: Kuid,
}

impl User {
    /// Returns the user `id` of the device with these accounts.
    pub(crate) fn new(accounts: Arc<Accounts>, id: Kuid) -> Self {
        Self { accounts, id }
    }

    /// Takes `amount`.
    ///
    /// # Errors
    ///
    /// `ENOSPC` if that goes over a limit of the user or of the device; `ENOMEM`.
    pub(crate) fn charge(&self, amount: Amount) -> Result<Charge> {
        let mut books = self.accounts.books.lock();
        let device = books.device.plus(amount, of_a_device())?;
        let known = books.users.iter_mut().find(|(id, _)| *id == self.id);
        match known {
            Some((_, used)) => *used = used.plus(amount, of_a_user())?,
            None => {
                let used = Amount::default().plus(amount, of_a_user())?;
                books.users.push((self.id, used), GFP_KERNEL)?;
            }
        }
        books.device = device;
        Ok(Charge {
            accounts: self.accounts.clone(),
            id: self.id,
            amount,
        })
    }
}

/// The amount that an object takes of its user's share. Given back when dropped.
pub(crate) struct Charge {
    accounts: Arc<Accounts>,
    id: Kuid,
    amount: Amount,
}

impl Drop for Charge {
    fn drop(&mut self) {
        let mut books = self.accounts.books.lock();
        books.device = books.device.minus(self.amount);
        books.users.retain(|(id, used)| {
            if *id == self.id {
                *used = used.minus(self.amount);
            }
            *used != Amount::default()
        });
    }
}

fn of_a_user() -> Amount {
    Amount {
        queues: parameter(&limits::user_queues).into(),
        windows: parameter(&limits::user_windows).into(),
        buffers: parameter(&limits::user_buffers).into(),
        bytes: parameter(&limits::user_bytes),
    }
}

fn of_a_device() -> Amount {
    Amount {
        queues: parameter(&limits::device_queues).into(),
        windows: parameter(&limits::device_windows).into(),
        buffers: parameter(&limits::device_buffers).into(),
        bytes: parameter(&limits::device_bytes),
    }
}

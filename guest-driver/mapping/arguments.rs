// SPDX-License-Identifier: GPL-2.0-only

//! Copies the argument of an ioctl from and to the process, once each.

use super::deadline::Deadline;
use kernel::{
    error::code::ERESTARTSYS,
    prelude::*,
    uaccess::{
        UserPtr,
        UserSlice, //
    },
};
use zerocopy::{
    FromBytes,
    Immutable,
    IntoBytes, //
};

/// Carries out a call that fills in its argument. The process sees it only if the call succeeds.
///
/// # Errors
///
/// `EFAULT` if the argument cannot be read or written; the errors of `call`.
pub(crate) fn answer<T>(argument: UserPtr, call: impl FnOnce(&mut T) -> Result) -> Result
where
    T: FromBytes + IntoBytes + Immutable + Default,
{
    let mut value = get(argument)?;
    call(&mut value)?;
    put(argument, &value)
}

/// The argument of a call that takes time, which a signal may end before its end.
pub(crate) trait Timed {
    /// Returns the time-out in milliseconds.
    fn timeout_ms(&self) -> u32;

    /// Returns the field for the mark of when the call began; 0 is none.
    fn began(&mut self) -> &mut u32;
}

/// Implements [`Timed`], which the caller imports, for a type with a field `began`, and a field for
/// the time-out that is named.
#[allow(unused_macros, reason = "a driver uses a part of the layer")]
macro_rules! timed_argument {
    ($argument:ty, $timeout_ms:ident) => {
        impl Timed for $argument {
            fn timeout_ms(&self) -> u32 {
                self.$timeout_ms
            }

            fn began(&mut self) -> &mut u32 {
                &mut self.began
            }
        }
    };
}
#[allow(unused_imports, reason = "a driver uses a part of the layer")]
pub(crate) use timed_argument;

/// How a call has ended that did not fail.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// All is done.
    Whole,
    /// A signal came when a part was done. The argument says how much.
    Part,
}

/// Carries out a call that notes in its argument how far it came. The process learns of it even if
/// the call fails: otherwise it would not know how much was done.
///
/// If a signal came first, the argument stays as it was, for the next try. In that case, and after
/// a part, it also has the mark of when the call began. Otherwise it has none.
///
/// # Errors
///
/// `EFAULT` if the argument cannot be read or written; the errors of `call`. `ERESTARTSYS` from
/// `call` says that it has done nothing.
pub(crate) fn timed<T>(
    argument: UserPtr,
    call: impl FnOnce(&mut T, &Deadline) -> Result<End>,
) -> Result
where
    T: Timed + Clone + FromBytes + IntoBytes + Immutable + Default,
{
    let mut given: T = get(argument)?;
    let deadline = Deadline::new(given.timeout_ms(), *given.began());
    let mut value = given.clone();
    let outcome = call(&mut value, &deadline);
    let restarts = outcome == Err(ERESTARTSYS);
    let mut answer = if restarts { given } else { value };
    let goes_on = restarts || outcome == Ok(End::Part);
    *answer.began() = if goes_on { deadline.mark() } else { 0 };
    put(argument, &answer)?;
    outcome.map(|_| ())
}

/// Returns the argument of the process. It is copied once: the process may change it meanwhile.
///
/// # Errors
///
/// `EFAULT` if it cannot be read.
pub(crate) fn get<T: FromBytes + IntoBytes + Default>(argument: UserPtr) -> Result<T> {
    let mut value = T::default();
    let bytes = value.as_mut_bytes();
    UserSlice::new(argument, bytes.len())
        .reader()
        .read_slice(bytes)?;
    Ok(value)
}

/// Copies an argument to the process.
///
/// # Errors
///
/// `EFAULT` if it cannot be written.
pub(crate) fn put<T: IntoBytes + Immutable>(argument: UserPtr, value: &T) -> Result {
    let bytes = value.as_bytes();
    UserSlice::new(argument, bytes.len())
        .writer()
        .write_slice(bytes)
}

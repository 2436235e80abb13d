// SPDX-License-Identifier: GPL-2.0-only

//! Copies the argument of an ioctl from and to the process, once each.

use kernel::{
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

/// Carries out a call that notes in its argument how far it came. The process learns of it even if
/// the call fails: otherwise it would not know how much was done.
///
/// # Errors
///
/// `EFAULT` if the argument cannot be read or written; the errors of `call`.
pub(crate) fn progress<T>(argument: UserPtr, call: impl FnOnce(&mut T) -> Result) -> Result
where
    T: FromBytes + IntoBytes + Immutable + Default,
{
    let mut value = get(argument)?;
    let outcome = call(&mut value);
    put(argument, &value)?;
    outcome
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

// SPDX-License-Identifier: GPL-2.0-only

//! The ioctls of an open file: copies the argument, calls the handler beside the thing that the
//! call is about, copies the answer.

use super::OpenFile;
use crate::{
    interface::ioctl,
    memory::{
        self,
        buffer::MAX_BUFFER, //
    },
    queue, //
};
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

/// Carries out an ioctl.
///
/// # Errors
///
/// `ENOTTY` for an unknown number, `EFAULT` if the argument cannot be read or written, `ENODEV` if
/// the device is gone; else the errors of the call (README.md has the table).
pub(crate) fn ioctl(file: &OpenFile, number: u32, argument: usize) -> Result<isize> {
    use memory::{ioctls as memories, window_ioctls as windows};
    use queue::{execute::execute, ioctls as queues, transfer::transfer};
    let argument = UserPtr::from_addr(argument);
    match number {
        ioctl::INFO => put(argument, &info(file)?)?,
        ioctl::CREATE_QUEUE => answer(argument, |create| queues::create(file, create))?,
        ioctl::RESET_QUEUE => queues::reset(file, &get(argument)?)?,
        ioctl::DESTROY_QUEUE => queues::destroy(file, &get(argument)?)?,
        ioctl::SET_EVENTFD => queues::set_event_fd(file, &get(argument)?)?,
        ioctl::WAIT => progress(argument, |wait| queues::wait(file, wait))?,
        ioctl::EXECUTE => progress(argument, |call| execute(file, call))?,
        ioctl::TRANSFER => progress(argument, |call| transfer(file, call))?,
        ioctl::CREATE_BUFFER => answer(argument, |create| memories::create_buffer(file, create))?,
        ioctl::CREATE_DEVICE_MEMORY => {
            answer(argument, |create| {
                memories::create_device_memory(file, create)
            })?;
        }
        ioctl::CREATE_MEMORY => answer(argument, |create| memories::create_memory(file, create))?,
        ioctl::DESTROY_BUFFER => memories::destroy_buffer(file, &get(argument)?)?,
        ioctl::OPEN_WINDOW => answer(argument, |open| windows::open_window(file, open))?,
        ioctl::OPEN_USER_WINDOW => {
            answer(argument, |open| windows::open_user_window(file, open))?;
        }
        ioctl::CLOSE_WINDOW => windows::close_window(file, &get(argument)?)?,
        _ => return Err(ENOTTY),
    }
    Ok(0)
}

/// Returns versions and limits; see [`ioctl::INFO`].
fn info(file: &OpenFile) -> Result<ioctl::Info> {
    file.shared().gate().with(|device| {
        let limits = device.limits();
        Ok(ioctl::Info {
            version_major: limits.version.0,
            version_minor: limits.version.1,
            vectors: device.vectors(),
            opcodes: limits.opcodes,
            device_memory_size: device.memory_size()? as u64,
            queues: limits.queues,
            max_entries: limits.entries,
            max_length: limits.length,
            max_buffer: MAX_BUFFER as u32,
        })
    })
}

/// Carries out a call that fills in its argument.
fn answer<T>(argument: UserPtr, call: impl FnOnce(&mut T) -> Result) -> Result
where
    T: FromBytes + IntoBytes + Immutable + Default,
{
    let mut value = get(argument)?;
    call(&mut value)?;
    put(argument, &value)
}

/// Carries out a call that notes in its argument how far it came. The process learns of it even if
/// the call fails: otherwise it would not know which of its descriptors or bytes are done.
fn progress<T>(argument: UserPtr, call: impl FnOnce(&mut T) -> Result) -> Result
where
    T: FromBytes + IntoBytes + Immutable + Default,
{
    let mut value = get(argument)?;
    let outcome = call(&mut value);
    put(argument, &value)?;
    outcome
}

/// Copies an argument from the process, once: the process may change it meanwhile.
fn get<T: FromBytes + IntoBytes + Default>(argument: UserPtr) -> Result<T> {
    let mut value = T::default();
    let bytes = value.as_mut_bytes();
    UserSlice::new(argument, bytes.len())
        .reader()
        .read_slice(bytes)?;
    Ok(value)
}

/// Copies an argument to the process.
fn put<T: IntoBytes + Immutable>(argument: UserPtr, value: &T) -> Result {
    let bytes = value.as_bytes();
    UserSlice::new(argument, bytes.len())
        .writer()
        .write_slice(bytes)
}

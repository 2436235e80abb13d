// SPDX-License-Identifier: GPL-2.0-only

//! The ioctls of an open file: copies the argument, calls the handler beside the thing that the
//! call is about, copies the answer.

use super::OpenFile;
use crate::{
    device::registers::RESETS,
    interface::ioctl,
    mapping::{
        arguments::{
            answer,
            get,
            put,
            timed, //
        },
        signals::Signals, //
    },
    memory::{
        self,
        buffer::MAX_BUFFER, //
    },
    queue, //
};
use kernel::{
    error::code::ERESTARTSYS,
    prelude::*,
    uaccess::UserPtr, //
};

/// The calls that command the device.
const COMMANDS: [u32; 9] = [
    ioctl::CREATE_QUEUE,
    ioctl::RESET_QUEUE,
    ioctl::DESTROY_QUEUE,
    ioctl::CREATE_BUFFER,
    ioctl::CREATE_DEVICE_MEMORY,
    ioctl::DESTROY_BUFFER,
    ioctl::OPEN_WINDOW,
    ioctl::OPEN_USER_WINDOW,
    ioctl::CLOSE_WINDOW,
];

/// Carries out an ioctl.
///
/// # Errors
///
/// `ENOTTY` for an unknown number, `EFAULT` if the argument cannot be read or written, `ENODEV` if
/// the device is gone; `ERESTARTSYS` if a signal came before the call did anything; else the errors
/// of the call (README.md has the table).
pub(super) fn ioctl(file: &OpenFile, number: u32, argument: UserPtr) -> Result<isize> {
    if !COMMANDS.contains(&number) {
        return carry_out(file, number, argument);
    }
    for _ in 0..RESETS {
        // No lock is held: a process that is killed leaves at once, and so do all that would wait
        // for its locks.
        file.gate()
            .with(|device| device.registers().attend(Signals::Any))?;
        let outcome = carry_out(file, number, argument);
        // A reset has begun meanwhile. The call has done nothing, and released its locks.
        if outcome != Err(ERESTARTSYS) {
            return outcome;
        }
    }
    file.gate().with(|device| Err(device.reset_too_often()))
}

/// Carries out an ioctl, once. Errors are those of [`ioctl`]; `ERESTARTSYS` also if the device is
/// being reset before one of the [`COMMANDS`] did anything.
fn carry_out(file: &OpenFile, number: u32, argument: UserPtr) -> Result<isize> {
    use memory::{ioctls as memories, window_ioctls as windows};
    use queue::{execute::execute, ioctls as queues, transfer::transfer};
    match number {
        ioctl::INFO => put(argument, &info(file)?)?,
        ioctl::CREATE_QUEUE => answer(argument, |create| queues::create(file, create))?,
        ioctl::RESET_QUEUE => queues::reset(file, &get(argument)?)?,
        ioctl::DESTROY_QUEUE => queues::destroy(file, &get(argument)?)?,
        ioctl::SET_EVENTFD => queues::set_event_fd(file, &get(argument)?)?,
        ioctl::WAIT => timed(argument, |wait, deadline| {
            queues::wait(file, wait, deadline)
        })?,
        ioctl::EXECUTE => timed(argument, |call, deadline| execute(file, call, deadline))?,
        ioctl::TRANSFER => timed(argument, |call, deadline| transfer(file, call, deadline))?,
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
    file.gate().with(|device| {
        let limits = device.limits();
        Ok(ioctl::Info {
            version_major: limits.version.0,
            version_minor: limits.version.1,
            vectors: device.vectors(),
            opcodes: limits.opcodes,
            device_memory_size: device.memory_size() as u64,
            queues: limits.queues,
            max_entries: limits.entries,
            max_length: limits.length,
            max_buffer: MAX_BUFFER as u32,
        })
    })
}

// SPDX-License-Identifier: GPL-2.0-only

//! The ioctls of an open file: copies the argument, calls the handler beside the thing that the
//! call is about, copies the answer.

use super::OpenFile;
use crate::{
    interface::ioctl,
    mapping::arguments::{
        answer,
        get,
        progress,
        put, //
    },
    memory::{
        self,
        buffer::MAX_BUFFER, //
    },
    queue, //
};
use kernel::{
    prelude::*,
    uaccess::UserPtr, //
};

/// Carries out an ioctl.
///
/// # Errors
///
/// `ENOTTY` for an unknown number, `EFAULT` if the argument cannot be read or written, `ENODEV` if
/// the device is gone; else the errors of the call (README.md has the table).
pub(super) fn ioctl(file: &OpenFile, number: u32, argument: UserPtr) -> Result<isize> {
    use memory::{ioctls as memories, window_ioctls as windows};
    use queue::{execute::execute, ioctls as queues, transfer::transfer};
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
    file.gate().with(|device| {
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

// SPDX-License-Identifier: GPL-2.0-only

//! Carries out descriptors on a queue of the kernel: copies them in, waits, copies completions out.
//!
//! With two copies and a sleep it does the work of a mapped queue, for comparison. At most one
//! call at a time works on a queue.

use super::{
    owner::QueueOwner,
    session::{
        kernel_queue,
        Session, //
    },
};
use crate::{
    interface::{
        ioctl,
        ring::{
            Completion,
            Descriptor, //
        },
    },
    mapping::{
        arguments::End,
        deadline::Deadline,
        signals, //
    },
};
use core::mem::size_of;
use kernel::{
    prelude::*,
    uaccess::{
        UserPtr,
        UserSlice, //
    },
};
use zerocopy::IntoBytes;

/// Most descriptors between two copies from the process.
const BATCH: u32 = 64;

/// Carries out descriptors; see [`ioctl::EXECUTE`].
///
/// # Errors
///
/// `EFAULT`; `ENOMEM`; as [`Session::begin`] and [`Session::run`]. The number of completed
/// descriptors is in the argument.
pub(crate) fn execute(
    file: &impl QueueOwner,
    execute: &mut ioctl::Execute,
    deadline: &Deadline,
) -> Result<End> {
    let count = core::mem::take(&mut execute.count);
    let mut from = user_slice::<Descriptor>(execute.descriptors, count)?.reader();
    let mut to = user_slice::<Completion>(execute.completions, count)?.writer();
    let waiters = kernel_queue(file, execute.queue)?;
    let session = Session::begin(file, execute.queue, &waiters, deadline)?;
    let batch = session.with_queue(|_device, queue| Ok(queue.entries().min(BATCH)))?;
    let mut descriptors = KVec::from_elem(Descriptor::default(), batch as usize, GFP_KERNEL)?;
    let mut completions = KVec::from_elem(Completion::default(), batch as usize, GFP_KERNEL)?;
    while execute.count < count {
        let length = batch.min(count - execute.count) as usize;
        let descriptors = descriptors.get_mut(..length).ok_or(EINVAL)?;
        // Outside of `with_queue`: its lock is taken inside `mmap_lock`, which a page fault of this
        // copy takes.
        from.read_slice(descriptors.as_mut_bytes())?;
        // Even if the wait fails, some may be complete: the process must learn of them.
        let (taken, waited) = session.run(descriptors, &mut completions)?;
        let completions = completions.get(..taken).ok_or(EIO)?;
        to.write_slice(completions.as_bytes())?;
        execute.count += taken as u32;
        waited?;
        if execute.count < count && signals::pending() {
            return Ok(End::Part);
        }
    }
    Ok(End::Whole)
}

/// Returns the process's array of `count` values at `address`.
fn user_slice<T>(address: u64, count: u32) -> Result<UserSlice> {
    let length = size_of::<T>().checked_mul(count as usize).ok_or(EINVAL)?;
    let address = UserPtr::from_addr(usize::try_from(address)?);
    Ok(UserSlice::new(address, length))
}

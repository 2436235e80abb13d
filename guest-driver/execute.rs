// SPDX-License-Identifier: GPL-2.0-only

//! Carries out descriptors on a queue of the kernel: copies them in, waits, copies completions out.
//!
//! What a mapped queue does without the driver is done here with two copies and a sleep, to compare.
//! Of a queue, one call at a time does so.

use crate::{
    device::Device,
    file::OpenFile,
    interface::{
        ioctl,
        ring::{
            distance,
            slot,
            Completion,
            Descriptor, //
        },
        wake::{
            self,
            Word,
            Words, //
        },
    },
    mmap::mapped_file::MappedFile,
    queue::Queue,
    waiters::{
        Turn,
        Waiters, //
    },
};
use core::mem::size_of;
use kernel::{
    io::{
        io_project,
        Io, //
    },
    prelude::*,
    sync::Arc,
    time::{
        msecs_to_jiffies,
        Jiffies, //
    },
    uaccess::{
        UserPtr,
        UserSlice, //
    },
};
use zerocopy::IntoBytes;

/// Most descriptors between two copies from the process.
const BATCH: u32 = 64;

/// How far a queue of the kernel is.
#[derive(Default)]
pub(crate) struct Progress {
    /// Descriptors ever handed to the device.
    submitted: u32,
    /// Completions ever taken.
    taken: u32,
}

impl OpenFile {
    /// Carries out descriptors; see [`ioctl::EXECUTE`].
    ///
    /// # Errors
    ///
    /// `EINVAL` for a reserved field; `EFAULT`; `ENOMEM`; as [`Session::begin`] and
    /// [`Waiters::wait`]. How many were completed is in the argument.
    pub(crate) fn execute(&self, execute: &mut ioctl::Execute) -> Result {
        let count = core::mem::take(&mut execute.count);
        if execute.reserved != 0 {
            return Err(EINVAL);
        }
        let mut from = user_slice::<Descriptor>(execute.descriptors, count)?.reader();
        let mut to = user_slice::<Completion>(execute.completions, count)?.writer();
        let waiters = self.kernel_queue(execute.queue)?;
        let mut session = Session::begin(self, execute.queue, &waiters, execute.timeout_ms)?;
        let batch = session.with_queue(|_device, queue| Ok(queue.entries().min(BATCH)))?;
        let mut descriptors = KVec::from_elem(Descriptor::default(), batch as usize, GFP_KERNEL)?;
        let mut completions = KVec::from_elem(Completion::default(), batch as usize, GFP_KERNEL)?;
        while execute.count < count {
            let length = batch.min(count - execute.count) as usize;
            let descriptors = descriptors.get_mut(..length).ok_or(EINVAL)?;
            from.read_slice(descriptors.as_mut_bytes())?;
            // Some may be complete in any case.
            let (taken, waited) = session.run(descriptors, &mut completions)?;
            let completions = completions.get(..taken).ok_or(EIO)?;
            to.write_slice(completions.as_bytes())?;
            execute.count += taken as u32;
            waited?;
        }
        Ok(())
    }

    /// Who waits for the completions of a queue of the kernel.
    ///
    /// # Errors
    ///
    /// `ENXIO` if the file has no such queue; `EINVAL` if it is one that processes map.
    pub(crate) fn kernel_queue(&self, queue: u32) -> Result<Arc<Waiters>> {
        self.with_objects(|_device, objects| {
            let queue = objects.queue(queue)?;
            let progress = queue.progress().ok_or(EINVAL);
            progress.map(|_| queue.waiters().clone())
        })
    }
}

/// A call that has its turn on a queue of the kernel.
pub(crate) struct Session<'a> {
    file: &'a OpenFile,
    number: u32,
    waiters: &'a Arc<Waiters>,
    turn: Turn<'a>,
    left: Jiffies,
}

impl<'a> Session<'a> {
    /// Waits for its turn, and for what a call before this one has left in the rings.
    ///
    /// # Errors
    ///
    /// As [`Waiters::wait`].
    pub(crate) fn begin(
        file: &'a OpenFile,
        number: u32,
        waiters: &'a Arc<Waiters>,
        timeout_ms: u32,
    ) -> Result<Self> {
        let mut left = msecs_to_jiffies(timeout_ms);
        let turn = waiters.take_turn(file.shared().gate(), &mut left)?;
        let mut session = Self {
            file,
            number,
            waiters,
            turn,
            left,
        };
        let mut tail = session.with_queue(|_device, queue| Ok(queue.submitted()))?;
        session.wait(tail, &mut tail)?;
        session.with_queue(|device, queue| queue.take(device, tail, &mut []))?;
        Ok(session)
    }

    /// Carries out descriptors, no more than the rings have entries. Says how many completions it
    /// took, and whether it has waited for all of them.
    pub(crate) fn run(
        &mut self,
        descriptors: &[Descriptor],
        completions: &mut [Completion],
    ) -> Result<(usize, Result)> {
        let wanted = self.with_queue(|device, queue| queue.submit(device, descriptors))?;
        let mut tail = wanted.wrapping_sub(descriptors.len() as u32);
        let waited = self.wait(wanted, &mut tail);
        let taken = self.with_queue(|device, queue| queue.take(device, tail, completions))?;
        Ok((taken, waited))
    }

    fn wait(&mut self, wanted: u32, tail: &mut u32) -> Result {
        let gate = self.file.shared().gate();
        self.waiters
            .wait(gate, self.turn.run(), wanted, &mut self.left, tail)
    }

    /// Calls `f` with the queue, if it is still that with which the call began.
    pub(crate) fn with_queue<R>(
        &self,
        f: impl FnOnce(&Device<'_>, &mut Queue) -> Result<R>,
    ) -> Result<R> {
        self.file.with_objects(|device, objects| {
            let queue = objects.queue_mut(self.number)?;
            let same = Arc::ptr_eq(queue.waiters(), self.waiters);
            if !same || self.waiters.run() != self.turn.run() {
                return Err(EIO);
            }
            f(device, queue)
        })
    }
}

impl Queue {
    /// Descriptors ever handed to the device.
    fn submitted(&self) -> u32 {
        self.progress().map_or(0, |progress| progress.submitted)
    }

    /// Writes descriptors to the ring, in which there is room for them, and hands them to the
    /// device. Gives how many it will have completed then.
    fn submit(&mut self, device: &Device<'_>, descriptors: &[Descriptor]) -> Result<u32> {
        let mut tail = self.submitted();
        for descriptor in descriptors {
            let place = slot(tail, self.entries()) as usize * size_of::<Descriptor>();
            io_project!(self.submission(), [try: place..place + size_of::<Descriptor>()])
                .copy_from_slice(descriptor.as_bytes());
            tail = tail.wrapping_add(1);
        }
        self.progress_mut().ok_or(EINVAL)?.submitted = tail;
        if wake::submit(&device.registers().words(self.number())?, tail) {
            device.registers().kick(self.number())?;
        }
        Ok(tail)
    }

    /// Takes the completions before `tail`, as many as there is room for in `completions`; the
    /// others are dropped. Gives how many it took.
    fn take(
        &mut self,
        device: &Device<'_>,
        tail: u32,
        completions: &mut [Completion],
    ) -> Result<usize> {
        let head = self.progress().ok_or(EINVAL)?.taken;
        if distance(head, tail) > self.entries() {
            dev_warn!(
                device.pdev(),
                "queue {}: completion tail {} is wrong\n",
                self.number(),
                tail
            );
            return Err(EIO);
        }
        let there = distance(head, tail) as usize;
        let mut index = head;
        for completion in completions.iter_mut().take(there) {
            let place = slot(index, self.entries()) as usize * size_of::<Completion>();
            io_project!(self.completion(), [try: place..place + size_of::<Completion>()])
                .copy_to_slice(completion.as_mut_bytes());
            index = index.wrapping_add(1);
        }
        self.progress_mut().ok_or(EINVAL)?.taken = tail;
        let words = device.registers().words(self.number())?;
        words.store(Word::CompletionHead, tail);
        Ok(there.min(completions.len()))
    }
}

/// The process's array of `count` values at `address`.
fn user_slice<T>(address: u64, count: u32) -> Result<UserSlice> {
    let length = size_of::<T>().checked_mul(count as usize).ok_or(EINVAL)?;
    let address = UserPtr::from_addr(usize::try_from(address)?);
    Ok(UserSlice::new(address, length))
}

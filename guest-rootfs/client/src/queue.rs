// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A queue with its rings mapped: descriptors in, completions out.

use crate::entries::{Entries, DESCRIPTOR_WORDS};
use crate::page::Page;
use crate::{page_size, Device, Error, Mapping};
use ringbar_driver_side::barrier;
use ringbar_driver_side::ring::{Ring, RingMemory};
use ringbar_spec::layout::PAGE_STRIDE;
use ringbar_spec::pages::{DoorbellPage, StatusPage, INLINE_WORDS};
use ringbar_spec::regs;
use ringbar_spec::ring::{Completion, Descriptor};
use ringbar_spec::wake::{Word, Words};
use ringbar_uapi::ioctl::{CreateQueue, Wait};
use rustix::io::Errno;
use std::array;
use std::hint::spin_loop;
use std::mem::offset_of;
use std::os::fd::BorrowedFd;
use std::time::Duration;

/// Looks at the ring in [`Queue::wait`] before it sleeps. Together they cost about as much as a
/// system call.
const LOOKS: u32 = 200;

/// mmap offsets of a queue's rings and pages, to map them again.
#[derive(Clone, Copy, Debug)]
pub struct QueueOffsets {
    /// The submission ring.
    pub submission_ring: u64,
    /// The completion ring, read-only.
    pub completion_ring: u64,
    /// The kick page.
    pub kick: u64,
    /// The doorbell page.
    pub doorbell: u64,
    /// The status page, read-only.
    pub status: u64,
}

impl From<&CreateQueue> for QueueOffsets {
    fn from(create: &CreateQueue) -> Self {
        Self {
            submission_ring: create.submission_ring,
            completion_ring: create.completion_ring,
            kick: create.kick,
            doorbell: create.doorbell,
            status: create.status,
        }
    }
}

/// A queue of the device, with its rings and pages mapped.
///
/// [`push`](Self::push), [`submit`](Self::submit) and [`pop`](Self::pop) are loads and stores,
/// without system calls or allocations. Only a wake-up of a sleeping device is a trapped write.
///
/// At most as many descriptors are in flight as the ring has entries. A queue lasts until its file
/// is closed, unless [`close`](Self::close) destroys it earlier.
#[derive(Debug)]
pub struct Queue {
    device: Device,
    offsets: QueueOffsets,
    number: u32,
    ring: Ring<Mapped>,
}

impl Queue {
    /// Maps a queue that was just started or reset, from the answer to its
    /// [start](Device::start_queue). Another process may have started it, with the same file.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`], with the errors of mmap.
    pub fn map(device: &Device, create: &CreateQueue) -> Result<Self, Error> {
        let entries = create.entries as usize;
        let map =
            |offset, size, writable| Mapping::new(device.file().clone(), offset, size, writable);
        let mapped = Mapped {
            submission: Entries::submission(map(
                create.submission_ring,
                entries * size_of::<Descriptor>(),
                true,
            )?),
            completion: Entries::completion(map(
                create.completion_ring,
                entries * size_of::<Completion>(),
                false,
            )?),
            doorbell: Page::new(map(create.doorbell, page_size(), true)?),
            status: Page::new(map(create.status, page_size(), false)?),
            kick: map(create.kick, page_size(), true)?,
        };
        Ok(Self {
            device: device.clone(),
            offsets: create.into(),
            number: create.queue,
            ring: Ring::new(mapped, create.entries, true),
        })
    }

    /// Returns the open node that it belongs to.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Returns the number of the queue.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Returns the offsets at which its rings and pages can be mapped again.
    pub fn offsets(&self) -> QueueOffsets {
        self.offsets
    }

    /// Returns the number of entries of each ring.
    #[inline]
    pub fn entries(&self) -> u32 {
        self.ring.entries()
    }

    /// Returns the number of descriptors that were written and whose completion was not taken.
    #[inline]
    pub fn in_flight(&self) -> u32 {
        self.ring.in_flight()
    }

    /// Returns the present value of a word that the queue shares with the device.
    #[inline]
    pub fn word(&self, word: Word) -> u32 {
        self.ring.memory().load(word)
    }

    /// Writes a descriptor to the ring. The device sees it after [`Queue::submit`].
    ///
    /// # Errors
    ///
    /// [`Error::Full`] if as many are in flight as the ring has entries.
    #[inline]
    pub fn push(&mut self, descriptor: Descriptor) -> Result<(), Error> {
        Ok(self.ring.push(&descriptor)?)
    }

    /// Hands the pushed descriptors to the device.
    #[inline]
    pub fn submit(&mut self) {
        if self.ring.submit() {
            self.ring.memory().kick.write(KICK, 1_u32);
        }
    }

    /// Takes the oldest completion; `None` if there is none yet.
    ///
    /// A loop that only polls should call [`check`](Self::check) now and then. Otherwise it polls
    /// for ever after the server has died.
    ///
    /// # Errors
    ///
    /// [`Error::QueueStopped`] and [`Error::Reset`] after the last completion was taken,
    /// [`Error::BadCompletionTail`].
    #[inline]
    pub fn pop(&mut self) -> Result<Option<Completion>, Error> {
        Ok(self.ring.pop()?)
    }

    /// Asks for an interrupt when `count` completions can be taken. The interrupt signals the
    /// eventfd.
    ///
    /// Returns whether to sleep. `false` means that the completions are there. They may have come
    /// before the request, so that no interrupt follows.
    ///
    /// # Errors
    ///
    /// As [`Queue::pop`].
    pub fn arm(&mut self, count: u32) -> Result<bool, Error> {
        Ok(self.ring.arm(count)?)
    }

    /// Sets the eventfd that interrupts of this queue signal; `None` removes it.
    pub fn set_event_fd(&self, event: Option<BorrowedFd<'_>>) -> Result<(), Error> {
        self.device.set_event_fd(self.number, event)
    }

    /// Waits until `count` completions can be taken. Polls the ring for a short time, then sleeps.
    /// A signal does not end the wait.
    ///
    /// # Errors
    ///
    /// As [`Queue::pop`]; [`Error::TimedOut`], [`Error::ServerGone`], [`Error::Refused`].
    pub fn wait(&mut self, count: u32, timeout: Duration) -> Result<(), Error> {
        for _ in 0..LOOKS {
            if self.ring.has(count)? {
                return Ok(());
            }
            spin_loop();
        }
        let mut wait = Wait {
            queue: self.number,
            completion_tail: self.ring.head().wrapping_add(count),
            timeout_ms: timeout.as_millis().try_into().unwrap_or(u32::MAX),
            began: 0,
        };
        match self.device.wait(&mut wait) {
            // Both errors may have several causes. The pages show whether the queue stopped, the
            // device was reset, or the completion came late. After any other error the device may
            // be gone, and touching its pages would raise SIGBUS.
            Err(error) if ![Some(Errno::IO), Some(Errno::TIMEDOUT)].contains(&error.errno()) => {
                Err(error)
            }
            _ if self.ring.has(count)? => Ok(()),
            outcome => {
                self.check()?;
                Err(outcome.err().unwrap_or(Error::TimedOut))
            }
        }
    }

    /// Submits the pushed descriptors, waits for the next completion and takes it.
    ///
    /// # Errors
    ///
    /// As [`Queue::wait`].
    pub fn run(&mut self, timeout: Duration) -> Result<Completion, Error> {
        self.submit();
        loop {
            if let Some(completion) = self.pop()? {
                return Ok(completion);
            }
            self.wait(1, timeout)?;
        }
    }

    /// Lets the device hold interrupts for completions back, so that there are fewer. Each
    /// interrupt waits until `completions` are posted (0: no count) or until `time` is over, up to
    /// 65 ms. A `time` of 0, the default, turns this off. The setting lasts until the queue is
    /// reset.
    ///
    /// This delays a process that an interrupt wakes, in [`Queue::wait`] too. It does not delay one
    /// that polls.
    pub fn moderate_interrupts(&self, completions: u16, time: Duration) {
        let microseconds = time.as_micros().try_into().unwrap_or(u16::MAX);
        let moderation = regs::INTERRUPT_MODERATION::zeroed()
            .with_completions(completions.into())
            .with_microseconds(microseconds.into());
        let kick = &self.ring.memory().kick;
        kick.write(MODERATION, moderation.into_raw());
    }

    /// Checks that the device responds, by a read of the kick page, which traps.
    ///
    /// # Errors
    ///
    /// [`Error::ServerGone`] if the device does not respond.
    pub fn check(&self) -> Result<(), Error> {
        match self.ring.memory().kick.read(KICK) {
            regs::KICK_ANSWER => Ok(()),
            answer => Err(Error::ServerGone { answer }),
        }
    }

    /// Stops the queue and starts it with empty rings. Descriptors in flight may or may not be
    /// carried out, and have no completion.
    pub fn reset(&mut self) -> Result<(), Error> {
        self.device.reset_queue(self.number)?;
        self.ring.restart();
        Ok(())
    }

    /// Stops the queue and destroys it. Its pages disappear from all mappings.
    pub fn close(self) -> Result<(), Error> {
        self.device.destroy_queue(self.number)
    }
}

/// Offset of the kick register in its page.
const KICK: usize = regs::KICK::INFO.offset % PAGE_STRIDE;
/// Offset of the moderation register in the same page.
const MODERATION: usize = regs::INTERRUPT_MODERATION::INFO.offset % PAGE_STRIDE;

/// Mapped memory of a queue.
#[derive(Debug)]
struct Mapped {
    submission: Entries<Descriptor>,
    completion: Entries<Completion>,
    doorbell: Page<true>,
    status: Page<false>,
    kick: Mapping,
}

impl Words for Mapped {
    #[inline]
    fn load(&self, word: Word) -> u32 {
        let value = match word.is_in_doorbell() {
            true => self.doorbell.load(word.in_page()),
            false => self.status.load(word.in_page()),
        };
        // Otherwise an entry could be read before the tail that announces it.
        barrier::acquire();
        value
    }

    /// Stores a word.
    ///
    /// # Panics
    ///
    /// If it is in the status page, which the device writes.
    #[inline]
    fn store(&self, word: Word, value: u32) {
        assert!(word.is_in_doorbell(), "{word:?} is the device's");
        // Otherwise the device could see a tail before the entry that it announces.
        barrier::release();
        self.doorbell.store(word.in_page(), value);
    }

    #[inline]
    fn fence(&self) {
        barrier::full();
    }
}

impl RingMemory for Mapped {
    #[inline]
    fn put(&self, index: u32, descriptor: &Descriptor) {
        self.submission.put(index, descriptor);
    }

    #[inline]
    fn get(&self, index: u32) -> Completion {
        self.completion.get(index)
    }

    #[inline]
    fn put_inline(&self, index: u32) -> bool {
        let words: [u64; DESCRIPTOR_WORDS] = self.submission.words(index);
        let (copied, others) = words.split_at(INLINE_WORDS);
        let inline = offset_of!(DoorbellPage, inline_descriptor);
        // Word by word: wider stores stay out of the pages that are the device's.
        let copied: [u64; INLINE_WORDS] = array::from_fn(|word| copied[word]);
        self.doorbell.store_words(inline, copied);
        others.iter().all(|word| *word == 0)
    }

    #[inline]
    fn get_inline(&self) -> Completion {
        let inline = offset_of!(StatusPage, inline_completion);
        let words: [u64; 2] = self.status.load_words(inline);
        // Orders the copy before the load of the generation that confirms it.
        barrier::acquire();
        zerocopy::transmute!(words)
    }
}

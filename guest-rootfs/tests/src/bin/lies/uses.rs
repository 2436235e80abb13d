// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The device in use while it lies: what a process gets from each call, in a word.

use ringbar_client::{descriptors, Buffer, Device, Error, KernelQueue, Queue, Rights};
use ringbar_spec::ring::{Completion, Descriptor, Status};
use ringbar_tests::{nop, page_size, ready_for, PATIENCE};
use ringbar_uapi::ioctl::Wait;
use rustix::event::PollFlags;
use rustix::io::Errno;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Time after which a thread in WAIT is asleep.
const ASLEEP: Duration = Duration::from_millis(50);
/// Descriptors of a call.
const COUNT: u32 = 4;
/// Bytes of a transfer.
const BYTES: usize = 1000;
/// A byte beside those that a call may write. No lie of the device has it on purpose.
const GUARD: u8 = 0xc7;
/// First tag of them.
const TAG: u32 = 0x7a60;

/// Objects of one file, made while the device told the truth.
pub(crate) struct Uses {
    device: Device,
    /// For its ring, and for WAIT: another, as a lie about the first one may have ended it.
    queues: [Queue; 2],
    kernel: KernelQueue,
    buffer: Buffer,
    source: Buffer,
    /// Result of the operation on `source`, from a device that tells the truth.
    result: u64,
    /// Time-out of a call.
    time: Duration,
}

impl Uses {
    /// Makes them. `time` is the time-out of their calls.
    pub(crate) fn begin(device: &Device, time: Duration) -> Self {
        let queue = || device.create_queue(16).expect("a queue is free");
        let buffer = |rights| {
            device
                .create_buffer(page_size(), rights)
                .expect("a window is free")
        };
        let mut uses = Self {
            queues: [queue(), queue()],
            kernel: device.create_kernel_queue(16).expect("a queue is free"),
            buffer: buffer(Rights::Write),
            source: buffer(Rights::Read),
            result: 0,
            time,
            device: device.clone(),
        };
        let mut truth = [Completion::default()];
        let executed = uses
            .kernel
            .execute(&[uses.operation(TAG)], &mut truth, PATIENCE);
        executed.expect("a device that tells the truth");
        uses.result = truth[0].result;
        uses
    }

    /// Returns an operation whose completion has each field other than 0, but for the status.
    fn operation(&self, tag: u32) -> Descriptor {
        descriptors::crc32c(tag, 0, (self.source.window(), 0), page_size() as u32)
    }

    /// Returns whether a completion is that of the operation with this tag.
    fn is_right(&self, completion: &Completion, tag: u32) -> bool {
        let right = Completion {
            tag,
            status: Status::OK.0,
            reserved: 0,
            result: self.result,
        };
        *completion == right
    }

    /// Calls EXECUTE.
    pub(crate) fn execute(&mut self) -> String {
        let tags = (TAG..).take(COUNT as usize);
        let batch: Vec<_> = tags.map(|tag| self.operation(tag)).collect();
        let mut guarded = [guard(); COUNT as usize + 2];
        let [before, completions @ .., behind] = &mut guarded;
        let executed = self.kernel.execute(&batch, completions, self.time);
        assert_eq!((*before, *behind), (guard(), guard()), "beyond the array");
        word(executed.map(|_| {
            let mut told = completions.iter().zip(TAG..);
            told.all(|(completion, tag)| self.is_right(completion, tag))
        }))
    }

    /// Calls TRANSFER.
    pub(crate) fn transfer(&mut self) -> String {
        let bytes = [0x5a; BYTES];
        let window = self.buffer.window();
        let moved = self.kernel.write(window, 0, &bytes, self.time);
        if moved.is_ok() {
            self.transfer_back(window);
        }
        word(moved.map(|()| self.buffer.mapping().read_bytes(0, BYTES) == bytes))
    }

    /// Calls TRANSFER in the other direction. Whatever that returns, it writes into its bytes alone.
    fn transfer_back(&mut self, window: u16) {
        let mut guarded = [GUARD; BYTES];
        let [before, bytes @ .., behind] = &mut guarded;
        let _any = self.kernel.read(window, 0, bytes, self.time);
        assert_eq!((*before, *behind), (GUARD, GUARD), "beyond the bytes");
    }

    /// Submits through the mapped ring, and takes completions as the client library does.
    pub(crate) fn ring(&mut self) -> String {
        let mut right = true;
        for tag in (TAG..).take(COUNT as usize) {
            let operation = self.operation(tag);
            let [queue, _] = &mut self.queues;
            match queue.push(operation).and_then(|()| queue.run(self.time)) {
                Ok(completion) => right &= self.is_right(&completion, tag),
                Err(error) => return word(Err(error)),
            }
        }
        word(Ok(right))
    }

    /// Returns a thread that is asleep in WAIT, until the first completion comes.
    pub(crate) fn sleeper(&self) -> JoinHandle<String> {
        self.asleep(PATIENCE)
    }

    /// Returns a thread that is asleep in WAIT for so long.
    fn asleep(&self, time: Duration) -> JoinHandle<String> {
        let [_, queue] = &self.queues;
        let mut wait = Wait {
            queue: queue.number(),
            completion_tail: 1,
            timeout_ms: time.as_millis() as u32,
            began: 0,
        };
        let device = self.device.clone();
        let sleeper = thread::spawn(move || word(device.wait(&mut wait).map(|()| true)));
        thread::sleep(ASLEEP);
        sleeper
    }

    /// Sleeps in WAIT until an interrupt comes.
    pub(crate) fn wait(&mut self) -> String {
        let sleeper = self.asleep(self.time);
        let [_, queue] = &mut self.queues;
        if queue.push(nop(TAG)).is_ok() {
            queue.submit();
        }
        sleeper.join().expect("the sleeper does not panic")
    }

    /// Asks poll for the file.
    pub(crate) fn poll(&self) -> String {
        let ready = ready_for(&self.device, Duration::ZERO);
        let word = match ready {
            _ if ready.contains(PollFlags::HUP) => "POLLHUP",
            _ if ready.contains(PollFlags::ERR) => "POLLERR",
            _ if ready.is_empty() => "nothing",
            _ => "POLLIN",
        };
        word.to_owned()
    }

    /// Makes a queue and a buffer, and destroys them.
    pub(crate) fn make(&self) -> String {
        let made = self.device.create_queue(4).and_then(|queue| {
            let buffer = self.device.create_buffer(page_size(), Rights::Read)?;
            buffer.close()?;
            queue.close()
        });
        word(made.map(|()| true))
    }
}

/// Returns an entry beside those that a call may write.
fn guard() -> Completion {
    Completion {
        tag: u32::from_ne_bytes([GUARD; 4]),
        status: u16::from_ne_bytes([GUARD; 2]),
        reserved: u16::from_ne_bytes([GUARD; 2]),
        result: u64::from_ne_bytes([GUARD; 8]),
    }
}

/// Returns the word of the README for an outcome.
fn word(result: Result<bool, Error>) -> String {
    match result {
        Ok(true) => "ok".into(),
        Ok(false) => "wrong".into(),
        Err(Error::TimedOut) => "ETIMEDOUT".into(),
        Err(Error::Refused { errno, .. } | Error::Open { errno, .. }) => name(errno),
        Err(Error::Reset { .. }) => "reset".into(),
        Err(Error::ServerGone { .. }) => "gone".into(),
        Err(Error::BadCompletionTail { .. }) => "bad tail".into(),
        Err(Error::QueueStopped { .. }) => "stopped".into(),
        Err(Error::NotMoved { .. }) => "status".into(),
        Err(Error::Full { .. }) => "full".into(),
    }
}

/// Returns the name of an error of the kernel.
fn name(errno: Errno) -> String {
    match errno {
        Errno::IO => "EIO".into(),
        Errno::TIMEDOUT => "ETIMEDOUT".into(),
        Errno::NODEV => "ENODEV".into(),
        other => format!("{other:?}"),
    }
}

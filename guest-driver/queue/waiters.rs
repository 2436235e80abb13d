// SPDX-License-Identifier: GPL-2.0-only

//! The waiters for the completions of a queue.
//!
//! The device raises an interrupt for a completion that was armed for, and no other. All waiters in
//! the driver share one word to arm with, [`wake::Waiter::Driver`]; it holds the nearest completion
//! that one of them waits for. A waiter that is woken too early arms again.

use crate::{
    device::{
        registers::QueueWords,
        Device,
        Gate, //
    },
    interface::{
        pages,
        ring::distance,
        wake::{
            self,
            Word,
            Words, //
        },
    },
    mapping::{
        deadline::Deadline,
        signals::Signals, //
    },
    queue::eventfd::EventFd, //
};
use kernel::{
    bindings,
    new_condvar,
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        CondVar,
        Mutex, //
    }, //
};

/// How often `poll` arms again while completions come in. Without a limit, a fast device could hold
/// a process in the kernel. After that the watchdog wakes pollers: a process that uses `epoll` with
/// edges is told once, and would otherwise not hear of the next completion.
const ARMINGS: usize = 16;

/// The waiters of one queue. Interrupt handlers and the watchdog find them in
/// [`crate::queue::wakeups::Wakeups`].
#[pin_data]
pub(crate) struct Waiters {
    queue: u32,
    vector: u32,
    #[pin]
    state: Mutex<State>,
    #[pin]
    wake: CondVar,
}

struct State {
    life: Life,
    /// Number of starts of the queue. A reset of the queue, which stops and starts it, raises it. A
    /// reset of the device does not.
    run: u32,
    /// Index that was armed for. It may have been posted already; compare it with the tail.
    armed: u32,
    /// The last announcement: the tail, and whether the queue had stopped by itself.
    announced: (u32, bool),
    event: Option<EventFd>,
    /// Number of calls that sleep.
    asleep: u32,
    /// A call has its turn: the device carries out its descriptors, and other calls wait.
    busy: bool,
    /// A poller may wait: it has looked and was not woken since.
    polled: bool,
    /// Completions came in faster than `poll` could arm for them.
    outrun: bool,
}

/// The life of a queue, as its waiters see it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
    /// It was started in this reset generation.
    Runs(u32),
    /// It was not started yet, or was stopped to be started again.
    Stopped,
    /// The file does not have it any more.
    Gone,
}

impl Waiters {
    /// Returns an empty set of waiters, for a queue that was not started yet.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(queue: u32, vector: u32) -> Result<Arc<Self>> {
        Arc::pin_init(
            try_pin_init!(Self {
                queue,
                vector,
                state <- new_mutex!(State {
                    life: Life::Stopped,
                    run: 0,
                    armed: u32::MAX,
                    announced: (0, false),
                    event: None,
                    asleep: 0,
                    busy: false,
                    polled: false,
                    outrun: false,
                }),
                wake <- new_condvar!(),
            }),
            GFP_KERNEL,
        )
    }

    /// Returns the interrupt vector of the queue.
    pub(crate) fn vector(&self) -> u32 {
        self.vector
    }

    /// Notes that the queue was started, in this reset generation. Wakes the waiters of the last
    /// run.
    pub(crate) fn started(&self, generation: u32) {
        let mut state = self.state.lock();
        state.life = Life::Runs(generation);
        state.run = state.run.wrapping_add(1);
        state.armed = u32::MAX;
        state.announced = (0, false);
        self.wake.notify_all();
    }

    /// Notes that the queue was stopped. Wakes its waiters.
    pub(crate) fn stopped(&self) {
        self.state.lock().life = Life::Stopped;
        self.wake_to_look_again();
    }

    /// Notes that the file does not have the queue any more. Wakes its waiters.
    pub(crate) fn gone(&self) {
        self.state.lock().life = Life::Gone;
        self.wake_to_look_again();
    }

    /// Wakes all waiters to look again, though the device may have announced nothing.
    pub(crate) fn wake_to_look_again(&self) {
        let state = self.state.lock();
        if let Some(event) = &state.event {
            event.signal();
        }
        self.wake.notify_all();
    }

    /// Sets the eventfd to signal, or none. Returns the one before, to be dropped outside of the
    /// lock.
    pub(crate) fn set_event(&self, event: Option<EventFd>) -> Option<EventFd> {
        core::mem::replace(&mut self.state.lock().event, event)
    }

    /// Wakes the waiters if the device has done something since the last time. Returns whether it
    /// has.
    pub(crate) fn announce(&self, device: &Device<'_>) -> bool {
        let mut state = self.state.lock();
        let Life::Runs(generation) = state.life else {
            return false;
        };
        let Ok(words) = device.registers().words(self.queue) else {
            return false;
        };
        let tail = words.load(Word::CompletionTail);
        let announced = (tail, check(device, &words, generation).is_err());
        if announced == state.announced {
            return false;
        }
        self.wake_for(&mut state, announced);
        true
    }

    /// Wakes the waiters if the device was reset or is lost, or if completions came that `poll`
    /// could not arm for: no interrupt reports these. Returns whether it has woken them.
    pub(crate) fn wake_without_interrupt(&self, device: &Device<'_>) -> bool {
        let mut state = self.state.lock();
        if core::mem::take(&mut state.outrun) {
            let announced = state.announced;
            self.wake_for(&mut state, announced);
            return true;
        }
        match state.life {
            Life::Runs(generation) if !device.registers().is_current(generation) => {
                let (tail, known) = state.announced;
                if !known {
                    self.wake_for(&mut state, (tail, true));
                }
                !known
            }
            Life::Runs(_) | Life::Stopped | Life::Gone => false,
        }
    }

    fn wake_for(&self, state: &mut State, news: (u32, bool)) {
        state.announced = news;
        state.polled = false;
        if let Some(event) = &state.event {
            event.signal();
        }
        self.wake.notify_all();
    }

    /// Returns whether there are waiters, or may be.
    pub(crate) fn awaited(&self) -> bool {
        let state = self.state.lock();
        state.asleep > 0 || state.polled || state.event.is_some()
    }

    /// Returns the run of the queue, for [`Waiters::wait`].
    pub(crate) fn run(&self) -> u32 {
        self.state.lock().run
    }

    /// Waits until the queue has posted `wanted` completions in this run. Sets `tail` to the number
    /// that it has posted.
    ///
    /// # Errors
    ///
    /// As [`Waiters::sleep_until`]; `EIO` if the queue stopped or was reset.
    pub(crate) fn wait(
        &self,
        gate: &Gate,
        run: u32,
        wanted: u32,
        deadline: &Deadline,
        signals: Signals,
        tail: &mut u32,
    ) -> Result {
        self.sleep_until(gate, deadline, signals, |device, state| {
            self.look(device, state, run, wanted, tail)
        })
    }

    /// Waits until no other call carries out descriptors, and keeps other calls from it.
    ///
    /// # Errors
    ///
    /// As [`Waiters::sleep_until`].
    pub(crate) fn take_turn(&self, gate: &Gate, deadline: &Deadline) -> Result<Turn<'_>> {
        let mut run = 0;
        self.sleep_until(gate, deadline, Signals::Any, |_device, state| {
            run = state.run;
            Ok(!core::mem::replace(&mut state.busy, true))
        })?;
        Ok(Turn { waiters: self, run })
    }

    /// Sleeps until `done` returns true. If it returns false, something must wake the caller:
    /// `done` has armed for a completion, or waits for another call to end.
    ///
    /// Sleeps outside the gate, so that the device can go.
    ///
    /// # Errors
    ///
    /// `ETIMEDOUT`; `EIO` if the device is lost; `ENXIO` if the file does not have the queue any
    /// more; `ENODEV`; as [`Signals::sleep`]; the errors of `done`.
    fn sleep_until(
        &self,
        gate: &Gate,
        deadline: &Deadline,
        signals: Signals,
        mut done: impl FnMut(&Device<'_>, &mut State) -> Result<bool>,
    ) -> Result {
        loop {
            // First: the completion may come with the end of the time.
            let expired = deadline.is_over();
            // The lock is kept until the call sleeps. Otherwise a wake-up between this look and the
            // sleep would be lost.
            let waiting = gate.with(|device| {
                let mut state = self.state.lock();
                if state.life == Life::Gone {
                    return Err(ENXIO);
                }
                let done = done(device, &mut state)?;
                Ok((!done).then_some(state))
            })?;
            let Some(mut state) = waiting else {
                return Ok(());
            };
            if expired {
                drop(state);
                // The server may have died, and the device with it: then the error is EIO.
                gate.with(|device| device.check(signals))?;
                return Err(ETIMEDOUT);
            }
            state.asleep += 1;
            let slept = signals.sleep(&self.wake, state, deadline);
            self.state.lock().asleep -= 1;
            slept?;
        }
    }

    /// Returns whether `wanted` completions are there. If not, the interrupt will come.
    fn look(
        &self,
        device: &Device<'_>,
        state: &mut State,
        run: u32,
        wanted: u32,
        tail: &mut u32,
    ) -> Result<bool> {
        let generation = match state.life {
            Life::Runs(generation) if state.run == run => generation,
            Life::Runs(_) | Life::Stopped | Life::Gone => return Err(EIO),
        };
        let words = device.registers().words(self.queue)?;
        let mut posted = words.load(Word::CompletionTail);
        if !reaches(posted, wanted) {
            let index = wanted.wrapping_sub(1);
            let nearer = distance(posted, index) < distance(posted, state.armed);
            if nearer {
                posted = self.arm(state, &words, index);
            }
        }
        // The generation is checked after the tail was read and before the tail is used, as a reset
        // sets the tail back. A check before the read would not notice a reset between both.
        let current = device.registers().is_current(generation);
        if current {
            *tail = posted;
        }
        let healthy = check(device, &words, generation);
        if current && reaches(posted, wanted) {
            return Ok(true);
        }
        healthy.map(|()| false)
    }

    /// Arms for completion `index`, nearer than the one that was armed for. Returns the tail as it
    /// was then.
    fn arm(&self, state: &mut State, words: &QueueWords<'_, '_>, index: u32) -> u32 {
        state.armed = index;
        let tail = wake::arm(words, wake::Waiter::Driver, index);
        // Race: the device may pass the old index after this word was overwritten and before it
        // sees the new one. Then it raises no interrupt for either. So all sleepers wake and arm
        // again.
        if reaches(tail, index.wrapping_add(1)) && state.asleep > 0 {
            self.wake.notify_all();
        }
        tail
    }

    /// Returns the events of `poll` for which the queue is ready: readable while completions are
    /// there that the process has not taken, an error if the queue stopped by itself. In any case
    /// the next completion wakes pollers, on which `epoll` with edges relies.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the device has no such queue.
    pub(crate) fn poll(&self, device: &Device<'_>) -> Result<u32> {
        let mut state = self.state.lock();
        let words = device.registers().words(self.queue)?;
        let generation = match state.life {
            Life::Runs(generation) => generation,
            Life::Stopped | Life::Gone => return Ok(bindings::POLLERR),
        };
        let mut tail = words.load(Word::CompletionTail);
        state.outrun = true;
        for _ in 0..ARMINGS {
            let armed = tail;
            tail = self.arm(&mut state, &words, armed);
            if tail == armed {
                state.outrun = false;
                break;
            }
        }
        let mut ready = 0;
        if check(device, &words, generation).is_err() {
            ready |= bindings::POLLERR;
        }
        if device.registers().is_current(generation) && tail != words.load(Word::CompletionHead) {
            ready |= bindings::POLLIN | bindings::POLLRDNORM;
        }
        // Whatever the answer is: a poller that asks for edges waits for the next completion.
        state.polled = true;
        Ok(ready)
    }
}

/// The right to carry out descriptors on a queue of the kernel. Given back when dropped.
pub(crate) struct Turn<'a> {
    waiters: &'a Waiters,
    run: u32,
}

impl Turn<'_> {
    /// Returns the run of the queue that it is for.
    pub(crate) fn run(&self) -> u32 {
        self.run
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.waiters.state.lock().busy = false;
        self.waiters.wake.notify_all();
    }
}

/// Checks that a queue that was started in `generation` still runs.
///
/// # Errors
///
/// `EIO` if not.
fn check(device: &Device<'_>, words: &QueueWords<'_, '_>, generation: u32) -> Result {
    let runs = words.load(Word::QueueState) == pages::QUEUE_RUNNING;
    // The generation second: a reset changes the state before the generation. In the other order, a
    // state from after the reset could be paired with the generation from before it.
    if device.registers().is_current(generation) && runs {
        Ok(())
    } else {
        Err(EIO)
    }
}

/// Returns whether a tail has reached `wanted`. Both wrap around, so it has if the distance from
/// `wanted` to it is below 2^31.
fn reaches(tail: u32, wanted: u32) -> bool {
    distance(wanted, tail) < 1 << 31
}

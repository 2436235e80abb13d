// SPDX-License-Identifier: GPL-2.0-only

//! Who waits for the completions of a queue.
//!
//! The device raises an interrupt for the completion that somebody has armed for, and no other. All
//! waiters in the driver share one word to arm with, [`wake::Waiter::Driver`]; it holds the nearest
//! completion that one of them waits for. Whoever is woken and has to wait on arms anew.

use crate::{
    device::{
        gate::Gate,
        registers::QueueWords,
        Device, //
    },
    interface::{
        regs,
        ring::distance,
        wake::{
            self,
            Word,
            Words, //
        },
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
        CondVarTimeoutResult,
        Mutex, //
    },
    time::Jiffies, //
};

/// How often poll arms anew while completions come in. After that the watchdog wakes pollers: there
/// are some to take, but those of `epoll` that ask only once must hear of the next ones too.
const ARMINGS: usize = 16;

/// The waiters of one queue. Interrupt handlers and the watchdog find it in
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
    /// Which run of the queue this is: each reset of the queue begins another.
    run: u32,
    /// Completion that is armed for; whether it is still to come, the tail tells.
    armed: u32,
    /// What was announced last: the tail, and whether the queue had stopped by itself.
    announced: (u32, bool),
    event: Option<EventFd>,
    /// Calls that sleep.
    asleep: u32,
    /// A call carries out descriptors.
    busy: bool,
    /// A poller may wait: it has looked and was not woken since.
    polled: bool,
    /// Completions came in faster than poll could arm for them.
    outrun: bool,
}

/// How a queue is, as its waiters see it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
    /// It was started in this reset generation.
    Runs(u32),
    /// It was not started, or stopped to be started anew.
    Stopped,
    /// The file does not have it any more.
    Gone,
}

impl Waiters {
    /// Nobody waits for this queue, which does not run yet.
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

    /// Interrupt vector of the queue.
    pub(crate) fn vector(&self) -> u32 {
        self.vector
    }

    /// The queue was started anew, in this reset generation. Who waited for the last run is woken.
    pub(crate) fn started(&self, generation: u32) {
        let mut state = self.state.lock();
        state.life = Life::Runs(generation);
        state.run = state.run.wrapping_add(1);
        state.armed = u32::MAX;
        state.announced = (0, false);
        self.wake.notify_all();
    }

    /// The queue does not run and was not started anew. Who waits is woken.
    pub(crate) fn stopped(&self) {
        self.state.lock().life = Life::Stopped;
        self.rouse();
    }

    /// The file does not have the queue any more. Who waits is woken.
    pub(crate) fn gone(&self) {
        self.state.lock().life = Life::Gone;
        self.rouse();
    }

    /// Wakes all who wait, to look anew.
    pub(crate) fn rouse(&self) {
        let state = self.state.lock();
        if let Some(event) = &state.event {
            event.signal();
        }
        self.wake.notify_all();
    }

    /// Sets the eventfd to signal, or none. Gives the one before.
    pub(crate) fn set_event(&self, event: Option<EventFd>) -> Option<EventFd> {
        core::mem::replace(&mut self.state.lock().event, event)
    }

    /// Wakes who waits if the device has done something since the last time. Says whether it has.
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
        self.tell(&mut state, announced);
        true
    }

    /// Wakes who waits if the device was reset or is lost, or completions came that poll could not
    /// arm for: no interrupt tells of these. Says whether that is news.
    pub(crate) fn look_after(&self, device: &Device<'_>) -> bool {
        let mut state = self.state.lock();
        if core::mem::take(&mut state.outrun) {
            let announced = state.announced;
            self.tell(&mut state, announced);
            return true;
        }
        match state.life {
            Life::Runs(generation) if !device.registers().is_current(generation) => {
                let (tail, known) = state.announced;
                if !known {
                    self.tell(&mut state, (tail, true));
                }
                !known
            }
            Life::Runs(_) | Life::Stopped | Life::Gone => false,
        }
    }

    fn tell(&self, state: &mut State, news: (u32, bool)) {
        state.announced = news;
        state.polled = false;
        if let Some(event) = &state.event {
            event.signal();
        }
        self.wake.notify_all();
    }

    /// Whether somebody waits, or may wait.
    pub(crate) fn awaited(&self) -> bool {
        let state = self.state.lock();
        state.asleep > 0 || state.polled || state.event.is_some()
    }

    /// Which run of the queue this is, for [`Waiters::wait`].
    pub(crate) fn run(&self) -> u32 {
        self.state.lock().run
    }

    /// Waits until the queue has posted `wanted` completions in this run. What it has posted is in
    /// `tail`, the time that is left in `left`.
    ///
    /// # Errors
    ///
    /// As [`Waiters::sleep_until`]; `EIO` if the queue stopped or was reset.
    pub(crate) fn wait(
        &self,
        gate: &Gate,
        run: u32,
        wanted: u32,
        left: &mut Jiffies,
        tail: &mut u32,
    ) -> Result {
        self.sleep_until(gate, left, |device, state| {
            self.look(device, state, run, wanted, tail)
        })
    }

    /// Waits until no other call carries out descriptors, and keeps others from it.
    ///
    /// # Errors
    ///
    /// As [`Waiters::sleep_until`].
    pub(crate) fn take_turn(&self, gate: &Gate, left: &mut Jiffies) -> Result<Turn<'_>> {
        let mut run = 0;
        self.sleep_until(gate, left, |_device, state| {
            run = state.run;
            Ok(!core::mem::replace(&mut state.busy, true))
        })?;
        Ok(Turn { waiters: self, run })
    }

    /// Sleeps until `done` finds that there is nothing to wait for. It arms for what wakes.
    ///
    /// Sleeps outside the gate, so that the device can go.
    ///
    /// # Errors
    ///
    /// `ETIMEDOUT`; `EINTR`; `EIO` if the device is lost; `ENXIO` if the file does not have the
    /// queue any more; `ENODEV`; what `done` gives.
    fn sleep_until(
        &self,
        gate: &Gate,
        left: &mut Jiffies,
        mut done: impl FnMut(&Device<'_>, &mut State) -> Result<bool>,
    ) -> Result {
        let mut expired = false;
        loop {
            // Not unlocked before it sleeps: whoever wakes takes the lock first.
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
                // Nobody may have been there to do it.
                gate.with(|device| device.check())?;
                return Err(ETIMEDOUT);
            }
            state.asleep += 1;
            let woken = self.wake.wait_interruptible_timeout(&mut state, *left);
            state.asleep -= 1;
            match woken {
                CondVarTimeoutResult::Woken { jiffies } => *left = jiffies,
                CondVarTimeoutResult::Signal { .. } => return Err(EINTR),
                CondVarTimeoutResult::Timeout => {
                    *left = 0;
                    expired = true;
                }
            }
        }
    }

    /// Whether `wanted` completions are there. If not, the interrupt will come.
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
        // Before the tail is believed: of a device that was reset it means nothing.
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

    /// Arms for completion `index`, nearer than what was armed for. Gives the tail as it was then.
    ///
    /// If that has passed `index`, the device may have posted more before it saw the word as it was
    /// than it has after it sees this one: no interrupt tells those who had armed. They do it anew.
    fn arm(&self, state: &mut State, words: &QueueWords<'_, '_>, index: u32) -> u32 {
        state.armed = index;
        let tail = wake::arm(words, wake::Waiter::Driver, index);
        if reaches(tail, index.wrapping_add(1)) && state.asleep > 0 {
            self.wake.notify_all();
        }
        tail
    }

    /// What the queue is ready for: readable while completions are there that the process has not
    /// taken, an error if the queue stopped by itself. In any case the next completion wakes
    /// pollers, which those of `epoll` need that ask only once.
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
        // Whatever it was told: one that asks for edges waits for the next.
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
    /// The run of the queue that it is for.
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

/// Whether a queue that was started in `generation` still runs.
fn check(device: &Device<'_>, words: &QueueWords<'_, '_>, generation: u32) -> Result {
    let runs = words.load(Word::QueueState) == regs::QUEUE_RUNNING;
    // Second, as a reset puts the state before the generation.
    if device.registers().is_current(generation) && runs {
        Ok(())
    } else {
        Err(EIO)
    }
}

/// Whether a tail has come to `wanted`: a distance below half the number range means so.
fn reaches(tail: u32, wanted: u32) -> bool {
    distance(wanted, tail) < 1 << 31
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The thread that does the device's work, and the lock that it shares with the transport.

use std::hint;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::error::Error;
use crate::state::State;

/// A running device. Requests come in through [`with`](Self::with), a thread does the work.
///
/// Dropping it ends the thread.
pub struct Worker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// Data that the thread shares with the transport.
struct Shared {
    inner: Mutex<Inner>,
    wake: Condvar,
    poll_time: Duration,
}

/// The device, and the wish that the thread ends.
struct Inner {
    state: State,
    stop: bool,
}

impl Worker {
    /// Starts the thread. It sleeps while there is no work, but polls for `poll_time` after the
    /// last.
    ///
    /// # Errors
    ///
    /// Fails if the system refuses a thread.
    pub fn start(state: State, poll_time: Duration) -> Result<Self, Error> {
        let shared = Arc::new(Shared {
            inner: Mutex::new(Inner { state, stop: false }),
            wake: Condvar::new(),
            poll_time,
        });
        let thread = thread::Builder::new()
            .name("device".into())
            .spawn({
                let shared = Arc::clone(&shared);
                move || shared.work()
            })
            .map_err(|source| Error::Start {
                name: "the device's thread",
                source,
            })?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Runs a request on the device, between two pieces of its work.
    pub fn with<R>(&self, request: impl FnOnce(&mut State) -> R) -> R {
        let mut inner = self.shared.inner.lock();
        let answer = request(&mut inner.state);
        let state = &inner.state;
        // Under the lock, so the thread cannot begin to wait between this look and the call.
        // Without work no thread is woken: most requests are accesses of registers.
        if state.has_work() || state.is_awake() || state.deadline().is_some() {
            self.shared.wake.notify_one();
        }
        answer
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Set under the lock: the thread sees it before it waits, or is waiting and is woken.
        self.shared.inner.lock().stop = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported where it happened.
            let _ended = thread.join();
        }
    }
}

/// Number of polling passes before the lock is given back. Meanwhile a request waits for the lock,
/// and QEMU's threads for a processor, of which there are fewer than threads.
const LOOKS: u32 = 32;

/// Polls the doorbells for a moment. Returns whether there is work.
fn look(state: &mut State) -> bool {
    (0..LOOKS).any(|_| {
        hint::spin_loop();
        state.poll();
        state.has_work()
    })
}

impl Shared {
    /// Runs the device until the worker is dropped.
    fn work(&self) {
        let mut inner = self.inner.lock();
        let mut idle_since = None;
        while !inner.stop {
            let state = &mut inner.state;
            if state.has_work() {
                // One step per round, as reset, window close and DMA_UNMAP wait for the lock until
                // it is over.
                state.step();
                // Queues that are awake get no kick, so their doorbells are looked at between the
                // steps of other queues (data sheet 6).
                state.poll();
                // The polling time of the next work begins anew.
                idle_since = None;
            } else if state.is_awake() {
                if !look(state) {
                    match idle_since {
                        // The clock starts at the first moment without work. Work in between sets
                        // it back.
                        None => idle_since = Some(Instant::now()),
                        Some(since) if since.elapsed() >= self.poll_time => state.sleep(),
                        Some(_) => {}
                    }
                    // Without the lock, as the thread that gets the processor may be the one that
                    // waits for it.
                    MutexGuard::unlocked(&mut inner, thread::yield_now);
                }
            } else {
                // All queues sleep. Only a request, or a held interrupt that becomes due, gives
                // work.
                match state.deadline() {
                    None => self.wake.wait(&mut inner),
                    Some(deadline) => {
                        if self.wake.wait_until(&mut inner, deadline).timed_out() {
                            inner.state.poll();
                        }
                    }
                }
                idle_since = None;
            }
            // Hands the lock to a request that waits for it. Otherwise this thread would mostly
            // take it again before the other one has woken up.
            MutexGuard::bump(&mut inner);
        }
    }
}

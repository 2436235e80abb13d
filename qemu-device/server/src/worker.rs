// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The thread that does the device's work, and the lock that it shares with the transport.

use std::hint;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::error::Error;
use crate::state::State;

/// A device that runs: requests come in through [`with`](Self::with), work is done by a thread.
///
/// Dropping it ends the thread.
pub struct Worker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    inner: Mutex<Inner>,
    wake: Condvar,
    poll_time: Duration,
}

struct Inner {
    state: State,
    stop: bool,
}

impl Worker {
    /// Starts the thread. It sleeps while there is no work, but for `poll_time` after the last.
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

    /// Does something to the device between two pieces of its work.
    pub fn with<R>(&self, request: impl FnOnce(&mut State) -> R) -> R {
        let mut inner = self.shared.inner.lock();
        let answer = request(&mut inner.state);
        let state = &inner.state;
        if state.has_work() || state.is_awake() || state.deadline().is_some() {
            self.shared.wake.notify_one();
        }
        answer
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.shared.inner.lock().stop = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic of that thread has been reported where it happened.
            let _ended = thread.join();
        }
    }
}

/// How often the doorbells are looked at before anybody else gets a turn: a request that waits for the
/// lock, and QEMU's threads, of which there are more than processors.
const LOOKS: u32 = 32;

/// Looks at the doorbells for a moment. Says whether there is work.
fn look(state: &mut State) -> bool {
    (0..LOOKS).any(|_| {
        hint::spin_loop();
        state.poll();
        state.has_work()
    })
}

impl Shared {
    fn work(&self) {
        let mut inner = self.inner.lock();
        let mut idle_since = None;
        while !inner.stop {
            let state = &mut inner.state;
            if state.has_work() {
                state.step();
                state.poll();
                idle_since = None;
            } else if state.is_awake() {
                if !look(state) {
                    match idle_since {
                        None => idle_since = Some(Instant::now()),
                        Some(since) if since.elapsed() >= self.poll_time => state.sleep(),
                        Some(_) => {}
                    }
                    MutexGuard::unlocked(&mut inner, thread::yield_now);
                }
            } else {
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
            // Hands the lock to a request that waits for it: without that, this thread would
            // mostly take it again before the other one has woken up.
            MutexGuard::bump(&mut inner);
        }
    }
}

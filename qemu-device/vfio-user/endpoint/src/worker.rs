// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A thread for the work of a function, and the lock that it shares with the connection.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use parking_lot::{Condvar, Mutex, MutexGuard};
use ringbar_vfio_user::device::{Device, DmaMap, DmaRange, Interrupts, Region, SetInterrupts};
use ringbar_vfio_user::{Errno, Refusal};

use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::function::{Next, Work};
use crate::shape::Description;

/// A function at work. The lock is free between two pieces of its work. So a request, also one that
/// takes memory away, is answered only when no copy is under way.
///
/// Dropping it ends the thread. A [`Connection`](crate::Connection) serves it as it serves an
/// [`Endpoint`]: `connection.serve(&mut Worker::start(endpoint)?)`.
pub struct Worker<F> {
    shared: Arc<Shared<F>>,
    description: Arc<Description>,
    thread: Option<JoinHandle<()>>,
}

/// Data that the thread shares with the connection.
struct Shared<F> {
    inner: Mutex<Inner<F>>,
    wake: Condvar,
}

/// The function, and the wish that the thread ends.
struct Inner<F> {
    endpoint: Endpoint<F>,
    stop: bool,
}

impl<F: Work + Send + 'static> Worker<F> {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// Fails if the system refuses a thread.
    pub fn start(endpoint: Endpoint<F>) -> Result<Self, Error> {
        let description = Arc::clone(endpoint.description());
        let shared = Arc::new(Shared {
            inner: Mutex::new(Inner {
                endpoint,
                stop: false,
            }),
            wake: Condvar::new(),
        });
        let thread = thread::Builder::new()
            .name("device".into())
            .spawn({
                let shared = Arc::clone(&shared);
                move || shared.work()
            })
            .map_err(Error::Thread)?;
        Ok(Self {
            shared,
            description,
            thread: Some(thread),
        })
    }
}

impl<F: Work> Worker<F> {
    /// Carries out a request between two pieces of work.
    pub fn with<R>(&self, request: impl FnOnce(&mut Endpoint<F>) -> R) -> R {
        let mut inner = self.shared.inner.lock();
        let answer = request(&mut inner.endpoint);
        // Under the lock, so the thread cannot begin to wait between this look and the call.
        // Without work no thread is woken: most requests are accesses of registers.
        if inner.endpoint.function().has_work() {
            self.shared.wake.notify_one();
        }
        answer
    }
}

impl<F> Drop for Worker<F> {
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

impl<F: Work> Shared<F> {
    /// Works until the worker is dropped.
    fn work(&self) {
        let mut inner = self.inner.lock();
        while !inner.stop {
            // One piece per round: reset and DMA_UNMAP wait for the lock until it is over.
            match inner.endpoint.run(F::work) {
                Next::Now => {}
                // Without the lock, as the thread that gets the processor may be the one that waits
                // for it.
                Next::Yield => MutexGuard::unlocked(&mut inner, thread::yield_now),
                Next::At(time) => {
                    let _timed_out = self.wake.wait_until(&mut inner, time);
                }
                Next::Wait => self.wake.wait(&mut inner),
            }
            // Hands the lock to a request that waits for it. Otherwise this thread would mostly
            // take it again before the other one has woken up.
            MutexGuard::bump(&mut inner);
        }
    }
}

impl<F: Work> Device for Worker<F> {
    type Fd = OwnedFd;

    fn regions(&self) -> &[Region<OwnedFd>] {
        &self.description.regions
    }

    fn interrupts(&self) -> &[Interrupts] {
        &self.description.interrupts
    }

    fn read(&mut self, region: u32, offset: u64, data: &mut [u8]) -> Result<(), Errno> {
        self.with(|endpoint| endpoint.read(region, offset, data))
    }

    fn write(&mut self, region: u32, offset: u64, data: &[u8]) -> Result<(), Errno> {
        self.with(|endpoint| endpoint.write(region, offset, data))
    }

    fn dma_map(&mut self, map: DmaMap<OwnedFd>) -> Result<(), Refusal> {
        self.with(|endpoint| endpoint.dma_map(map))
    }

    fn dma_unmap(&mut self, range: DmaRange) -> Result<(), Refusal> {
        self.with(|endpoint| endpoint.dma_unmap(range))
    }

    fn set_interrupts(&mut self, request: SetInterrupts<OwnedFd>) -> Result<(), Errno> {
        self.with(|endpoint| endpoint.set_interrupts(request))
    }

    fn reset(&mut self) -> Result<(), Errno> {
        self.with(Endpoint::reset)
    }
}

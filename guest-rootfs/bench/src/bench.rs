// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Context of a measurement: the device, the host, and timing.

use ringbar_client::{descriptors, page_size, Buffer, Device, Mapping, Queue, Rights};
use ringbar_spec::layout::PAGE_STRIDE;
use ringbar_spec::regs;
use ringbar_spec::ring::{Completion, Descriptor, Status};
use rustix::fs::{ftruncate, memfd_create, MemfdFlags};
use rustix::io::Errno;
use std::fs::File;
use std::hint::spin_loop;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Shortest time of a measured burst.
const BURST: Duration = Duration::from_millis(20);
/// Shortest time of the warm-up before it. Meanwhile QEMU translates the code, the device wakes,
/// and the host moves the busy threads to separate processors.
const WARM_UP: Duration = Duration::from_millis(50);
/// Looks at memory between two checks that the device still responds, or of the time.
pub(crate) const LOOKS: u32 = 1_000_000;
/// Longest time of a call, and for a completion, a word or an interrupt.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Size of the small copies by which operations are counted.
pub(crate) const SMALL: usize = 64;

/// Reason for which something cannot be measured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The driver or the device failed a call.
    #[error(transparent)]
    Client(#[from] ringbar_client::Error),
    /// The kernel failed a call.
    #[error("cannot {action}: {errno}")]
    System {
        /// Attempted action.
        action: &'static str,
        /// Error of the kernel.
        errno: Errno,
    },
    /// A descriptor ended with an error.
    #[error("the device returned status {0}")]
    Status(u16),
    /// Something needed is missing.
    #[error("{0}")]
    Missing(String),
}

/// Measurements outside the guest.
pub trait Outside {
    /// Measures something on the host, by name. Returns the figure.
    ///
    /// # Errors
    ///
    /// The reason for which there is no figure.
    fn measure(&mut self, what: &str) -> Result<f64, String>;
}

/// A device under measurement.
pub struct Bench {
    node: PathBuf,
    /// Another one, whose server is behind a broker.
    brokered: Option<PathBuf>,
    outside: Option<Box<dyn Outside>>,
}

impl Bench {
    /// Returns a context for the device behind a node. Without `outside`, some rows cannot be
    /// measured.
    pub fn new(node: impl AsRef<Path>, outside: Option<Box<dyn Outside>>) -> Self {
        Self {
            node: node.as_ref().to_owned(),
            brokered: None,
            outside,
        }
    }

    /// Returns the same context with a second device, whose server is behind a broker.
    pub fn with_brokered(self, node: impl AsRef<Path>) -> Self {
        Self {
            brokered: Some(node.as_ref().to_owned()),
            ..self
        }
    }

    /// Opens the device. Each measurement has its own file, and closing the file cleans up.
    pub(crate) fn open(&self) -> Result<Device, Error> {
        Ok(Device::open(&self.node)?)
    }

    /// Opens the device behind a broker.
    pub(crate) fn open_brokered(&self) -> Result<Device, Error> {
        let node = self.brokered.as_ref().ok_or_else(|| {
            Error::Missing("the machine has no device behind a broker; `make bench` has one".into())
        })?;
        Ok(Device::open(node)?)
    }

    /// Asks the host for a figure.
    pub(crate) fn ask(&mut self, what: &str) -> Result<f64, Error> {
        let outside = self.outside.as_mut().ok_or_else(|| {
            Error::Missing("the guest cannot measure the host; `make bench` measures both".into())
        })?;
        let figure = outside.measure(what);
        figure.map_err(|reason| Error::Missing(format!("{what}: {reason}")))
    }
}

/// Returns a rate per second. Calls `burst`, which returns the number of operations, until enough
/// time has passed. The first round is the warm-up.
pub(crate) fn rate(mut burst: impl FnMut() -> Result<u64, Error>) -> Result<f64, Error> {
    let mut rate = 0.0;
    for least in [WARM_UP, BURST] {
        let (start, mut done) = (Instant::now(), 0u64);
        while start.elapsed() < least {
            done = done.saturating_add(burst()?);
        }
        rate = done as f64 / start.elapsed().as_secs_f64();
    }
    Ok(rate)
}

/// Converts a rate per second into nanoseconds per operation.
pub(crate) fn nanoseconds(rate: f64) -> f64 {
    1e9 / rate
}

/// Two buffers and a descriptor that copies from one to the other.
pub(crate) struct Copies {
    _source: Buffer,
    _destination: Buffer,
    pub(crate) descriptor: Descriptor,
}

impl Copies {
    /// Creates the buffers, `length` bytes each.
    pub(crate) fn new(device: &Device, length: usize) -> Result<Self, Error> {
        let source = device.create_buffer(length, Rights::Read)?;
        let destination = device.create_buffer(length, Rights::Write)?;
        let descriptor = descriptors::copy(
            0,
            (source.window(), 0),
            (destination.window(), 0),
            length as u32,
        );
        Ok(Self {
            _source: source,
            _destination: destination,
            descriptor,
        })
    }
}

/// Carries out one descriptor `batch` times on a mapped queue, and polls the ring until all are
/// done.
pub(crate) fn run_batch(
    queue: &mut Queue,
    descriptor: &Descriptor,
    batch: u32,
    after_submit: impl FnOnce(),
) -> Result<u64, Error> {
    for _ in 0..batch {
        queue.push(*descriptor)?;
    }
    queue.submit();
    after_submit();
    take_batch(queue, batch)
}

/// Does the same with the next batch already submitted, so that the device never waits for one.
pub(crate) fn run_ahead(
    queue: &mut Queue,
    descriptor: &Descriptor,
    batch: u32,
) -> Result<u64, Error> {
    while queue.in_flight() <= batch {
        for _ in 0..batch {
            queue.push(*descriptor)?;
        }
        queue.submit();
    }
    take_batch(queue, batch)
}

/// Takes a batch of completions and checks each.
fn take_batch(queue: &mut Queue, batch: u32) -> Result<u64, Error> {
    for _ in 0..batch {
        check(&take(queue)?)?;
    }
    Ok(batch.into())
}

/// Takes the next completion. Polls the ring until it comes.
fn take(queue: &mut Queue) -> Result<Completion, Error> {
    loop {
        for _ in 0..LOOKS {
            if let Some(completion) = queue.pop()? {
                return Ok(completion);
            }
            spin_loop();
        }
        // A dead server posts nothing. Without the check this loop would never end.
        queue.check()?;
    }
}

/// Fails if the descriptor failed.
pub(crate) fn check(completion: &Completion) -> Result<(), Error> {
    match Status(completion.status) {
        Status::OK => Ok(()),
        status => Err(Error::Status(status.0)),
    }
}

/// Maps a page of a queue once more.
pub(crate) fn page(device: &Device, offset: u64, writable: bool) -> Result<Mapping, Error> {
    let mapped = Mapping::new(device.file().clone(), offset, page_size(), writable);
    Ok(mapped?)
}

/// Offset of the kick register in its page.
pub(crate) const KICK: usize = regs::KICK::INFO.offset % PAGE_STRIDE;

/// Creates a file in memory with `size` bytes.
pub(crate) fn memory_file(size: usize) -> Result<File, Error> {
    let made = memfd_create(c"bench", MemfdFlags::CLOEXEC).and_then(|file| {
        ftruncate(&file, size as u64)?;
        Ok(File::from(file))
    });
    made.map_err(|errno| Error::System {
        action: "make a file in memory",
        errno,
    })
}

/// Maps ordinary memory in the same way as the device's, so that the same code accesses both. Every
/// page is touched once: a page fault would count otherwise.
pub(crate) fn ram(size: usize) -> Result<Mapping, Error> {
    let mapping = Mapping::new(Arc::new(memory_file(size)?), 0, size, true)?;
    mapping.write_bytes(0, &vec![0x5a; size]);
    Ok(mapping)
}

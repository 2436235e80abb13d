// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What a measurement needs: the device, the host, a way to time.

use ringbar_client::{Buffer, Device, Mapping, Queue, Rights};
use ringbar_spec::layout::PAGE_SIZE;
use ringbar_spec::regs;
use ringbar_spec::ring::{Completion, Descriptor, Opcode, Status};
use rustix::fs::{ftruncate, memfd_create, MemfdFlags};
use rustix::io::Errno;
use std::fs::File;
use std::hint::spin_loop;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Shortest time of a burst that is timed.
const BURST: Duration = Duration::from_millis(20);
/// Shortest time of what goes before it: until code is translated, the device is awake, and the host has
/// moved the threads that are busy to processors of their own.
const WARM_UP: Duration = Duration::from_millis(50);
/// How often to look at a ring before the device is asked whether it is there.
const LOOKS: u32 = 1_000_000;
/// Bytes of the small copies that operations are counted by.
pub(crate) const SMALL: usize = 64;

/// Why something cannot be measured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The driver or the device.
    #[error(transparent)]
    Client(#[from] ringbar_client::Error),
    /// A call of the kernel.
    #[error("cannot {action}: {errno}")]
    System {
        /// What was tried.
        action: &'static str,
        /// What the kernel said.
        errno: Errno,
    },
    /// A descriptor did not end well.
    #[error("the device answered status {0}")]
    Status(u16),
    /// Something is not there.
    #[error("{0}")]
    Missing(String),
}

/// What is measured outside of the guest.
pub trait Outside {
    /// Measures something on the host, by name, and gives the figure.
    ///
    /// # Errors
    ///
    /// Why not.
    fn measure(&mut self, what: &str) -> Result<f64, String>;
}

/// A device under measurement.
pub struct Bench {
    node: PathBuf,
    outside: Option<Box<dyn Outside>>,
}

impl Bench {
    /// For the device behind a node. Without `outside` some rows cannot be measured.
    pub fn new(node: impl AsRef<Path>, outside: Option<Box<dyn Outside>>) -> Self {
        Self {
            node: node.as_ref().to_owned(),
            outside,
        }
    }

    /// Opens the device. Each measurement has a file of its own, so that none has to tidy up.
    pub(crate) fn open(&self) -> Result<Device, Error> {
        Ok(Device::open(&self.node)?)
    }

    /// Asks the host.
    pub(crate) fn ask(&mut self, what: &str) -> Result<f64, Error> {
        let outside = self.outside.as_mut().ok_or_else(|| {
            Error::Missing("the host does not measure here; `make bench` has both".into())
        })?;
        let figure = outside.measure(what);
        figure.map_err(|reason| Error::Missing(format!("{what}: {reason}")))
    }
}

/// How many things a second: calls `burst`, which says how many it did, until enough time has passed.
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

/// Nanoseconds that each thing takes of which there are so many a second.
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
    /// Of `length` bytes each.
    pub(crate) fn new(device: &Device, length: usize) -> Result<Self, Error> {
        let source = device.create_buffer(length, Rights::Read)?;
        let destination = device.create_buffer(length, Rights::Write)?;
        let descriptor = Descriptor {
            opcode: Opcode::COPY.0,
            length: length as u32,
            source_window: source.window(),
            destination_window: destination.window(),
            ..Descriptor::default()
        };
        Ok(Self {
            _source: source,
            _destination: destination,
            descriptor,
        })
    }
}

/// Carries out one descriptor `batch` times on a mapped queue, and looks at the ring until it is done.
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

/// The same with the next batch on its way meanwhile, so that the device never waits for one.
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

fn take_batch(queue: &mut Queue, batch: u32) -> Result<u64, Error> {
    for _ in 0..batch {
        check(&take(queue)?)?;
    }
    Ok(batch.into())
}

/// The next completion. Looks at the ring until it is there.
fn take(queue: &mut Queue) -> Result<Completion, Error> {
    loop {
        for _ in 0..LOOKS {
            if let Some(completion) = queue.pop()? {
                return Ok(completion);
            }
            spin_loop();
        }
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

/// A page of a queue, mapped once more.
pub(crate) fn page(device: &Device, offset: u64, writable: bool) -> Result<Mapping, Error> {
    let mapped = Mapping::new(device.file().clone(), offset, PAGE_SIZE, writable);
    Ok(mapped?)
}

/// Offset of the kick register in its page.
pub(crate) const KICK: usize = regs::KICK::INFO.offset % PAGE_SIZE;

/// A file in memory with `size` bytes of it.
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

/// Ordinary memory, mapped as what the device has, so that both are accessed by the same code.
pub(crate) fn ram(size: usize) -> Result<Mapping, Error> {
    let mapping = Mapping::new(Arc::new(memory_file(size)?), 0, size, true)?;
    mapping.write_bytes(0, &vec![0x5a; size]);
    Ok(mapping)
}

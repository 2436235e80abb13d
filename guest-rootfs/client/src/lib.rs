// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Safe access to a ringbar device through its driver.
//!
//! [`Device`] is an open node. It makes [`Queue`]s, [`Buffer`]s, ranges of [`DeviceMemory`] and
//! [`Window`]s on parts of them, each with its memory mapped into the process. It also opens
//! windows on memory of the process. All of them last until the last handle of their file is
//! dropped; `close` releases one of them earlier.
//!
//! ```no_run
//! use ringbar_client::{descriptors, Device, Rights};
//! use ringbar_spec::ring::Status;
//! use std::time::Duration;
//!
//! let device = Device::open("/dev/ringbar0")?;
//! let mut queue = device.create_queue(16)?;
//! let buffer = device.create_buffer(1000, Rights::Write)?;
//! queue.push(descriptors::pattern(0, 7, (buffer.window(), 0), 1000))?;
//! let completion = queue.run(Duration::from_secs(1))?;
//! assert_eq!(Status(completion.status), Status::OK);
//! println!("first word {:#x}", buffer.mapping().read::<u64>(0));
//! # Ok::<(), ringbar_client::Error>(())
//! ```
//!
//! # Waiting
//!
//! | way | calls | example |
//! |---|---|---|
//! | poll the ring | [`Queue::pop`] | `examples/polling.rs` |
//! | sleep in a call | [`Queue::wait`] | `examples/copy.rs` |
//! | poll or epoll on the file, for all its queues | [`Device`] is `AsFd`, then [`Queue::pop`] | `examples/epoll.rs` |
//! | an eventfd for each queue | [`Queue::set_event_fd`], [`Queue::arm`], then [`Queue::pop`] | `examples/eventfd.rs` |
//!
//! # Signals
//!
//! Every call goes on after a signal, with its handler run. No descriptor is carried out twice, and
//! the time-out is that of the whole call. A program that a signal should end waits by an eventfd
//! or epoll, together with a `signalfd`.
//!
//! # Trust
//!
//! The device or another thread can change mapped memory at any time. So a [`Mapping`] never lends
//! out references to its bytes. It copies them, with accesses of exactly the width asked for. The
//! library checks the device's words before it uses them. A faulty device can make calls fail and
//! make completions meaningless. It cannot make this library panic or access memory outside a
//! mapping.
//!
//! A device that is removed takes its pages with it. Touching them then raises `SIGBUS`, as with
//! any file that is truncated while it is mapped.

mod device;
mod entries;
mod error;
mod kernel_queue;
mod mapping;
mod page;
mod queue;

pub use device::{
    Buffer, Device, DeviceMemory, KernelMemory, MemoryKind, Part, Policy, Rights, Window,
};
pub use error::Error;
pub use kernel_queue::KernelQueue;
pub use mapping::{page_size, Mapping, Word};
pub use queue::{Queue, QueueOffsets};
pub use ringbar_driver_side::descriptors;

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Safe access to a ringbar device through its driver.
//!
//! [`Device`] is an open node. From it come [`Queue`]s, [`Buffer`]s, ranges of [`DeviceMemory`] and
//! [`Window`]s on parts of them, each with its memory mapped into the process, and windows on memory
//! of the process's own. They stay until the last of them is dropped, and go together with their
//! file; `close` gives one of them back before.
//!
//! ```no_run
//! use ringbar_client::{Device, Rights};
//! use ringbar_spec::ring::{Descriptor, Opcode, Status};
//! use std::time::Duration;
//!
//! let device = Device::open("/dev/ringbar0")?;
//! let mut queue = device.create_queue(16)?;
//! let buffer = device.create_buffer(4096, Rights::Write)?;
//! queue.push(Descriptor {
//!     opcode: Opcode::PATTERN.0,
//!     length: 4096,
//!     destination_window: buffer.window(),
//!     operand: 7,
//!     ..Descriptor::default()
//! })?;
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
//! | look at the ring | [`Queue::pop`] | `examples/polling.rs` |
//! | sleep in a call | [`Queue::wait`] | `examples/copy.rs` |
//! | poll or epoll on the file, for all its queues | [`Device`] is `AsFd`, then [`Queue::pop`] | `examples/epoll.rs` |
//! | an eventfd for each queue | [`Queue::set_event_fd`], [`Queue::arm`], then [`Queue::pop`] | `examples/eventfd.rs` |
//!
//! # What is believed
//!
//! Whatever is mapped can change at any time, by the device or by another thread. So a
//! [`Mapping`] never lends out its bytes; it copies them, with accesses of just the width asked
//! for. What the device says is checked before it is used: it can make calls fail and completions
//! mean nothing, but not this library reach where it should not, or panic.
//!
//! A device that goes away takes its pages with it: touching them then ends the process by
//! `SIGBUS`, as with any file that is cut short while it is mapped.

mod device;
mod error;
mod kernel_queue;
mod mapping;
mod queue;
mod ring;

pub use device::{
    Buffer, Device, DeviceMemory, KernelMemory, Memory, Part, Policy, Rights, Window,
};
pub use error::Error;
pub use kernel_queue::KernelQueue;
pub use mapping::{Mapping, Word};
pub use queue::{Queue, QueueOffsets};

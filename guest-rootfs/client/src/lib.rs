// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Safe access to a ringbar device through its driver.
//!
//! [`Device`] is an open node. From it come [`Queue`]s, [`Buffer`]s and ranges of
//! [`DeviceMemory`], each with its memory mapped into the process. They end together: what a file
//! owns goes when the last of them is dropped.
//!
//! Whatever is mapped can change at any time, by the device or by another thread. So a
//! [`Mapping`] never lends out its bytes; it copies them, with accesses of just the width asked
//! for.
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

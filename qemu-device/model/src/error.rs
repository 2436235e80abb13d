// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Reasons for which a device cannot be made. Errors of the guest are none of them: they go to the
//! device's error log.

use crate::MAX_VECTORS;
use ringbar_spec::ids::BOOT_NUMBER_MAX;
use ringbar_spec::layout::{DEVICE_MEMORY_MAX, DEVICE_MEMORY_MIN, MAX_QUEUES};

/// A [`Config`](crate::Config) that no device can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// No queues, or more than there are pages for.
    #[error("the device cannot have {0} queues: give 1 to {MAX_QUEUES}")]
    Queues(u16),
    /// No interrupt vector, or more than one per queue and one for errors.
    #[error("the device cannot have {0} interrupt vectors: give 1 to {MAX_VECTORS}")]
    Vectors(u16),
    /// Device memory of a size that cannot be a BAR with three parts.
    #[error(
        "the device memory cannot have {0} bytes: give a power of two from {DEVICE_MEMORY_MIN} \
         to {DEVICE_MEMORY_MAX}"
    )]
    DeviceMemory(u64),
    /// A boot number that no device has.
    #[error("the device cannot have boot number {0}: give 1 to {BOOT_NUMBER_MAX}")]
    BootNumber(u32),
}

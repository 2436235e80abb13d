// SPDX-License-Identifier: GPL-2.0-only

//! Memory that descriptors reach through windows, and memory of the kernel that processes map.

pub(crate) mod buffer;
pub(crate) mod device_memory;
pub(crate) mod ioctls;
pub(crate) mod kernel_memory;
pub(crate) mod owned;
pub(crate) mod owner;
mod pinned;
pub(crate) mod streaming;
mod user_memory;
mod view;
pub(crate) mod window;
pub(crate) mod window_ioctls;

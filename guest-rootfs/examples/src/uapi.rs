// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The interfaces between processes and the example drivers: the drivers' own files.

#[path = "../../../guest-driver/edu/uapi.rs"]
pub mod edu;
#[path = "../../../guest-driver/shared_buffer/uapi.rs"]
pub mod shared_buffer;
#[path = "../../../guest-driver/sum/uapi.rs"]
pub mod sum;

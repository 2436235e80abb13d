// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Builds the initramfs: a reproducible archive, made without root.
//!
//! [`options`] parses the command line, and [`tree`] holds the contents of the guest. [`archive`]
//! turns them into bytes, and [`packed`] reads such bytes. `ci/guest.sh` chooses the contents of
//! ringbar's guest.

#![forbid(unsafe_code)]

pub mod archive;
mod error;
pub mod options;
pub mod packed;
pub mod tree;

pub use error::Error;

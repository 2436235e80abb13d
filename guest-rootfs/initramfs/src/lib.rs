// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Builds the initramfs: a reproducible archive, made without root.
//!
//! [`options`] says what the command line can ask for, [`tree`] what the guest shall hold, [`archive`]
//! turns that into bytes, [`packed`] says what such bytes hold. What goes into ringbar's guest is chosen in `ci/guest.sh`, not here.

#![forbid(unsafe_code)]

pub mod archive;
mod error;
pub mod options;
pub mod packed;
pub mod tree;

pub use error::Error;

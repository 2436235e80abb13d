// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Test vectors of the device as data, with the results that the data sheet demands.
//!
//! A [`TestVector`] is a batch of descriptors with their completions. All vectors run on one
//! [`scene`]: memories with known bytes, and windows of every kind on them. A [`Path`] is a way to
//! the device: it makes memories and windows, carries descriptors out, and reads bytes back.
//! [`run`] runs vectors on a path and compares every completion and every byte of every memory. It
//! reports one [`Row`] per vector; [`Table`] puts the rows of several paths side by side.
//!
//! [`Images`] computes the results of a descriptor. It is written from the data sheet and shares no
//! code with the model. Vectors made by hand state their results as well.
//!
//! [`dma`] has the cases of an IOMMU, for paths that decide themselves which memory the device
//! reaches.
//!
//! This crate does no I/O.

#![forbid(unsafe_code)]

mod check;
mod crc32c;
pub mod dma;
mod images;
mod path;
mod pattern;
mod random;
pub mod scene;
mod table;
mod vector;

pub use check::{status, windows_used, Opened, Target};
pub use crc32c::crc32c;
pub use images::Images;
pub use path::{run, Failure, Path, BATCH};
pub use pattern::pattern_bytes;
pub use random::Generator;
pub use table::{Row, Table};
pub use vector::{all, by_chance, by_hand, TestVector, DEFAULT_SEED};

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Format of a run's records. The witness (a plugin of QEMU) and the server write [`record`]s, one
//! line of JSON each, with times of the same clock. In a run that measures coverage the witness
//! writes [`executed`] code in their place. This crate has the formats only; other crates write and
//! read the records.

pub mod executed;
pub mod place;
pub mod record;
pub mod register_names;

// SPDX-License-Identifier: GPL-2.0-only

//! Maps memory of a device, and of the kernel, to processes, and takes it back at any time.
//!
//! The layer knows no device. A module compiles it by path, and implements [`driver::Driver`] for
//! itself and [`kind::Kind`] for each sort of region that its files show. `README.md` lists the
//! other parts.
//!
//! The rules of every mapping: it is shared, never executable, lies in one region as a whole, is
//! counted per VMA, and loses its pages when its region or its device goes.

#![allow(dead_code, reason = "a driver uses a part of the layer")]

pub(crate) mod access;
pub(crate) mod arguments;
pub(crate) mod binding;
pub(crate) mod cache;
pub(crate) mod deadline;
pub(crate) mod driver;
pub(crate) mod events;
pub(crate) mod file;
mod file_operations;
pub(crate) mod gate;
mod implied_exec;
pub(crate) mod kind;
mod listing;
pub(crate) mod map;
pub(crate) mod mappable;
pub(crate) mod mapped_file;
mod mappings;
pub(crate) mod memory;
pub(crate) mod node;
pub(crate) mod number_set;
pub(crate) mod numbers;
#[allow(unreachable_pub, reason = "programs compile the file too")]
pub(crate) mod offset;
mod operations;
pub(crate) mod pci;
pub(crate) mod pci_data;
pub(crate) mod prelude;
pub(crate) mod serial;
pub(crate) mod series;
pub(crate) mod setup;
pub(crate) mod signals;
pub(crate) mod turns;

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A driver of the device in a process: the kernel's driver is taken off, `vfio-pci` gives the
//! device to the process, and an IOMMU keeps it to memory that the process has mapped. Path B of
//! the test vectors, and a beginning for drivers of one's own.
//!
//! [`Taken`] is the function while the kernel's driver is off it, [`Space`] the addresses that the
//! device sees, and [`VfioDriver`] drives the device: rings, windows and interrupts from the data
//! sheet, apart from the kernel driver and its client library.

pub mod calls;
mod driver;
mod error;
mod handover;
mod space;
mod words;

pub use driver::VfioDriver;
pub use error::Error;
pub use handover::Taken;
pub use space::{Kind, Space};

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A driver of the device in a process. The kernel's driver is unbound, `vfio-pci` gives the device
//! to the process, and an IOMMU restricts the device to memory that the process has mapped. It is
//! path B of the test vectors, and a starting point for other drivers.
//!
//! [`Taken`] is the function while `vfio-pci` is bound to it. [`Space`] is the device's address
//! space. [`VfioDriver`] drives the device with rings, windows and interrupts as in the data sheet.
//! It shares only `ringbar-spec` with the kernel driver, and [`Mapping`](ringbar_client::Mapping)
//! with the client library.

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

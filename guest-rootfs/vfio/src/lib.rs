// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A driver of the device in a process. The kernel's driver is unbound, `vfio-pci` gives the device
//! to the process, and an IOMMU restricts the device to memory that the process has mapped. It is
//! path B of the test vectors, and a starting point for other drivers.
//!
//! [`Taken`] is the function while `vfio-pci` is bound to it. [`Space`] is the device's address
//! space. [`Vfio`] is a transport: regions, interrupts and memory. The driver itself is
//! `ringbar_driver_side`, which path C (`qemu-device/proof/host-driver`) shares. The kernel driver has
//! no code of it. [`Mapping`](ringbar_client::Mapping) is that of the client library.

pub mod calls;
mod error;
mod handover;
mod space;
mod transport;

pub use error::Error;
pub use handover::Taken;
pub use space::{Kind, Space};
pub use transport::{open, Pages, Vfio, VfioDriver};

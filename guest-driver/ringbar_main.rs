// SPDX-License-Identifier: GPL-2.0-only

//! Driver for the ringbar PCI device: maps its registers, its memory and DMA rings to processes.
//!
//! `README.md` tells what a process sees, `../ARCHITECTURE.md` how a request travels. In short:
//! [`driver`] binds to the device, [`device`] talks to it, [`file`] is what an open file owns,
//! [`chardev`] the node in `/dev`, [`mmap`] the mappings, and [`gate`] keeps all of them apart from
//! a device that goes away.

mod binding;
mod buffer;
mod chardev;
mod debugfs;
mod device;
mod driver;
mod file;
mod gate;
mod interface;
mod interrupt;
mod mappings;
mod memory;
mod mmap;
mod queue;
mod ranges;
mod resources;
#[cfg(ringbar_sabotage)]
mod sabotage;
mod shared;

kernel::module_pci_driver! {
    type: driver::RingbarDriver,
    name: "ringbar",
    authors: ["The ringbar authors"],
    description: "Driver for the ringbar PCI device",
    license: "GPL v2",
}

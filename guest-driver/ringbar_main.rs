// SPDX-License-Identifier: GPL-2.0-only

//! Driver for the ringbar PCI device: maps its registers, its memory and DMA rings to processes.
//!
//! `README.md` tells what a process sees, `../ARCHITECTURE.md` how a request travels. In short:
//! [`driver`] binds to the device, [`device`] talks to it, [`file`] is what an open file owns,
//! [`chardev`] the node in `/dev`, [`mmap`] the mappings, and [`device::gate`] keeps all of them apart
//! from a device that goes away.

mod binding;
mod buffer;
mod cache;
mod chardev;
mod debugfs;
mod device;
mod driver;
mod eventfd;
mod execute;
mod file;
mod interface;
mod interrupt;
mod kinds;
mod memory;
mod mmap;
mod queue;
#[cfg(ringbar_sabotage)]
mod sabotage;
mod shared;
mod streaming;
mod transfer;
mod user_memory;
mod waiters;
mod wakeups;
mod watchdog;
mod window;

kernel::module_pci_driver! {
    type: driver::RingbarDriver,
    name: "ringbar",
    authors: ["The ringbar authors"],
    description: "Driver for the ringbar PCI device",
    license: "GPL v2",
    params: {
        user_queues: u32 {
            default: 32,
            description: "Most queues that a user may have of a device, 0 for no limit",
        },
        user_windows: u32 {
            default: 512,
            description: "Most windows that a user may have of a device, 0 for no limit",
        },
        user_buffers: u32 {
            default: 512,
            description: "Most buffers that a user may have of a device, 0 for no limit",
        },
        user_bytes: u64 {
            default: 128 << 20,
            description: "Most bytes that a user may have of a device, 0 for no limit",
        },
        device_queues: u32 {
            default: 0,
            description: "Most queues that all users may have of a device, 0 for no limit",
        },
        device_windows: u32 {
            default: 0,
            description: "Most windows that all users may have of a device, 0 for no limit",
        },
        device_buffers: u32 {
            default: 2048,
            description: "Most buffers that all users may have of a device, 0 for no limit",
        },
        device_bytes: u64 {
            default: 256 << 20,
            description: "Most bytes that all users may have of a device, 0 for no limit",
        },
    },
}

// SPDX-License-Identifier: GPL-2.0-only

//! Driver for the ringbar PCI device: maps its registers, its memory and DMA rings to processes.
//!
//! `README.md` describes what a process sees, `../ARCHITECTURE.md` how a request travels. In short,
//! from above: [`driver`] probes the device. [`binding`] has interrupts and debugfs. [`file`] is an
//! open file with its queues ([`queue`]) and memory ([`memory`]). [`device`] talks to the device.
//! [`mapping`] has the node, shows all this to processes, and takes it back when the device goes.

mod binding;
mod device;
mod driver;
mod file;
mod interface;
mod mapping;
mod memory;
mod queue;
#[cfg(sabotage)]
mod sabotage;

kernel::module_pci_driver! {
    type: driver::RingbarDriver,
    name: "ringbar",
    authors: ["The ringbar authors"],
    description: "Driver for the ringbar PCI device",
    license: "GPL v2",
    params: {
        user_queues: u32 {
            default: 32,
            description: "Most queues per user and device, 0 for no limit",
        },
        user_windows: u32 {
            default: 512,
            description: "Most windows per user and device, 0 for no limit",
        },
        user_buffers: u32 {
            default: 512,
            description: "Most buffers per user and device, 0 for no limit",
        },
        user_bytes: u64 {
            default: 128 << 20,
            description: "Most bytes per user and device, 0 for no limit",
        },
        device_queues: u32 {
            default: 0,
            description: "Most queues per device, of all users together, 0 for no limit",
        },
        device_windows: u32 {
            default: 0,
            description: "Most windows per device, of all users together, 0 for no limit",
        },
        device_buffers: u32 {
            default: 2048,
            description: "Most buffers per device, of all users together, 0 for no limit",
        },
        device_bytes: u64 {
            // Behind an IOMMU each page of 4096 bytes can be a mapping of the server, which takes 65,535.
            // It would refuse more of them where nobody hears of it; this limit refuses by ENOSPC.
            default: 240 << 20,
            description: "Most bytes per device, of all users together, 0 for no limit",
        },
    },
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! VFIO ioctls with arbitrary arguments, for tests of refusals. `vfio-ioctls` checks arguments
//! first, or does not report that a call failed.

#![expect(
    unsafe_code,
    reason = "makes ioctls that vfio-ioctls has no such call for"
)]

use crate::space::fd;
use rustix::io::Errno;
use rustix::ioctl::{ioctl, opcode, NoArg, Opcode, Setter, Updater};
use std::os::fd::RawFd;
use vfio_bindings::bindings::vfio::{vfio_irq_info, vfio_region_info, VFIO_BASE, VFIO_TYPE};
use vfio_ioctls::VfioDevice;

const GET_REGION_INFO: Opcode = opcode::none(VFIO_TYPE, VFIO_BASE as u8 + 8);
const GET_IRQ_INFO: Opcode = opcode::none(VFIO_TYPE, VFIO_BASE as u8 + 9);
const SET_IRQS: Opcode = opcode::none(VFIO_TYPE, VFIO_BASE as u8 + 10);
const RESET: Opcode = opcode::none(VFIO_TYPE, VFIO_BASE as u8 + 11);
const HOT_RESET: Opcode = opcode::none(VFIO_TYPE, VFIO_BASE as u8 + 13);

/// Returns the answer of `VFIO_DEVICE_GET_REGION_INFO`, without capabilities.
pub fn region_info(device: &VfioDevice, index: u32) -> Result<vfio_region_info, Errno> {
    let mut info = vfio_region_info {
        argsz: size_of::<vfio_region_info>() as u32,
        index,
        ..Default::default()
    };
    // SAFETY: The number belongs to a call that reads and writes such a structure.
    let call = unsafe { Updater::<GET_REGION_INFO, _>::new(&mut info) };
    // SAFETY: The updater borrows `info` exclusively. `argsz` limits the kernel's writes to it.
    unsafe { ioctl(fd(device), call) }?;
    Ok(info)
}

/// Returns how many interrupts of a kind there are: `VFIO_DEVICE_GET_IRQ_INFO`.
pub fn interrupts(device: &VfioDevice, index: u32) -> Result<u32, Errno> {
    let mut info = vfio_irq_info {
        argsz: size_of::<vfio_irq_info>() as u32,
        index,
        ..Default::default()
    };
    // SAFETY: The number belongs to a call that reads and writes such a structure.
    let call = unsafe { Updater::<GET_IRQ_INFO, _>::new(&mut info) };
    // SAFETY: The updater borrows `info` exclusively. `argsz` limits the kernel's writes to it.
    unsafe { ioctl(fd(device), call) }?;
    Ok(info.count)
}

/// Arguments of `VFIO_DEVICE_SET_IRQS`. `size` covers the whole structure.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct InterruptSet {
    /// Size in bytes, filled in by [`set_interrupts`].
    pub size: u32,
    /// Kind of `data`, and the action.
    pub flags: u32,
    /// Kind of interrupts, as VFIO numbers them.
    pub index: u32,
    /// First interrupt.
    pub start: u32,
    /// Number of interrupts.
    pub count: u32,
    /// Data of the kind that `flags` names, such as descriptors of eventfds.
    pub data: [i32; 4],
}

/// Issues `VFIO_DEVICE_SET_IRQS`. Fails with the kernel's error.
pub fn set_interrupts(device: &VfioDevice, set: InterruptSet) -> Result<(), Errno> {
    let set = InterruptSet {
        size: size_of::<InterruptSet>() as u32,
        ..set
    };
    // SAFETY: The number belongs to a call that reads at most as many bytes as `size` names.
    let call = unsafe { Setter::<SET_IRQS, _>::new(set) };
    // SAFETY: The setter holds the structure, whose size is `size`. The kernel only reads it.
    unsafe { ioctl(fd(device), call) }
}

/// Resets the function with `VFIO_DEVICE_RESET`.
pub fn reset(device: &VfioDevice) -> Result<(), Errno> {
    // SAFETY: The number belongs to a call without an argument.
    let call = unsafe { NoArg::<RESET>::new() };
    // SAFETY: The kernel accesses no memory of the process for this call.
    unsafe { ioctl(fd(device), call) }
}

/// Most groups of [`hot_reset`].
const MOST_GROUPS: usize = 4;

/// Arguments of `VFIO_DEVICE_PCI_HOT_RESET`. `size` covers the whole structure.
#[repr(C)]
struct HotReset {
    size: u32,
    flags: u32,
    count: u32,
    groups: [RawFd; MOST_GROUPS],
}

/// Resets the bus of the device with `VFIO_DEVICE_PCI_HOT_RESET`. Fails with the kernel's error.
///
/// # Panics
///
/// If there are more than four groups.
pub fn hot_reset(device: &VfioDevice, groups: &[RawFd]) -> Result<(), Errno> {
    let mut reset = HotReset {
        size: size_of::<HotReset>() as u32,
        flags: 0,
        count: groups.len() as u32,
        groups: [-1; MOST_GROUPS],
    };
    reset.groups[..groups.len()].copy_from_slice(groups);
    // SAFETY: The number belongs to a call that reads at most as many bytes as `size` names, and at
    // most `count` descriptors among them.
    let call = unsafe { Setter::<HOT_RESET, _>::new(reset) };
    // SAFETY: The setter holds the structure, whose size is `size`. The kernel only reads it.
    unsafe { ioctl(fd(device), call) }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Calls of VFIO with whatever arguments, to see what they refuse. `vfio-ioctls` checks first, or
//! does not say that a call failed.

#![expect(
    unsafe_code,
    reason = "makes ioctls that vfio-ioctls has no such call for"
)]

use crate::space::fd;
use rustix::io::Errno;
use rustix::ioctl::{ioctl, opcode, NoArg, Opcode, Setter, Updater};
use vfio_bindings::bindings::vfio::{vfio_irq_info, vfio_region_info, VFIO_BASE, VFIO_TYPE};
use vfio_ioctls::VfioDevice;

const GET_REGION_INFO: Opcode = opcode::none(VFIO_TYPE, VFIO_BASE as u8 + 8);
const GET_IRQ_INFO: Opcode = opcode::none(VFIO_TYPE, VFIO_BASE as u8 + 9);
const SET_IRQS: Opcode = opcode::none(VFIO_TYPE, VFIO_BASE as u8 + 10);
const RESET: Opcode = opcode::none(VFIO_TYPE, VFIO_BASE as u8 + 11);

/// `VFIO_DEVICE_GET_REGION_INFO`, without capabilities.
pub fn region_info(device: &VfioDevice, index: u32) -> Result<vfio_region_info, Errno> {
    let mut info = vfio_region_info {
        argsz: size_of::<vfio_region_info>() as u32,
        index,
        ..Default::default()
    };
    // SAFETY: The number belongs to a call that reads and writes such a structure.
    let call = unsafe { Updater::<GET_REGION_INFO, _>::new(&mut info) };
    // SAFETY: As above.
    unsafe { ioctl(fd(device), call) }?;
    Ok(info)
}

/// How many interrupts of a kind there are: `VFIO_DEVICE_GET_IRQ_INFO`.
pub fn interrupts(device: &VfioDevice, index: u32) -> Result<u32, Errno> {
    let mut info = vfio_irq_info {
        argsz: size_of::<vfio_irq_info>() as u32,
        index,
        ..Default::default()
    };
    // SAFETY: The number belongs to a call that reads and writes such a structure.
    let call = unsafe { Updater::<GET_IRQ_INFO, _>::new(&mut info) };
    // SAFETY: As above.
    unsafe { ioctl(fd(device), call) }?;
    Ok(info.count)
}

/// Arguments of `VFIO_DEVICE_SET_IRQS`. The size that it names is always that of all of it.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct InterruptSet {
    /// Set by [`set_interrupts`].
    pub size: u32,
    /// What `data` is, and what to do.
    pub flags: u32,
    /// Kind of interrupts.
    pub index: u32,
    /// The first one.
    pub start: u32,
    /// How many.
    pub count: u32,
    /// As the flags say; descriptors of eventfds, as far as they go.
    pub data: [i32; 4],
}

/// `VFIO_DEVICE_SET_IRQS`.
pub fn set_interrupts(device: &VfioDevice, set: InterruptSet) -> Result<(), Errno> {
    let set = InterruptSet {
        size: size_of::<InterruptSet>() as u32,
        ..set
    };
    // SAFETY: The number belongs to a call that reads as many bytes as `size` says, no more.
    let call = unsafe { Setter::<SET_IRQS, _>::new(set) };
    // SAFETY: As above.
    unsafe { ioctl(fd(device), call) }
}

/// Resets the function: `VFIO_DEVICE_RESET`.
pub fn reset(device: &VfioDevice) -> Result<(), Errno> {
    // SAFETY: The number belongs to a call without an argument.
    let call = unsafe { NoArg::<RESET>::new() };
    // SAFETY: As above.
    unsafe { ioctl(fd(device), call) }
}

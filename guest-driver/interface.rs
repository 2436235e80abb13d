// SPDX-License-Identifier: GPL-2.0-only

//! The shared interface files, compiled into the module by path.
//!
//! The hardware interface belongs to `../qemu-device/spec`, the user interface to `uapi`. This file
//! only fits them into the kernel.

#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "the module does not use all of the interface"
)]

/// The functions that `mmap.rs` imports from `super::offset`.
pub(crate) use crate::mapping::offset;
/// The macro that `regs.rs` imports as `super::register`.
pub(crate) use kernel::io::register;

#[path = "../qemu-device/spec/src/error.rs"]
pub(crate) mod error;
#[path = "../qemu-device/spec/src/ids.rs"]
pub(crate) mod ids;
#[path = "../qemu-device/spec/src/layout.rs"]
pub(crate) mod layout;
#[path = "../qemu-device/spec/src/pages.rs"]
pub(crate) mod pages;
#[path = "../qemu-device/spec/src/regs.rs"]
pub(crate) mod regs;
#[path = "../qemu-device/spec/src/ring.rs"]
pub(crate) mod ring;
#[path = "../qemu-device/spec/src/setup.rs"]
pub(crate) mod setup;
#[path = "../qemu-device/spec/src/wake.rs"]
pub(crate) mod wake;

#[path = "uapi/src/ioctl.rs"]
pub(crate) mod ioctl;
#[path = "uapi/src/mmap.rs"]
pub(crate) mod mmap;

/// The block in memory through which the driver gives admin commands.
#[derive(
    zerocopy_derive::FromBytes,
    zerocopy_derive::IntoBytes,
    zerocopy_derive::Immutable,
    zerocopy_derive::KnownLayout,
)]
#[repr(C)]
pub(crate) struct SetupBlock {
    pub(crate) queue: setup::QueueSetup,
    pub(crate) window: setup::WindowSetup,
    /// Follow the window set-up, as the device expects it.
    pub(crate) segments: [setup::Segment; ioctl::MAX_PARTS as usize],
}
const _: () = assert!(core::mem::offset_of!(SetupBlock, window) as u64 == setup::ALIGNMENT);

// SAFETY: `zerocopy::IntoBytes` is derived: no byte is uninitialised.
unsafe impl kernel::transmute::AsBytes for SetupBlock {}
// SAFETY: `zerocopy::FromBytes` is derived: any bytes are a valid value.
unsafe impl kernel::transmute::FromBytes for SetupBlock {}

/// Holds the shared numbers to the kernel's own encoding.
mod agreement {
    use super::ioctl;
    use kernel::ioctl::{_IOR, _IOW, _IOWR};

    const _: () = {
        assert!(ioctl::INFO == _IOR::<ioctl::Info>(ioctl::TYPE, 0));
        assert!(ioctl::CREATE_QUEUE == _IOWR::<ioctl::CreateQueue>(ioctl::TYPE, 1));
        assert!(ioctl::CREATE_BUFFER == _IOWR::<ioctl::CreateBuffer>(ioctl::TYPE, 2));
        assert!(ioctl::CREATE_DEVICE_MEMORY == _IOWR::<ioctl::CreateDeviceMemory>(ioctl::TYPE, 3));
        assert!(ioctl::EXECUTE == _IOWR::<ioctl::Execute>(ioctl::TYPE, 4));
        assert!(ioctl::WAIT == _IOWR::<ioctl::Wait>(ioctl::TYPE, 5));
        assert!(ioctl::CREATE_MEMORY == _IOWR::<ioctl::CreateMemory>(ioctl::TYPE, 6));
        assert!(ioctl::RESET_QUEUE == _IOW::<ioctl::Object>(ioctl::TYPE, 7));
        assert!(ioctl::DESTROY_QUEUE == _IOW::<ioctl::Object>(ioctl::TYPE, 8));
        assert!(ioctl::DESTROY_BUFFER == _IOW::<ioctl::Object>(ioctl::TYPE, 9));
        assert!(ioctl::OPEN_WINDOW == _IOWR::<ioctl::OpenWindow>(ioctl::TYPE, 10));
        assert!(ioctl::CLOSE_WINDOW == _IOW::<ioctl::Object>(ioctl::TYPE, 11));
        assert!(ioctl::SET_EVENTFD == _IOW::<ioctl::SetEventFd>(ioctl::TYPE, 12));
        assert!(ioctl::OPEN_USER_WINDOW == _IOWR::<ioctl::OpenUserWindow>(ioctl::TYPE, 13));
        assert!(ioctl::TRANSFER == _IOWR::<ioctl::Transfer>(ioctl::TYPE, 14));
        // A page of the kernel shows one page of BAR 0, and all that it holds.
        assert!(super::layout::PAGE_STRIDE % kernel::page::PAGE_SIZE == 0);
        assert!(super::layout::PAGE_LENGTH <= kernel::page::PAGE_SIZE);
        assert!(ioctl::RIGHT_READ == super::setup::RIGHT_READ);
        assert!(ioctl::RIGHT_WRITE == super::setup::RIGHT_WRITE);
    };
}

// SPDX-License-Identifier: GPL-2.0-only

//! The gate between open files and a device that can go away.
//!
//! Files outlive the binding of driver and device. They reach the device through [`Gate::with`]
//! only, and [`Gate::close`] returns when no call is inside any more. Calls may sleep inside, so
//! this is SRCU and not a [`kernel::revocable::Revocable`], whose readers may not.

use crate::device::Device;
use core::{cell::UnsafeCell, ptr::NonNull};
use kernel::{
    new_srcu,
    prelude::*,
    sync::{
        atomic::{Acquire, Atomic, Release},
        Srcu, //
    },
};

/// A gate to a bound [`Device`].
///
/// # Invariants
///
/// While `open` is true and for an SRCU grace period after it fell, `device` points to a live
/// [`Device`]. `device` is written only before `open` rises, which happens once.
#[pin_data]
pub(crate) struct Gate {
    #[pin]
    srcu: Srcu,
    open: Atomic<bool>,
    device: UnsafeCell<NonNull<Device<'static>>>,
}

// SAFETY: The pointer only leads to a shared reference, which may be used from any thread as a
// `Device` is `Sync`.
unsafe impl Send for Gate where Device<'static>: Sync {}
// SAFETY: By the type invariants the pointer is written only before `open` rises, and read only
// after that, so no thread reads it while another one writes it. A `Device` is `Sync`.
unsafe impl Sync for Gate where Device<'static>: Sync {}

impl Gate {
    /// Returns a gate that is closed.
    pub(crate) fn new() -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            srcu <- new_srcu!(),
            open: Atomic::new(false),
            device: UnsafeCell::new(NonNull::dangling()),
        })
    }

    /// Opens the gate to `device`.
    ///
    /// # Safety
    ///
    /// Called at most once for a gate. [`Gate::close`] must have returned before `device` moves or
    /// is dropped, whatever happens.
    pub(crate) unsafe fn open(&self, device: &Device<'_>) {
        // SAFETY: `with` reads the pointer only after `open` rose, and the caller opens the gate
        // once, so there is no other access. `with` gives the lifetime back that is lost here.
        unsafe { *self.device.get() = NonNull::from(device).cast() };
        // Release, with the Acquire in `with`: otherwise a call could see the gate open and the
        // pointer not yet written.
        self.open.store(true, Release);
    }

    /// Calls `f` with the device.
    ///
    /// The device stays while `f` runs. `f` may sleep, but must not wait for the end of the
    /// binding, which waits for `f`.
    ///
    /// # Errors
    ///
    /// `ENODEV` if the device is gone.
    pub(crate) fn with<R>(
        &self,
        f: impl for<'bound> FnOnce(&'bound Device<'bound>) -> Result<R>,
    ) -> Result<R> {
        let _guard = self.srcu.read_lock();
        if !self.open.load(Acquire) {
            return Err(ENODEV);
        }
        // SAFETY: The gate was open inside this SRCU section, so by the type invariants the pointer
        // has been written for the last time.
        let device = unsafe { *self.device.get() };
        // SAFETY: By the type invariants the device lives until this SRCU section ends. `f` cannot
        // choose the lifetime, so nothing it borrows gets out.
        f(unsafe { device.cast::<Device<'_>>().as_ref() })
    }

    /// Closes the gate and waits until no call is inside. It never opens again.
    pub(crate) fn close(&self) {
        self.open.store(false, Release);
        self.srcu.synchronize();
    }
}

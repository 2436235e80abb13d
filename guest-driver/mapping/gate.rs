// SPDX-License-Identifier: GPL-2.0-only

//! The gate between open files and a device that can go away.
//!
//! Files outlive the binding of driver and device. They reach the device through [`Gate::with`]
//! only, and [`Gate::close`] returns when no call is inside any more. Calls may sleep inside, so
//! this is SRCU and not a [`kernel::revocable::Revocable`], whose readers may not.

use super::series::{
    new_srcu,
    Srcu, //
};
use core::{cell::UnsafeCell, ptr::NonNull};
use kernel::{
    prelude::*,
    sync::atomic::{Acquire, Atomic, Full, Release},
};

/// A type that names the device of a driver.
pub(crate) trait HasDevice: Sized + 'static {
    /// The device, for as long as the driver is bound to it.
    type Device<'bound>: Sync;
}

/// A gate to the bound device of driver `D`.
///
/// # Invariants
///
/// While `open` is true and for an SRCU grace period after it fell, `device` points to a live
/// device. Only the call that raises `used` writes `device`, before it raises `open`.
#[pin_data]
pub(crate) struct Gate<D: HasDevice> {
    #[pin]
    srcu: Srcu,
    used: Atomic<bool>,
    open: Atomic<bool>,
    device: UnsafeCell<NonNull<D::Device<'static>>>,
}

// SAFETY: The pointer only leads to a shared reference, which may be used from any thread as the
// device is `Sync`.
unsafe impl<D: HasDevice> Send for Gate<D> {}
// SAFETY: By the type invariants the pointer is written once before `open` rises, and read only
// after that, so no thread reads it while another one writes it. The device is `Sync`.
unsafe impl<D: HasDevice> Sync for Gate<D> {}

impl<D: HasDevice> Gate<D> {
    /// Returns a gate that is closed.
    pub(crate) fn new() -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            srcu <- new_srcu(),
            used: Atomic::new(false),
            open: Atomic::new(false),
            device: UnsafeCell::new(NonNull::dangling()),
        })
    }

    /// Opens the gate to `device`.
    ///
    /// # Errors
    ///
    /// `EBUSY` if it was open before.
    ///
    /// # Safety
    ///
    /// [`Gate::close`] must have returned before `device` moves or is dropped, whatever happens.
    pub(super) unsafe fn open(&self, device: &D::Device<'_>) -> Result {
        if self.used.xchg(true, Full) {
            return Err(EBUSY);
        }
        // SAFETY: Only one call gets here, and `with` reads the pointer only after `open` rose, so
        // there is no other access. `with` gives the lifetime back that is lost here.
        unsafe { *self.device.get() = NonNull::from(device).cast() };
        // Release, with the Acquire in `with`: otherwise a call could see the gate open and the
        // pointer not yet written.
        self.open.store(true, Release);
        Ok(())
    }

    /// Calls `f` with the device.
    ///
    /// The device stays while `f` runs. `f` may sleep, but must not wait for the end of the
    /// binding, which waits for `f`.
    ///
    /// # Errors
    ///
    /// `ENODEV` if the device is gone.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&D::Device<'_>) -> Result<R>) -> Result<R> {
        let _guard = self.srcu.read_lock();
        if !self.open.load(Acquire) {
            return Err(ENODEV);
        }
        // SAFETY: The gate was open inside this SRCU section, so by the type invariants the pointer
        // has been written for the last time.
        let device = unsafe { *self.device.get() };
        // SAFETY: By the type invariants the device lives until this SRCU section ends. `f` works
        // for any lifetimes, so nothing that it borrows gets out, and a device that is not
        // covariant does no harm.
        f(unsafe { device.cast::<D::Device<'_>>().as_ref() })
    }

    /// Closes the gate and waits until no call is inside. It never opens again.
    pub(super) fn close(&self) {
        self.open.store(false, Release);
        self.srcu.synchronize();
    }
}

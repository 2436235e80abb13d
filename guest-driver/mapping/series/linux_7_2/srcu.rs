// SPDX-License-Identifier: GPL-2.0-only

//! Sleepable RCU.

use kernel::{
    bindings,
    error::to_result,
    prelude::*,
    types::{
        NotThreadSafe,
        Opaque, //
    },
};

#[expect(
    improper_ctypes,
    reason = "the kernel's structs are opaque to us, and only pointed to"
)]
extern "C" {
    // `shim.c`: macros and inline functions of the kernel.
    fn mapping_init_srcu(srcu: *mut bindings::srcu_struct) -> c_int;
    fn mapping_srcu_read_lock(srcu: *mut bindings::srcu_struct) -> c_int;
    fn mapping_srcu_read_unlock(srcu: *mut bindings::srcu_struct, index: c_int);
}

/// A set of readers that may sleep, and for whose end others wait.
///
/// # Invariants
///
/// `inner` is initialised, and no callback is ever queued to it.
#[pin_data(PinnedDrop)]
pub(crate) struct Srcu {
    #[pin]
    inner: Opaque<bindings::srcu_struct>,
}

// SAFETY: Any thread may use and free a `struct srcu_struct`.
unsafe impl Send for Srcu {}
// SAFETY: Any number of threads may use a `struct srcu_struct` at the same time.
unsafe impl Sync for Srcu {}

/// Returns a set without readers.
///
/// # Errors
///
/// `ENOMEM`.
pub(crate) fn new_srcu() -> impl PinInit<Srcu, Error> {
    // INVARIANT: The kernel initialises it, or this fails.
    try_pin_init!(Srcu {
        inner <- Opaque::try_ffi_init(|srcu| {
            // SAFETY: `srcu` points to memory for it, which is pinned.
            to_result(unsafe { mapping_init_srcu(srcu) })
        }),
    })
}

impl Srcu {
    /// Makes the caller a reader, until the result is dropped.
    pub(crate) fn read_lock(&self) -> Guard<'_> {
        // SAFETY: By the type invariants it is initialised.
        let index = unsafe { mapping_srcu_read_lock(self.inner.get()) };
        Guard {
            srcu: self,
            index,
            _thread: NotThreadSafe,
        }
    }

    /// Waits for the end of all readers of now. The caller must be none of them.
    pub(crate) fn synchronize(&self) {
        // SAFETY: By the type invariants it is initialised.
        unsafe { bindings::synchronize_srcu(self.inner.get()) };
    }
}

#[pinned_drop]
impl PinnedDrop for Srcu {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariants it is initialised and has no callbacks. Readers borrow it,
        // so there are none. One that was leaked makes the kernel keep the memory, with a warning.
        unsafe { bindings::cleanup_srcu_struct(self.inner.get()) };
    }
}

/// A reader.
///
/// # Invariants
///
/// `index` is that of the lock which this thread has taken.
pub(crate) struct Guard<'a> {
    srcu: &'a Srcu,
    index: c_int,
    _thread: NotThreadSafe,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants this thread has the lock with this index.
        unsafe { mapping_srcu_read_unlock(self.srcu.inner.get(), self.index) };
    }
}

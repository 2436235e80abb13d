// SPDX-License-Identifier: GPL-2.0-only

//! Interrupt vectors and handlers.
//!
//! Linux 7.2 returns the first and the last vector of a device, and no other, neither their number
//! nor their type. Its handlers may not borrow.

use crate::mapping::pci::as_raw;
use core::marker::{
    PhantomData,
    PhantomPinned, //
};
use kernel::{
    bindings,
    device::Bound,
    error::to_result,
    irq::{
        IrqReturn,
        ThreadedIrqReturn, //
    },
    pci,
    prelude::*, //
};

/// The interrupt vectors of a device.
///
/// # Invariants
///
/// The device has `length` vectors until the driver has left it.
pub(crate) struct IrqVectorRegistration<'a> {
    pdev: &'a pci::Device<Bound>,
    length: usize,
}

/// Allocates between `least` and `most` interrupt vectors. The kernel frees them when the driver
/// has left the device.
///
/// # Errors
///
/// `ENOSPC` if the device gets fewer.
pub(crate) fn allocate_vectors(
    pdev: &pci::Device<Bound>,
    least: u32,
    most: u32,
    types: pci::IrqTypes,
) -> Result<IrqVectorRegistration<'_>> {
    pdev.alloc_irq_vectors(least, most, types)?;
    let length = (0..most)
        .take_while(|index| number(pdev, *index).is_ok())
        .count();
    // INVARIANT: The kernel has a number for each of these, and keeps them.
    Ok(IrqVectorRegistration { pdev, length })
}

/// Returns the kernel's number of an interrupt vector.
///
/// # Errors
///
/// `EINVAL` if there is no such vector.
fn number(pdev: &pci::Device<Bound>, index: u32) -> Result<u32> {
    // SAFETY: The device is valid and bound. The kernel checks the index.
    let number = unsafe { bindings::pci_irq_vector(as_raw(pdev), index) };
    u32::try_from(number).map_err(|_| Error::from_errno(number))
}

impl IrqVectorRegistration<'_> {
    /// Returns the number of vectors.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// Returns the type of the vectors.
    pub(crate) fn irq_type(&self) -> pci::IrqType {
        let pdev = as_raw(self.pdev);
        // SAFETY: The device is valid. By the type invariants its vectors stay, and so do the bits.
        let (msi_x, msi) = unsafe {
            (
                bindings::pci_dev::msix_enabled_raw(pdev),
                bindings::pci_dev::msi_enabled_raw(pdev),
            )
        };
        match (msi_x, msi) {
            (0, 0) => pci::IrqType::Intx,
            (0, _) => pci::IrqType::Msi,
            _ => pci::IrqType::MsiX,
        }
    }

    /// Returns a vector.
    ///
    /// # Errors
    ///
    /// `EINVAL` if there is no such vector.
    pub(crate) fn index(&self, index: usize) -> Result<IrqVector<'_>> {
        Ok(IrqVector(IrqRequest {
            number: number(self.pdev, u32::try_from(index)?)?,
            device: PhantomData,
        }))
    }
}

/// An interrupt vector of a device that keeps it for `'a`.
pub(crate) struct IrqVector<'a>(IrqRequest<'a>);

impl<'a> From<IrqVector<'a>> for IrqRequest<'a> {
    fn from(vector: IrqVector<'a>) -> Self {
        vector.0
    }
}

/// An interrupt that a device keeps for `'a`.
pub(crate) struct IrqRequest<'a> {
    number: u32,
    device: PhantomData<&'a pci::Device<Bound>>,
}

/// How a handler is registered.
pub(crate) struct Flags(u32);

impl Flags {
    /// The trigger stays as it is.
    pub(crate) const TRIGGER_NONE: Self = Self(bindings::IRQF_TRIGGER_NONE);
    /// Other devices may share the line.
    pub(crate) const SHARED: Self = Self(bindings::IRQF_SHARED);
}

/// A handler with a thread.
pub(crate) trait ThreadedHandler: Sync {
    /// Runs in hard interrupt context.
    fn handle(&self) -> ThreadedIrqReturn {
        ThreadedIrqReturn::WakeThread
    }

    /// Runs in the thread.
    fn handle_threaded(&self) -> IrqReturn;
}

/// A handler of an interrupt vector.
///
/// # Invariants
///
/// Once it is initialised, the handler is registered for `number`, with the address of `handler` as
/// its cookie.
#[pin_data(PinnedDrop)]
pub(crate) struct ThreadedRegistration<'a, T: ThreadedHandler> {
    number: u32,
    device: PhantomData<&'a pci::Device<Bound>>,
    #[pin]
    handler: T,
    #[pin]
    _pinned: PhantomPinned,
}

impl<'a, T: ThreadedHandler + 'a> ThreadedRegistration<'a, T> {
    /// Registers `handler` for an interrupt.
    ///
    /// # Errors
    ///
    /// Those of the kernel for an interrupt that it cannot register; that of `handler`.
    ///
    /// # Safety
    ///
    /// The value must be dropped, not leaked.
    pub(crate) unsafe fn new(
        request: IrqRequest<'a>,
        flags: Flags,
        name: &'static CStr,
        handler: impl PinInit<T, Error> + 'a,
    ) -> impl PinInit<Self, Error> + 'a {
        // INVARIANT: The last step registers it, or this fails.
        try_pin_init!(&this in Self {
            handler <- handler,
            number: request.number,
            device: request.device,
            _pinned: PhantomPinned,
            _: {
                // SAFETY: The memory of the value is valid, and only a pointer is made.
                let cookie = unsafe { &raw mut (*this.as_ptr()).handler };
                // SAFETY: Both functions take a cookie that points to a `T`, which is initialised.
                // It is pinned, and the caller promises to drop it, which first ends all calls.
                to_result(unsafe {
                    bindings::request_threaded_irq(
                        *number,
                        Some(handle::<T>),
                        Some(handle_threaded::<T>),
                        flags.0 as c_ulong,
                        name.as_char_ptr(),
                        cookie.cast(),
                    )
                })?;
            },
        })
    }
}

#[pinned_drop]
impl<T: ThreadedHandler> PinnedDrop for ThreadedRegistration<'_, T> {
    fn drop(self: Pin<&mut Self>) {
        let cookie = (&raw const self.handler).cast_mut();
        // SAFETY: By the type invariants the handler is registered with this cookie. The call
        // returns when the handler has ended for the last time.
        unsafe { bindings::free_irq(self.number, cookie.cast()) };
    }
}

/// # Safety
///
/// The kernel calls it, with the cookie of a [`ThreadedRegistration`] of a `T`.
unsafe extern "C" fn handle<T: ThreadedHandler>(
    _number: c_int,
    cookie: *mut c_void,
) -> bindings::irqreturn_t {
    // SAFETY: By the safety section the cookie points to a handler, which lives while it is
    // registered.
    unsafe { &*cookie.cast::<T>() }.handle() as bindings::irqreturn_t
}

/// # Safety
///
/// The kernel calls it, with the cookie of a [`ThreadedRegistration`] of a `T`.
unsafe extern "C" fn handle_threaded<T: ThreadedHandler>(
    _number: c_int,
    cookie: *mut c_void,
) -> bindings::irqreturn_t {
    // SAFETY: By the safety section the cookie points to a handler, which lives while it is
    // registered.
    unsafe { &*cookie.cast::<T>() }.handle_threaded() as bindings::irqreturn_t
}

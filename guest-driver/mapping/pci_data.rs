// SPDX-License-Identifier: GPL-2.0-only

//! The data of a driver for PCI devices with one interrupt.

use super::{
    binding::Binding,
    driver::Driver,
    file::Files,
    node::Node,
    series::{
        allocate_vectors,
        Flags,
        IrqVectorRegistration,
        ThreadedHandler,
        ThreadedRegistration, //
    },
};
use core::ptr::from_ref;
use kernel::{
    device::Bound,
    irq::{IrqReturn, ThreadedIrqReturn},
    pci,
    prelude::*,
    sync::Arc, //
};

/// A driver for PCI devices with one interrupt.
///
/// Both calls get the device itself, not by the gate: the driver must acknowledge interrupts until
/// it has stopped the device.
pub(crate) trait PciDriver: Driver {
    /// As `/proc/interrupts` names the interrupt.
    const INTERRUPT: &'static CStr;

    /// Acknowledges an interrupt, in hard interrupt context. Returns whether it was the device's:
    /// it may share the line.
    fn acknowledge(device: &Self::Device<'_>) -> bool;

    /// Wakes the waiters for an interrupt, in a thread.
    fn wake(device: &Self::Device<'_>);
}

/// All that belongs to a bound device. Dropped in this order: first no new file comes; then all
/// calls, mappings and DMA end; then interrupts; then the device itself.
#[pin_data]
pub(crate) struct PciData<'bound, D: PciDriver> {
    #[pin]
    node: Node<D>,
    binding: Binding<'bound, D>,
    #[pin]
    handler: ThreadedRegistration<'bound, Handler<'bound, D>>,
    vectors: IrqVectorRegistration<'bound>,
    device: D::Device<'bound>,
}

impl<'bound, D: PciDriver> PciData<'bound, D> {
    /// Takes the interrupt of `pdev`, binds `files` to `device` and registers the node.
    ///
    /// # Errors
    ///
    /// `ENOSPC` if the device gets no interrupt of these types; `EBUSY` if `files` had a device
    /// before; `ENOMEM`.
    ///
    /// # Safety
    ///
    /// The value must be dropped, not leaked, before the driver is unbound.
    pub(crate) unsafe fn new(
        pdev: &'bound pci::Device<Bound>,
        types: pci::IrqTypes,
        device: D::Device<'bound>,
        files: Arc<Files<D>>,
    ) -> Result<impl PinInit<Self, Error> + 'bound> {
        let vectors = allocate_vectors(pdev, 1, 1, types)?;
        let node = Node::register(pdev.as_ref(), files.clone())?;
        Ok(try_pin_init!(Self {
            device,
            vectors,
            // SAFETY: `vectors` and `device` are in place, pinned, and are dropped after `handler`.
            // The caller promises that `handler` is not leaked.
            handler <- unsafe {
                let vector = (*from_ref(vectors)).index(0)?;
                let handler = Ok(Handler(&*from_ref(device)));
                ThreadedRegistration::new(vector.into(), Flags::SHARED, D::INTERRUPT, handler)
            },
            // SAFETY: `device` is in place, pinned, and is dropped after `binding`. The caller
            // promises that `binding` is not leaked.
            binding: unsafe { Binding::new(files, &*from_ref(device))? },
            node <- node,
        }))
    }
}

/// The interrupt handler of a device.
struct Handler<'bound, D: PciDriver>(&'bound D::Device<'bound>);

impl<D: PciDriver> ThreadedHandler for Handler<'_, D> {
    fn handle(&self) -> ThreadedIrqReturn {
        if D::acknowledge(self.0) {
            ThreadedIrqReturn::WakeThread
        } else {
            ThreadedIrqReturn::None
        }
    }

    fn handle_threaded(&self) -> IrqReturn {
        D::wake(self.0);
        IrqReturn::Handled
    }
}

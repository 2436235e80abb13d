// SPDX-License-Identifier: GPL-2.0-only

//! Linux 7.3: the kernel's own interface.

use kernel::{
    device::Bound,
    module_param::ModuleParamAccess,
    pci,
    prelude::*,
    time::Delta, //
};

pub(crate) use kernel::{
    irq::{
        Flags,
        ThreadedHandler,
        ThreadedRegistration, //
    },
    mm::virt::flags::MAYSHARE,
    module::{
        this_module,
        ModuleMetadata, //
    },
    pci::IrqVectorRegistration,
    pci_device_table,
    sync::{
        barrier::{
            mb,
            Full, //
        },
        Srcu, //
    },
};

/// Returns SRCU without readers.
///
/// # Errors
///
/// `ENOMEM`.
pub(crate) fn new_srcu() -> impl PinInit<Srcu, Error> {
    kernel::new_srcu!()
}

/// Parts of coherent memory. To be imported as a whole: on Linux 7.3 the copies are a trait's.
pub(crate) mod memory {
    use kernel::{
        dma::{
            Coherent,
            DmaAddress, //
        },
        ptr::KnownSize,
    };

    pub(crate) use kernel::io::{
        io_project,
        Io, //
    };

    /// Returns the address of the memory, as the device has it.
    pub(crate) fn dma_address<T: KnownSize + ?Sized>(memory: &Coherent<T>) -> DmaAddress {
        memory.dma_address()
    }
}

/// The entry of the table of devices, as probe gets it.
pub(crate) type IdInfo<'a, T> = Option<&'a T>;

/// Allocates between `least` and `most` interrupt vectors.
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
    pdev.alloc_irq_vectors(least, most, types)
}

/// Returns the error `EOPNOTSUPP`.
pub(crate) fn not_supported() -> Error {
    EOPNOTSUPP
}

/// Returns the value of a parameter of the module.
pub(crate) fn parameter<T: Copy>(parameter: &ModuleParamAccess<T>) -> T {
    parameter.value()
}

/// Returns a time in milliseconds, rounded up.
pub(crate) fn millis_ceil(time: Delta) -> i64 {
    time.as_millis_ceil()
}

// SPDX-License-Identifier: GPL-2.0-only

//! Linux 7.2: stands in for what its interface lacks, with the names of Linux 7.3.

mod interrupts;
pub(crate) mod memory;
mod srcu;

pub(crate) use interrupts::{
    allocate_vectors,
    Flags,
    IrqVectorRegistration,
    ThreadedHandler,
    ThreadedRegistration, //
};
pub(crate) use kernel::ModuleMetadata;
pub(crate) use srcu::{
    new_srcu,
    Srcu, //
};

use kernel::{
    bindings,
    mm::virt::vm_flags_t,
    module_param::ModuleParamAccess,
    prelude::*,
    time::Delta,
    ThisModule, //
};

extern "C" {
    // `shim.c`: a macro of the kernel.
    fn mapping_mb();
}

/// Flag of a VMA: the process asked for a shared mapping. The constant of Linux 7.2 has the bit of
/// `MAYEXEC` by mistake (`rust/bindings/bindings_helper.h`).
pub(crate) const MAYSHARE: vm_flags_t = 1 << bindings::VMA_MAYSHARE_BIT;

/// The entry of the table of devices, as probe gets it.
pub(crate) type IdInfo<'a, T> = &'a T;

/// Declares the table of a driver's devices. Linux 7.2 wants one more name for it.
macro_rules! pci_device_table {
    ($table:ident, $($rest:tt)*) => {
        kernel::pci_device_table!($table, MODULE_PCI_TABLE, $($rest)*);
    };
}
pub(crate) use pci_device_table;

/// Returns the module of this crate, which is that of `M`: on Linux 7.2 a type does not lead to it.
#[expect(
    clippy::extra_unused_type_parameters,
    reason = "Linux 7.3 finds the module by it"
)]
pub(crate) const fn this_module<M: ModuleMetadata>() -> &'static ThisModule {
    &crate::THIS_MODULE
}

/// The kind of barrier that [`mb`] makes.
pub(crate) struct Full;

/// Orders all memory accesses before it and after it, for processors and devices.
pub(crate) fn mb(_: Full) {
    // SAFETY: A barrier needs nothing.
    unsafe { mapping_mb() };
}

/// Returns the error `EOPNOTSUPP`.
pub(crate) fn not_supported() -> Error {
    Error::from_errno(-(bindings::EOPNOTSUPP as c_int))
}

/// Returns the value of a parameter of the module.
pub(crate) fn parameter<T: Copy>(parameter: &ModuleParamAccess<T>) -> T {
    *parameter.value()
}

/// Returns a time in milliseconds, rounded up.
pub(crate) fn millis_ceil(time: Delta) -> i64 {
    const NANOS: i64 = 1_000_000;
    // A division rounds towards zero, so up for a negative time.
    let up = if time.is_negative() { 0 } else { NANOS - 1 };
    time.as_nanos().saturating_add(up) / NANOS
}

// SPDX-License-Identifier: GPL-2.0-only

//! Faults of the modules for `ci/sabotage.sh`, which the tests must notice. In no other build.

use crate::interface::{
    layout,
    regs, //
};
use kernel::{
    io::Io,
    pci,
    prelude::*,
    sync::Arc,
    time::{
        delay::fsleep,
        Delta, //
    },
    warn_on, //
};

/// Drops the last reference to a released file, and then commits the fault of this build.
///
/// Not inlined: `ci/sabotage.sh` knows a broken module by this symbol, and a stack by its name.
#[inline(never)]
pub(crate) fn at_release<T>(file: Arc<T>) {
    let place = Arc::as_ptr(&file).cast::<u8>();
    drop(file);
    if cfg!(sabotage = "use-after-free") {
        // SAFETY: There is none. The file was just freed, which KASAN must notice.
        let byte = unsafe { place.read_volatile() };
        pr_warn!("read {} from a file that is gone\n", byte);
    }
    // Not init: it closes a file as well, and must stay to report the hang.
    if cfg!(sabotage = "stuck") && kernel::current!().pid() != 1 {
        loop {
            fsleep(Delta::from_secs(1));
        }
    }
    if cfg!(sabotage = "leak") {
        core::mem::forget(KVec::<u8>::with_capacity(100, GFP_KERNEL));
    }
    if cfg!(sabotage = "warning") {
        let _ = warn_on!(true);
    }
}

/// Reads a register that traps, where the driver must read the reset generation alone, a shared
/// word.
pub(crate) fn at_generation(bar: &pci::Bar<'_, { layout::REGISTER_BAR_SIZE }>) {
    if cfg!(sabotage = "extra-read") {
        let _ = bar.read(regs::STATUS);
    }
}

// SPDX-License-Identifier: GPL-2.0-only

//! What a module for `ci/sabotage.sh` does wrong, to see that the tests notice. In no other build.

use crate::{
    file::OpenFile,
    interface::regs,
    registers::RegisterBar, //
};
use kernel::{
    io::Io,
    prelude::*,
    sync::Arc,
    time::{
        delay::fsleep,
        Delta, //
    },
    warn_on, //
};

/// Called with a released file that nobody else has.
///
/// Not inlined: by its symbol a module tells that it is broken.
#[inline(never)]
pub(crate) fn at_release(file: Arc<OpenFile>) {
    let place = Arc::as_ptr(&file).cast::<u8>();
    drop(file);
    if cfg!(ringbar_sabotage = "use-after-free") {
        // SAFETY: There is none: the file was just freed.
        let byte = unsafe { place.read_volatile() };
        pr_warn!("read {} from a file that is gone\n", byte);
    }
    // Init closes a file as well, and is to be there to tell.
    if cfg!(ringbar_sabotage = "stuck") && kernel::current!().pid() != 1 {
        loop {
            fsleep(Delta::from_secs(1));
        }
    }
    if cfg!(ringbar_sabotage = "leak") {
        core::mem::forget(KVec::<u8>::with_capacity(100, GFP_KERNEL));
    }
    if cfg!(ringbar_sabotage = "warning") {
        let _ = warn_on!(true);
    }
}

/// Called where the driver looks at the reset generation, a shared word, which no access that traps is to follow.
pub(crate) fn at_generation(bar: &RegisterBar<'_>) {
    if cfg!(ringbar_sabotage = "extra-read") {
        let _ = bar.read(regs::STATUS);
    }
}

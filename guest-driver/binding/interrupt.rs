// SPDX-License-Identifier: GPL-2.0-only

//! Interrupt vectors and their handlers.
//!
//! The driver is content with MSI-X or MSI, with one vector or many. A handler looks at the shared
//! words of the queues of its vector and wakes their waiters. It reads no register, which would
//! trap.

use crate::{
    interface::layout,
    mapping::series::{
        allocate_vectors,
        Flags,
        IrqVectorRegistration,
        ThreadedHandler,
        ThreadedRegistration, //
    },
    queue::wakeups::Wakeups, //
};
use kernel::{
    device::Bound,
    irq::IrqReturn,
    pci,
    prelude::*,
    sync::Arc, //
};

/// Wakes the waiters for completions of the queues of a vector.
pub(crate) struct Announcer {
    wakeups: Arc<Wakeups>,
    vector: u32,
}

impl ThreadedHandler for Announcer {
    fn handle_threaded(&self) -> IrqReturn {
        self.wakeups.announce(self.vector);
        IrqReturn::Handled
    }
}

/// The handlers of a device's vectors.
pub(crate) type Handlers<'a> = KVec<Pin<KBox<ThreadedRegistration<'a, Announcer>>>>;

/// Takes as many vectors as the device can use, or as few as one.
///
/// # Errors
///
/// `ENOSPC` if the device gets no vector.
pub(crate) fn allocate(pdev: &pci::Device<Bound>) -> Result<IrqVectorRegistration<'_>> {
    let types = pci::IrqTypes::default()
        .with(pci::IrqType::MsiX)
        .with(pci::IrqType::Msi);
    // One for errors, one per queue.
    allocate_vectors(pdev, 1, layout::MAX_QUEUES as u32 + 1, types)
}

/// Puts a handler on each vector.
///
/// # Errors
///
/// `ENOMEM`; the errors of the kernel for a vector that it cannot register.
///
/// # Safety
///
/// The handlers must be dropped, not leaked.
pub(crate) unsafe fn attach<'a>(
    vectors: &'a IrqVectorRegistration<'a>,
    wakeups: &Arc<Wakeups>,
) -> Result<Handlers<'a>> {
    let mut handlers = KVec::with_capacity(vectors.len(), GFP_KERNEL)?;
    for index in 0..vectors.len() {
        // SAFETY: The caller promises to drop the handlers.
        let handler = unsafe {
            ThreadedRegistration::new(
                vectors.index(index)?.into(),
                Flags::TRIGGER_NONE,
                c"ringbar",
                Ok(Announcer {
                    wakeups: wakeups.clone(),
                    vector: index as u32,
                }),
            )
        };
        handlers.push(KBox::pin_init(handler, GFP_KERNEL)?, GFP_KERNEL)?;
    }
    Ok(handlers)
}

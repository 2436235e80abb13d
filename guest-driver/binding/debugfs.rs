// SPDX-License-Identifier: GPL-2.0-only

//! The files that the driver adds to a device's folder in debugfs: `/sys/kernel/debug/ringbarN`.

use crate::{
    device::limits::Amount,
    file::Files,
    mapping::signals::Signals, //
};
use kernel::{
    debugfs::{
        Dir,
        File,
        Writer, //
    },
    fmt,
    prelude::*,
    sync::Arc, //
};

/// Files in a device's folder. They go when dropped.
#[pin_data]
pub(crate) struct Details {
    #[pin]
    errors: File<ErrorLog>,
    #[pin]
    kept: File<KeptMemory>,
    #[pin]
    usage: File<Usage>,
}

impl Details {
    /// Adds the files to `folder`. Shows nothing where the kernel has no debugfs.
    pub(crate) fn new<'a>(folder: &'a Dir, files: &Arc<Files>) -> impl PinInit<Self, Error> + 'a {
        let (for_errors, for_kept, for_usage) = (files.clone(), files.clone(), files.clone());
        try_pin_init!(Self {
            errors <- folder.read_only_file(c"errors", ErrorLog(for_errors)),
            kept <- folder.read_only_file(c"kept", KeptMemory(for_kept)),
            usage <- folder.read_only_file(c"usage", Usage(for_usage)),
        })
    }
}

/// `errors`: their number since the device's reset, the last of them, and the number per queue.
struct ErrorLog(Arc<Files>);

impl Writer for ErrorLog {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.gate().with(|device| {
            device.check(Signals::Fatal)?;
            device.errors().show(device.limits().queues, f)
        });
        shown.unwrap_or_else(|_| writeln!(f, "the device does not answer"))
    }
}

/// `kept`: queues, buffers and bytes that are never freed.
struct KeptMemory(Arc<Files>);

impl Writer for KeptMemory {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.gate().with(|device| Ok(device.kept().show(f)));
        // Without the device, the file is about to go.
        shown.unwrap_or(Ok(()))
    }
}

/// `usage`: the amounts that count against the limits, of all users together and of each.
struct Usage(Arc<Files>);

impl Writer for Usage {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.shared().accounts.for_each(|user, amount| {
            match user {
                Some(user) => write!(f, "user {}", user.into_uid_in_current_ns())?,
                None => write!(f, "device")?,
            }
            let Amount {
                queues,
                windows,
                buffers,
                bytes,
            } = amount;
            writeln!(
                f,
                " queues {queues} windows {windows} buffers {buffers} bytes {bytes}"
            )
        })
    }
}

// SPDX-License-Identifier: GPL-2.0-only

//! The files of a device in debugfs: `/sys/kernel/debug/ringbarN`.

use crate::{
    device::limits::Amount,
    file::{
        kinds::KINDS,
        shared::Shared, //
    },
    memory::cache::CachePolicy,
    mmap::{
        self,
        mapped_file::MappedFile, //
    },
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

/// The files of a device. They go when dropped, and the folder with them.
#[pin_data]
pub(crate) struct Folder {
    #[pin]
    mappings: File<MappingList>,
    #[pin]
    policies: File<Policies>,
    #[pin]
    errors: File<ErrorLog>,
    #[pin]
    kept: File<KeptMemory>,
    #[pin]
    usage: File<Usage>,
}

impl Folder {
    /// Fills the folder `dir`. Shows nothing where the kernel has no debugfs.
    pub(crate) fn new(dir: Dir, shared: Arc<Shared>) -> impl PinInit<Self, Error> {
        pin_init::pin_init_scope(move || {
            Ok(try_pin_init!(Self {
                mappings <- dir.read_only_file(c"mappings", MappingList(shared.clone())),
                policies <- dir.read_only_file(c"policies", Policies),
                errors <- dir.read_only_file(c"errors", ErrorLog(shared.clone())),
                kept <- dir.read_only_file(c"kept", KeptMemory(shared.clone())),
                usage <- dir.read_only_file(c"usage", Usage(shared)),
            }))
        })
    }
}

/// `mappings`: their number, and one line per mapping: opener, kind, range, cache policy.
struct MappingList(Arc<Shared>);

impl Writer for MappingList {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = self.0.files.lock();
        let count: i64 = files.iter().map(|file| file.mappings().count()).sum();
        writeln!(f, "count {count}")?;
        for file in files.iter() {
            let mut outcome = Ok(());
            file.mappings().for_each(|mapping| {
                let (start, end) = mapping.range;
                let kind = mmap::name_of(&KINDS, mapping.pgoff);
                let line = match mapping.policy {
                    Some(policy) => {
                        writeln!(f, "{} {kind} {start:#x}-{end:#x} {policy}", file.opener())
                    }
                    None => writeln!(f, "{} {kind} {start:#x}-{end:#x} none", file.opener()),
                };
                outcome = outcome.and(line);
            });
            outcome?;
        }
        Ok(())
    }
}

/// `policies`: one line per policy: its name, and its bits in a page table entry.
struct Policies;

impl Writer for Policies {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        CachePolicy::ALL
            .into_iter()
            .try_for_each(|policy| writeln!(f, "{} {:#x}", policy.name(), policy.bits()))
    }
}

/// `errors`: their number since the device's reset, the last of them, and the number per queue.
struct ErrorLog(Arc<Shared>);

impl Writer for ErrorLog {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.gate().with(|device| {
            device.check()?;
            device.errors().show(device.limits().queues, f)
        });
        shown.unwrap_or_else(|_| writeln!(f, "the device does not answer"))
    }
}

/// `kept`: queues, buffers and bytes that are never freed.
struct KeptMemory(Arc<Shared>);

impl Writer for KeptMemory {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.gate().with(|device| Ok(device.kept().show(f)));
        // Without the device, the file is about to go.
        shown.unwrap_or(Ok(()))
    }
}

/// `usage`: the amounts that count against the limits, of all users together and of each.
struct Usage(Arc<Shared>);

impl Writer for Usage {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.accounts.for_each(|user, amount| {
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

// SPDX-License-Identifier: GPL-2.0-only

//! What debugfs shows of a device: `/sys/kernel/debug/ringbarN`.

use crate::{
    mmap::cache::CachePolicy,
    shared::Shared, //
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
}

impl Folder {
    /// Fills the folder `dir`. Where debugfs is not there, nothing is shown.
    pub(crate) fn new(dir: Dir, shared: Arc<Shared>) -> impl PinInit<Self, Error> {
        pin_init::pin_init_scope(move || {
            Ok(try_pin_init!(Self {
                mappings <- dir.read_only_file(c"mappings", MappingList(shared)),
                policies <- dir.read_only_file(c"policies", Policies),
            }))
        })
    }
}

/// `mappings`: their number, and a line for each: owner, kind, range, cache policy.
struct MappingList(Arc<Shared>);

impl Writer for MappingList {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = self.0.files.lock();
        let count: i64 = files.iter().map(|file| file.mappings.count()).sum();
        writeln!(f, "count {count}")?;
        for file in files.iter() {
            let mut outcome = Ok(());
            file.mappings.for_each(file, |mapping| {
                let (start, end) = mapping.range;
                let line = match mapping.policy {
                    Some(policy) => writeln!(
                        f,
                        "{} {} {start:#x}-{end:#x} {policy}",
                        file.owner(),
                        mapping.kind
                    ),
                    None => writeln!(
                        f,
                        "{} {} {start:#x}-{end:#x} none",
                        file.owner(),
                        mapping.kind
                    ),
                };
                outcome = outcome.and(line);
            });
            outcome?;
        }
        Ok(())
    }
}

/// `policies`: a line for each: name, and its bits in a page table entry.
struct Policies;

impl Writer for Policies {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        CachePolicy::ALL
            .into_iter()
            .try_for_each(|policy| writeln!(f, "{} {:#x}", policy.name(), policy.bits()))
    }
}

// SPDX-License-Identifier: GPL-2.0-only

//! The mappings of a device in debugfs: `/sys/kernel/debug/NODE`.

use super::{
    cache::CachePolicy,
    driver::Driver,
    file::Files,
    map,
    mapped_file::MappedFile, //
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

/// The files of a device. They go when dropped, and the folder with the last one in it.
#[pin_data]
pub(super) struct Listing<D: Driver> {
    #[pin]
    mappings: File<MappingList<D>>,
    #[pin]
    policies: File<Policies>,
}

impl<D: Driver> Listing<D> {
    /// Adds the files to `folder`. Shows nothing where the kernel has no debugfs.
    pub(super) fn new<'a>(folder: &'a Dir, files: Arc<Files<D>>) -> impl PinInit<Self, Error> + 'a {
        try_pin_init!(Self {
            mappings <- folder.read_only_file(c"mappings", MappingList(files)),
            policies <- folder.read_only_file(c"policies", Policies),
        })
    }
}

/// `mappings`: their number, and one line per mapping: opener, kind, range, cache policy.
struct MappingList<D: Driver>(Arc<Files<D>>);

impl<D: Driver> Writer for MappingList<D> {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = self.0.open.lock();
        let count: i64 = files.iter().map(|file| file.mappings().count()).sum();
        writeln!(f, "count {count}")?;
        for file in files.iter() {
            let mut outcome = Ok(());
            file.mappings().for_each(|mapping| {
                let (start, end) = mapping.range;
                let kind = map::name_of(D::KINDS, mapping.pgoff);
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

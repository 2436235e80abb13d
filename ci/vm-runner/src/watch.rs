// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Notices that a program was built anew.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Time for which a file must stay as it is, so that it is not one that is still written.
const STABLE: Duration = Duration::from_millis(300);

/// What changes with the contents of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    /// Seconds and nanoseconds of the last change.
    changed: (i64, i64),
}

/// Watches the file of a program.
#[derive(Debug)]
pub(crate) struct Watch {
    path: PathBuf,
    /// As it was when it was last started.
    started: Option<Stamp>,
    /// As it was at the last look, and since when.
    seen: (Option<Stamp>, Instant),
}

impl Watch {
    /// Watches a program from now on.
    pub(crate) fn new(path: &Path, now: Instant) -> Self {
        let stamp = stamp(path);
        Self {
            path: path.to_owned(),
            started: stamp,
            seen: (stamp, now),
        }
    }

    /// Returns whether there is another program since it last returned true, all of it.
    pub(crate) fn has_changed(&mut self, now: Instant) -> bool {
        let stamp = stamp(&self.path);
        if stamp != self.seen.0 {
            self.seen = (stamp, now);
        }
        let stable = now.saturating_duration_since(self.seen.1) >= STABLE;
        // While it is replaced, there may be no file for a moment.
        if stamp.is_none() || stamp == self.started || !stable {
            return false;
        }
        self.started = stamp;
        true
    }
}

/// Returns the stamp of a file, if it is there.
fn stamp(path: &Path) -> Option<Stamp> {
    let file = fs::metadata(path).ok()?;
    Some(Stamp {
        inode: file.ino(),
        size: file.size(),
        changed: (file.mtime(), file.mtime_nsec()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a folder with a program, and the watch over it.
    fn watched(now: Instant) -> (tempfile::TempDir, PathBuf, Watch) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("server");
        fs::write(&path, "one").expect("it can be written");
        let watch = Watch::new(&path, now);
        (folder, path, watch)
    }

    #[test]
    fn program_that_stays_has_not_changed() {
        let now = Instant::now();
        let (_folder, _, mut watch) = watched(now);

        assert!(!watch.has_changed(now + STABLE));
    }

    #[test]
    fn program_that_was_replaced_has_changed_once() {
        let now = Instant::now();
        let (_folder, path, mut watch) = watched(now);
        fs::write(&path, "another").expect("it can be written");

        let looks = [0, 1, 2].map(|looks| watch.has_changed(now + STABLE * looks));

        assert_eq!(looks, [false, true, false]);
    }

    #[test]
    fn program_that_is_still_written_has_not_changed_yet() {
        let now = Instant::now();
        let (_folder, path, mut watch) = watched(now);
        fs::write(&path, "the first half").expect("it can be written");
        watch.has_changed(now + STABLE);
        fs::write(&path, "the first half and the second").expect("it can be written");

        assert!(!watch.has_changed(now + STABLE * 2));
        assert!(watch.has_changed(now + STABLE * 3));
    }

    #[test]
    fn program_that_is_missing_for_a_moment_has_not_changed() {
        let now = Instant::now();
        let (_folder, path, mut watch) = watched(now);
        fs::remove_file(&path).expect("it was there");
        watch.has_changed(now + STABLE);

        assert!(!watch.has_changed(now + STABLE * 2));
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The checkout, and the folder in which all work is done.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::mutant::Mutant;
use crate::sources;
use crate::step::Step;

/// Folders of a run. While it exists, no other run works there.
#[derive(Debug)]
pub(crate) struct Place {
    checkout: PathBuf,
    work: PathBuf,
    _lock: File,
}

impl Place {
    /// Takes `work` for this run. Fails if another run has it.
    pub(crate) fn take(checkout: &Path, work: &Path) -> Result<Self, Error> {
        fs::create_dir_all(work).map_err(Error::file(work))?;
        let path = work.join("lock");
        let lock = File::create(&path).map_err(Error::file(&path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Busy(work.to_owned())),
            Err(TryLockError::Error(error)) => return Err(Error::file(&path)(error)),
        }
        Ok(Self {
            checkout: checkout.to_owned(),
            work: work.to_owned(),
            _lock: lock,
        })
    }

    /// Returns the copy of the checkout, in which the changes are made.
    pub(crate) fn tree(&self) -> PathBuf {
        self.work.join("tree")
    }

    /// Returns the path of a file of the run itself.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.work.join(name)
    }

    /// Returns a step that calls a script of the copy.
    pub(crate) fn script(&self, name: &str, log: PathBuf) -> Step {
        let tree = self.tree();
        Step::new(&tree.join("ci").join(name), &tree, log)
    }

    /// Calls `judge` while the copy has the change. Afterwards it has the original file again. What a
    /// crash leaves behind, the next run's copy takes back.
    pub(crate) fn with_change<T>(
        &self,
        mutant: &Mutant,
        judge: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let path = self.tree().join(&mutant.file);
        let original = fs::read_to_string(&path).map_err(Error::file(&path))?;
        fs::write(&path, mutant.apply(&original)?).map_err(Error::file(&path))?;
        let judgement = judge();
        fs::write(&path, original).map_err(Error::file(&path))?;
        judgement
    }

    /// Makes the copy equal to the checkout.
    pub(crate) fn refresh(&self) -> Result<(), Error> {
        sources::copy(&self.checkout, &self.tree())
    }
}

/// Returns the text of a file that is being written, or nothing.
pub(crate) fn text(path: &Path) -> String {
    fs::read(path)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_run_in_the_same_folder_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = Place::take(folder.path(), folder.path()).expect("a place");
        assert!(matches!(
            Place::take(folder.path(), folder.path()),
            Err(Error::Busy(_))
        ));
        drop(first);
        assert!(Place::take(folder.path(), folder.path()).is_ok());
    }
}

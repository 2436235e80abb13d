// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Sums of the sources of a target, as they are in the copy before anything runs there. The user may
//! edit the checkout meanwhile.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::error::Error;
use crate::mutant::Mutant;
use crate::place::Place;
use crate::results::Sums;
use crate::sources;
use crate::target::Target;

/// Sums of a target.
#[derive(Debug)]
pub(crate) struct State {
    /// Sum of the target and its tests.
    tests: u64,
    /// Sum of the code of each file with a mutant.
    files: BTreeMap<String, u64>,
}

impl State {
    /// Returns the sum of the target and its tests: of their sources, and of what runs.
    pub(crate) fn tests(place: &Place, target: &Target) -> Result<u64, Error> {
        let sources = sources::sum_of(&place.tree(), target.folders)?;
        let mut hasher = DefaultHasher::new();
        (sources, target.tests, target.more).hash(&mut hasher);
        Ok(hasher.finish())
    }

    /// Sums up the sources of these mutants.
    pub(crate) fn new(place: &Place, target: &Target, mutants: &[Mutant]) -> Result<Self, Error> {
        let mut files = BTreeMap::new();
        for Mutant { file, .. } in mutants {
            if !files.contains_key(file) {
                files.insert(
                    file.clone(),
                    sources::sum_of_code(&place.tree().join(file))?,
                );
            }
        }
        Ok(Self {
            tests: Self::tests(place, target)?,
            files,
        })
    }

    /// Returns the sum of all sources.
    pub(crate) fn all(&self) -> u64 {
        self.tests
    }

    /// Returns the sums that a result of this mutant has.
    pub(crate) fn sums(&self, mutant: &Mutant) -> Sums {
        Sums {
            file: self.files.get(&mutant.file).copied().unwrap_or_default(),
            tests: self.tests,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::{Boot, TARGETS};

    #[test]
    fn sum_changes_with_the_tests_that_run() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = Place::take(folder.path(), &folder.path().join("work")).expect("a place");
        let few = Target {
            tests: &["one"],
            more: &[],
            folders: &[],
            ..TARGETS[0]
        };
        let many = Target {
            tests: &["one", "two"],
            ..few
        };
        let elsewhere = Target {
            more: &[Boot {
                programs: &["two"],
                machine: &[],
            }],
            ..few
        };

        let sums =
            [few, many, elsewhere].map(|target| State::tests(&place, &target).expect("a sum"));

        assert!(sums[0] != sums[1] && sums[0] != sums[2], "{sums:?}");
    }
}

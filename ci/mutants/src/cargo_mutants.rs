// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! cargo-mutants, which generates the changes.
//!
//! It does not run them: 27.1.0 runs each mutant that deletes a field of a struct again in every
//! call, whichever ones its arguments name. A share of a target could not be run so.

use std::fs;

use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::mutant::{self, Mutant};
use crate::place::{self, Place};
use crate::sources;
use crate::state::State;
use crate::target::Target;

/// Returns all mutants of a crate.
pub(crate) fn list(
    place: &Place,
    target: &Target,
    interrupt: &Interrupt,
) -> Result<Vec<Mutant>, Error> {
    let package = format!("--package={}", target.package);
    mutant::read(&listed(place, target, &package, interrupt)?)
}

/// Returns cargo-mutants' list of a target. `which` selects its package. The list of the same sources
/// is made once.
pub(crate) fn listed(
    place: &Place,
    target: &Target,
    which: &str,
    interrupt: &Interrupt,
) -> Result<String, Error> {
    let path = place.file(&format!("list-{}.json", target.name));
    let note = place.file(&format!("list-{}.sum", target.name));
    // The script names the version.
    let script = sources::sum(&place.tree().join("ci/mutants.sh"))?;
    let from = format!("{script} {}", State::tests(place, target)?);
    if place::text(&note) != from {
        // A list that is not made to its end must not pass for the one before.
        fs::write(&note, "").map_err(Error::file(&note))?;
        let excluded = |file: &&str| format!("--exclude={}/{file}", target.folder);
        place
            .script("cargo.sh", place.file("list.log"))
            .results(path.clone())
            .args(["mutants", "--list", "--json", "--colors=never", which])
            .args(target.excluded.iter().map(excluded))
            .must(
                &format!("listing the mutants of {}", target.name),
                interrupt,
            )?;
        fs::write(&note, from).map_err(Error::file(&note))?;
    }
    fs::read_to_string(&path).map_err(Error::file(&path))
}

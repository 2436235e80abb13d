// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The list of the driver's mutants. Kbuild compiles the driver, so it has no package.

use std::fs;

use crate::cargo_mutants;
use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::mutant::{self, Mutant};
use crate::place::Place;
use crate::target::Target;

/// Manifest of the package for the list. cargo-mutants needs one, and nothing compiles it.
const MANIFEST: &str = "[package]\nname = \"driver\"\nedition = \"2021\"\n\n\
    [[bin]]\nname = \"driver\"\npath = \"guest-driver/ringbar_main.rs\"\n\n[workspace]\n";

/// Returns all mutants of the driver.
pub(crate) fn list(
    place: &Place,
    target: &Target,
    interrupt: &Interrupt,
) -> Result<Vec<Mutant>, Error> {
    let package = place.file("driver");
    fs::create_dir_all(&package).map_err(Error::file(&package))?;
    for folder in ["guest-driver", "qemu-device"] {
        let link = package.join(folder);
        if !link.exists() {
            let _ = fs::remove_file(&link);
            std::os::unix::fs::symlink(place.tree().join(folder), &link)
                .map_err(Error::file(&link))?;
        }
    }
    let manifest = package.join("Cargo.toml");
    fs::write(&manifest, MANIFEST).map_err(Error::file(&manifest))?;
    let text = cargo_mutants::listed(
        place,
        target,
        &format!("--dir={}", package.display()),
        interrupt,
    )?;
    let mut mutants = mutant::read(&text)?;
    // The module also has the files of the spec, by a path that leaves the driver. They have a part of
    // their own.
    mutants.retain(|mutant| mutant.file.starts_with(target.folder) && !mutant.file.contains(".."));
    Ok(mutants)
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Halves of the row about the guest's clock.

use crate::bench::{nanoseconds, rate, Bench};
use crate::Error;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

/// Folder in which the kernel has its clock sources.
const SOURCES: &str = "/sys/devices/system/clocksource/clocksource0";

/// Returns the nanoseconds per reading of the clock while the kernel takes it from the TSC.
pub(crate) fn from_tsc(_: &mut Bench) -> Result<f64, Error> {
    reading("tsc")
}

/// Returns the nanoseconds per reading of the clock while the kernel takes it from the HPET.
pub(crate) fn from_hpet(_: &mut Bench) -> Result<f64, Error> {
    reading("hpet")
}

/// Measures readings of the clock with a clock source.
fn reading(source: &str) -> Result<f64, Error> {
    let _restored = Chosen::new(Path::new(SOURCES), source)?;
    let readings = rate(|| {
        for _ in 0..64 {
            black_box(Instant::now());
        }
        Ok(64)
    })?;
    Ok(nanoseconds(readings))
}

/// A chosen clock source. When dropped, the kernel has the earlier one again: the other rows would
/// be measured with the slower clock otherwise.
struct Chosen<'a> {
    folder: &'a Path,
    earlier: String,
}

impl<'a> Chosen<'a> {
    /// Makes the kernel use a source. Fails if it does not have that one.
    fn new(folder: &'a Path, source: &str) -> Result<Self, Error> {
        let available = read(folder, "available_clocksource")?;
        if !available.split_whitespace().any(|name| name == source) {
            return Err(Error::Missing(format!(
                "the clock source {source}; the kernel has: {}",
                available.trim()
            )));
        }
        let earlier = read(folder, "current_clocksource")?.trim().to_owned();
        let chosen = Self { folder, earlier };
        chosen.choose(source)?;
        Ok(chosen)
    }

    fn choose(&self, source: &str) -> Result<(), Error> {
        let path = self.folder.join("current_clocksource");
        fs::write(&path, source)
            .map_err(|error| Error::Missing(format!("{source} to {}: {error}", path.display())))
    }
}

impl Drop for Chosen<'_> {
    fn drop(&mut self) {
        // It was in use before, so the kernel takes it. A refusal costs the other rows time only.
        let _ = self.choose(&self.earlier);
    }
}

/// Returns the text of a file of the folder.
fn read(folder: &Path, file: &str) -> Result<String, Error> {
    let path = folder.join(file);
    fs::read_to_string(&path)
        .map_err(|error| Error::Missing(format!("{}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes a folder as the kernel's, with `tsc` in use and `hpet` beside it.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |file, text| fs::write(folder.path().join(file), text).expect("written");
        write("available_clocksource", "tsc hpet acpi_pm \n");
        write("current_clocksource", "tsc\n");
        folder
    }

    fn current(folder: &Path) -> String {
        read(folder, "current_clocksource").expect("there")
    }

    #[test]
    fn chosen_source_is_in_use_until_the_end() {
        let folder = folder();
        let chosen = Chosen::new(folder.path(), "hpet").expect("available");
        assert_eq!(current(folder.path()), "hpet");

        drop(chosen);

        assert_eq!(current(folder.path()), "tsc");
    }

    #[test]
    fn missing_source_is_named_with_the_others() {
        let folder = folder();

        let refused = Chosen::new(folder.path(), "kvm-clock").err().expect("none");

        assert_eq!(
            refused.to_string(),
            "the clock source kvm-clock; the kernel has: tsc hpet acpi_pm"
        );
        assert_eq!(current(folder.path()), "tsc\n");
    }
}

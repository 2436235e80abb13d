// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The contents of source files: their sums, and a copy of the checkout to work in.

use std::collections::BTreeSet;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::error::Error;

/// Folders that are no sources, wherever they are.
const OTHERS: [&str; 3] = ["build", "target", ".git"];

/// Returns the paths of all files below `folder`, relative to it, in order.
fn files(folder: &Path) -> Result<BTreeSet<PathBuf>, Error> {
    let mut found = BTreeSet::new();
    let mut todo = vec![PathBuf::new()];
    while let Some(below) = todo.pop() {
        let path = folder.join(&below);
        for entry in fs::read_dir(&path).map_err(Error::file(&path))? {
            let entry = entry.map_err(Error::file(&path))?;
            let kind = entry.file_type().map_err(Error::file(&path))?;
            let name = entry.file_name();
            if !kind.is_dir() {
                found.insert(below.join(name));
            } else if !OTHERS.iter().any(|other| name == *other) {
                todo.push(below.join(name));
            }
        }
    }
    Ok(found)
}

/// Returns the sum of one file. It changes with the file, and with the release of Rust.
pub(crate) fn sum(path: &Path) -> Result<u64, Error> {
    let mut hasher = DefaultHasher::new();
    fs::read(path).map_err(Error::file(path))?.hash(&mut hasher);
    Ok(hasher.finish())
}

/// Returns the sum of the code of one file. Comments do not change it.
pub(crate) fn sum_of_code(path: &Path) -> Result<u64, Error> {
    let text = fs::read_to_string(path).map_err(Error::file(path))?;
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    let mut hasher = DefaultHasher::new();
    for line in text.lines().filter(is_code) {
        line.hash(&mut hasher);
    }
    Ok(hasher.finish())
}

/// Returns the sum of all files in these folders of the checkout, with their names.
pub(crate) fn sum_of(checkout: &Path, folders: &[&str]) -> Result<u64, Error> {
    let mut hasher = DefaultHasher::new();
    for folder in folders {
        let folder = checkout.join(folder);
        for path in files(&folder)? {
            sum(&folder.join(&path))?.hash(&mut hasher);
            path.hash(&mut hasher);
        }
    }
    Ok(hasher.finish())
}

/// Makes `copy` equal to the checkout. Files that are equal already keep their times, so that cargo
/// compiles only what has changed. Folders of builds in the copy stay.
pub(crate) fn copy(checkout: &Path, copy: &Path) -> Result<(), Error> {
    fs::create_dir_all(copy).map_err(Error::file(copy))?;
    let wanted = files(checkout)?;
    for path in files(copy)?.difference(&wanted) {
        let path = copy.join(path);
        fs::remove_file(&path).map_err(Error::file(&path))?;
    }
    for path in &wanted {
        copy_file(&checkout.join(path), &copy.join(path))?;
    }
    Ok(())
}

/// Copies a file or a link, unless the same is there.
fn copy_file(from: &Path, to: &Path) -> Result<(), Error> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(Error::file(folder))?;
    }
    if let Ok(target) = fs::read_link(from) {
        if fs::read_link(to).is_ok_and(|there| there == target) {
            return Ok(());
        }
        remove(to)?;
        return std::os::unix::fs::symlink(target, to).map_err(Error::file(to));
    }
    let wanted = fs::read(from).map_err(Error::file(from))?;
    if !to.is_symlink() && fs::read(to).is_ok_and(|there| there == wanted) {
        return Ok(());
    }
    remove(to)?;
    // The new file's time is now, so cargo takes it for changed.
    fs::write(to, wanted).map_err(Error::file(to))?;
    let mode = fs::metadata(from).map_err(Error::file(from))?.permissions();
    fs::set_permissions(to, mode).map_err(Error::file(to))
}

/// Removes a file, if it is there.
fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::file(path)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes files into a folder.
    fn write(folder: &Path, files: &[(&str, &str)]) {
        for (path, text) in files {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, text).expect("a file");
        }
    }

    /// Returns the time of a file.
    fn time(path: PathBuf) -> std::time::SystemTime {
        fs::metadata(path)
            .and_then(|data| data.modified())
            .expect("a time")
    }

    #[test]
    fn copy_takes_back_changes_and_keeps_builds() {
        let place = tempfile::tempdir().expect("a folder");
        let (from, to) = (place.path().join("from"), place.path().join("to"));
        write(
            &from,
            &[("src/a.rs", "a"), ("src/b.rs", "b"), ("build/x", "mine")],
        );
        copy(&from, &to).expect("a copy");
        let before = time(to.join("src/b.rs"));
        write(
            &to,
            &[
                ("src/a.rs", "mutant"),
                ("src/more.rs", ""),
                ("build/y", "its own"),
            ],
        );
        copy(&from, &to).expect("a copy");
        assert_eq!(
            fs::read_to_string(to.join("src/a.rs")).expect("a file"),
            "a"
        );
        assert!(
            !to.join("src/more.rs").exists(),
            "a file that the checkout lacks stayed"
        );
        assert!(to.join("build/y").exists(), "the copy's own build is gone");
        assert!(
            !to.join("build/x").exists(),
            "the checkout's build was copied"
        );
        assert_eq!(
            time(to.join("src/b.rs")),
            before,
            "an equal file was written again"
        );
    }

    #[test]
    fn sum_of_code_changes_with_code_alone() {
        let place = tempfile::tempdir().expect("a folder");
        let sum = |text: &str| {
            write(place.path(), &[("a.rs", text)]);
            sum_of_code(&place.path().join("a.rs")).expect("a sum")
        };
        let first = sum("// One.\nf();\n");
        assert_eq!(sum("// Two.\n\n    /// Three.\nf();\n"), sum("\nf();\n"));
        assert_eq!(sum("// Two.\nf();\n"), first);
        assert_ne!(sum("// One.\ng();\n"), first);
    }

    #[test]
    fn sum_of_folders_changes_with_contents_and_names() {
        let place = tempfile::tempdir().expect("a folder");
        let sum = || sum_of(place.path(), &["a"]).expect("a sum");
        write(place.path(), &[("a/x.rs", "1"), ("b/x.rs", "1")]);
        let first = sum();
        write(place.path(), &[("b/x.rs", "2")]);
        assert_eq!(sum(), first, "another folder changed");
        write(place.path(), &[("a/x.rs", "2")]);
        let second = sum();
        assert_ne!(second, first);
        write(place.path(), &[("a/y.rs", "")]);
        assert_ne!(sum(), second);
    }
}

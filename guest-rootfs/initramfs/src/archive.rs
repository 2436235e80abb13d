// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Turns a tree into the bytes that the kernel unpacks.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use cpio::newc::{self, ModeFileType};

use crate::tree::{GuestPath, Mode, Node, Tree};
use crate::Error;

/// Builds the archive. The same tree with the same file contents gives the same bytes: the owner is
/// root, times are zero, and inode numbers count up.
///
/// # Errors
/// [`Error::Read`] and [`Error::TooLarge`] for files of the host.
pub fn build(tree: &Tree) -> Result<Vec<u8>, Error> {
    let mut archive = Vec::new();
    // Each entry has a number of its own. The kernel links entries with equal numbers only if their
    // link count exceeds 1, but unique numbers do not depend on that.
    for (number, (path, node)) in (1..).zip(tree.iter()) {
        append(&mut archive, number, path, node)?;
    }
    newc::trailer(&mut archive).map_err(in_memory)?;
    Ok(archive)
}

/// Appends one entry to the archive.
fn append(archive: &mut Vec<u8>, number: u32, path: &GuestPath, node: &Node) -> Result<(), Error> {
    let entry = newc::Builder::new(path.as_str()).ino(number);
    let typed = |mode: Mode, kind| entry.mode(mode.bits()).set_mode_file_type(kind);
    let (entry, contents) = match node {
        Node::Directory => (
            typed(Mode::EXECUTABLE, ModeFileType::Directory).nlink(2),
            Vec::new(),
        ),
        Node::File { source, mode } => (typed(*mode, ModeFileType::Regular), read(source)?),
        Node::Symlink { target } => (
            typed(Mode::LINK, ModeFileType::Symlink),
            target.clone().into_bytes(),
        ),
        Node::CharDevice { major, minor, mode } => (
            typed(*mode, ModeFileType::Char)
                .rdev_major(*major)
                .rdev_minor(*minor),
            Vec::new(),
        ),
    };
    let size = u32::try_from(contents.len()).map_err(|_| Error::TooLarge {
        path: path.clone(),
        size: contents.len(),
    })?;
    let mut writer = entry.write(archive, size);
    writer.write_all(&contents).map_err(in_memory)?;
    writer.finish().map_err(in_memory)?;
    Ok(())
}

/// Reads a file of the host.
fn read(source: &Path) -> Result<Vec<u8>, Error> {
    fs::read(source).map_err(|error| Error::Read {
        path: source.to_owned(),
        source: error,
    })
}

/// Returns an error that names the archive while it has no file yet.
fn in_memory(source: io::Error) -> Error {
    Error::Write {
        path: "the archive in memory".into(),
        source,
    }
}

/// Moves the archive into place by a rename. Otherwise a virtual machine could boot half of one.
///
/// # Errors
/// [`Error::Write`] with the host's error.
pub fn save(archive: &[u8], output: &Path) -> Result<(), Error> {
    let mut name = output.as_os_str().to_owned();
    name.push(format!(".tmp.{}", std::process::id()));
    let unfinished = Path::new(&name);
    fs::write(unfinished, archive)
        .and_then(|()| fs::rename(unfinished, output))
        .map_err(|source| {
            // An error is ignored: a file that cannot be removed needs no second message.
            drop(fs::remove_file(unfinished));
            Error::Write {
                path: output.to_owned(),
                source,
            }
        })
}

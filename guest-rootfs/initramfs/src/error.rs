// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What can be wrong with the wish for an archive.

use std::io;
use std::path::PathBuf;

use crate::tree::GuestPath;

/// Why no archive was made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A place in the archive is not an absolute plain path.
    #[error(
        "`{0}` is no place in the guest: name it from the root, without `.`, `..` or empty parts"
    )]
    GuestPath(String),
    /// An argument has no `=` between its two halves.
    #[error("`{0}` has no `=`: write {1}")]
    NoEquals(String, &'static str),
    /// A permission is not octal or has more than twelve bits.
    #[error("`{0}` is no permission: write three or four octal digits, such as 755")]
    Mode(String),
    /// A device node is described wrongly.
    #[error("`{0}` is no device: write c:MAJOR:MINOR[:MODE]")]
    Device(String),
    /// Two arguments ask for the same place.
    #[error("/{0} was asked for twice with different contents: leave one out")]
    Twice(String),
    /// A path leads through something that is no directory.
    #[error("/{child} cannot be made: /{parent} is no directory")]
    NotDirectory {
        /// What was asked for.
        child: String,
        /// What is in its way.
        parent: String,
    },
    /// A file is larger than the format can say.
    #[error("{path} would have {size} bytes, the format ends at {limit}", limit = u32::MAX)]
    TooLarge {
        /// Its place in the guest.
        path: GuestPath,
        /// Its size in bytes.
        size: usize,
    },
    /// A second archive would replace what the first one has.
    #[error("{0} is in the guest already: choose another place")]
    Packed(GuestPath),
    /// What should be an archive is none.
    #[error("the packed initramfs is no archive: {0}; build it again with make build")]
    Archive(#[source] io::Error),
    /// A file of the host could not be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Read {
        /// The file on the host.
        path: PathBuf,
        /// What the host said.
        source: io::Error,
    },
    /// The archive could not be written.
    #[error("cannot write {path}: {source}", path = path.display())]
    Write {
        /// The archive.
        path: PathBuf,
        /// What the host said.
        source: io::Error,
    },
}

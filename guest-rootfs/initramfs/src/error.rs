// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Errors in the request for an archive.

use std::io;
use std::path::PathBuf;

use crate::tree::{GuestPath, TRAILER};

/// Reason for which no archive was made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A place in the archive is not a plain absolute path.
    #[error(
        "`{0}` is not a path in the guest: name it from the root, without `.`, `..` or empty parts"
    )]
    GuestPath(String),
    /// A part of a path, or the whole of it, is longer than the kernel takes.
    #[error(
        "`{}` has {length} bytes, the kernel's limit for {what} is {limit}: it would leave the file out; choose a shorter name",
        beginning(name)
    )]
    TooLong {
        /// Part of the request that is too long.
        what: &'static str,
        /// Its text.
        name: String,
        /// Its length in bytes.
        length: usize,
        /// Largest length.
        limit: usize,
    },
    /// The name of a place is the mark by which the format ends an archive.
    #[error("/{TRAILER} cannot be in the guest's root: the kernel takes this name for the end of the archive; choose another name or folder")]
    Trailer,
    /// A symbolic link has no target.
    #[error("/{0} would be a link to nothing, which no program can follow: write DEST=TARGET")]
    EmptyTarget(String),
    /// The target of a symbolic link has a NUL, at which the kernel would end it.
    #[error("the target of /{0} has a NUL: leave it out")]
    NulInTarget(String),
    /// An argument has no `=` between its two halves.
    #[error("`{0}` has no `=`: write {1}")]
    NoEquals(String, &'static str),
    /// A permission is not octal, or has more than twelve bits.
    #[error("`{0}` is not a permission: write three or four octal digits, such as 755")]
    Mode(String),
    /// The description of a device node is invalid.
    #[error("`{0}` is not a device: write c:MAJOR:MINOR[:MODE]")]
    Device(String),
    /// A number of a device exceeds the kernel's field for it.
    #[error("{what} number {number} is too large: the kernel's limit is {limit}")]
    DeviceNumber {
        /// `major` or `minor`.
        what: &'static str,
        /// The number.
        number: u32,
        /// Largest number.
        limit: u32,
    },
    /// Two arguments name the same place.
    #[error("/{0} was asked for twice with different contents: leave one out")]
    Twice(String),
    /// A path leads through something other than a directory.
    #[error("/{child} cannot be made: /{parent} is not a directory")]
    NotDirectory {
        /// Requested place.
        child: String,
        /// Place above it that is no directory.
        parent: String,
    },
    /// A file exceeds the largest size of the format.
    #[error("{path} would have {size} bytes, the format ends at {limit}", limit = u32::MAX)]
    TooLarge {
        /// Place in the guest.
        path: GuestPath,
        /// Size in bytes.
        size: usize,
    },
    /// A second archive would replace a file of the first one.
    #[error("{0} is in the guest already: choose another path")]
    Packed(GuestPath),
    /// The packed initramfs is not an archive.
    #[error("the packed initramfs is not an archive: {0}; build it again with make build")]
    Archive(#[source] io::Error),
    /// A file of the host could not be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Read {
        /// File on the host.
        path: PathBuf,
        /// Error of the host.
        source: io::Error,
    },
    /// The archive could not be written.
    #[error("cannot write {path}: {source}", path = path.display())]
    Write {
        /// File of the archive.
        path: PathBuf,
        /// Error of the host.
        source: io::Error,
    },
}

/// Longest part of a name in a message.
const SHOWN: usize = 40;

/// Returns the beginning of a name that is too long to be shown.
fn beginning(name: &str) -> String {
    let shown: String = name.chars().take(SHOWN).collect();
    match shown == *name {
        true => shown,
        false => shown + "…",
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The command line.

use std::path::PathBuf;

use clap::Parser;

use crate::tree::{GuestPath, Mode, Node, Tree};
use crate::Error;

/// Builds an initramfs without root: the same input gives the same bytes.
///
/// Exit status: 0 if the archive is written, 1 if it could not be made, 2 if the command line is
/// wrong.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Options {
    /// File to write the archive to
    #[arg(long, value_name = "FILE")]
    pub output: PathBuf,
    /// An empty directory; directories above a file are added automatically
    #[arg(long, value_name = "PATH")]
    dir: Vec<String>,
    /// A copy of a file of this host; without MODE it is not executable (644)
    #[arg(long, value_name = "DEST=SOURCE[:MODE]")]
    file: Vec<String>,
    /// A symbolic link at DEST
    #[arg(long, value_name = "DEST=TARGET")]
    symlink: Vec<String>,
    /// A character device; without MODE only root may use it (600)
    #[arg(long, value_name = "DEST=c:MAJOR:MINOR[:MODE]")]
    node: Vec<String>,
}

impl Options {
    /// Returns the requested contents of the archive.
    ///
    /// # Errors
    /// Fails at the first argument that is invalid or contradicts another one.
    pub fn tree(&self) -> Result<Tree, Error> {
        let mut tree = Tree::default();
        for path in &self.dir {
            tree.add(GuestPath::new(path)?, Node::Directory)?;
        }
        for argument in &self.file {
            let (dest, value) = halves(argument, "DEST=SOURCE[:MODE]")?;
            tree.add(dest, file(value))?;
        }
        for argument in &self.symlink {
            let (dest, value) = halves(argument, "DEST=TARGET")?;
            let target = value.to_owned();
            tree.add(dest, Node::Symlink { target })?;
        }
        for argument in &self.node {
            let (dest, value) = halves(argument, "DEST=c:MAJOR:MINOR[:MODE]")?;
            tree.add(dest, device(value)?)?;
        }
        Ok(tree)
    }
}

/// Splits an argument at its first `=`.
fn halves<'a>(argument: &'a str, form: &'static str) -> Result<(GuestPath, &'a str), Error> {
    let (dest, value) = argument
        .split_once('=')
        .ok_or_else(|| Error::NoEquals(argument.to_owned(), form))?;
    Ok((GuestPath::new(dest)?, value))
}

/// Parses a source with an optional permission. The source may contain colons. Only a last part
/// that parses as a permission is one.
fn file(value: &str) -> Node {
    let with_mode = value
        .rsplit_once(':')
        .and_then(|(source, mode)| Some((source, Mode::parse(mode).ok()?)));
    let (source, mode) = with_mode.unwrap_or((value, Mode::PLAIN));
    Node::File {
        source: source.into(),
        mode,
    }
}

/// Parses the description of a device node.
fn device(value: &str) -> Result<Node, Error> {
    let wrong = || Error::Device(value.to_owned());
    let number = |text: &str| text.parse().map_err(|_| wrong());
    let parts: Vec<_> = value.split(':').collect();
    let (major, minor, mode) = match parts.as_slice() {
        ["c", major, minor] => (major, minor, Mode::PRIVATE),
        ["c", major, minor, mode] => (major, minor, Mode::parse(mode)?),
        _ => return Err(wrong()),
    };
    Ok(Node::CharDevice {
        major: number(major)?,
        minor: number(minor)?,
        mode,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colon_in_a_source_stays_in_it() {
        assert_eq!(
            file("/srv/a:b"),
            Node::File {
                source: "/srv/a:b".into(),
                mode: Mode::PLAIN
            }
        );
    }

    #[test]
    fn mode_after_a_source_is_taken() {
        assert_eq!(
            file("/srv/a:b:755"),
            Node::File {
                source: "/srv/a:b".into(),
                mode: Mode::EXECUTABLE
            }
        );
    }

    #[test]
    fn device_without_numbers_is_refused() {
        assert!(matches!(device("c:5"), Err(Error::Device(_))));
    }

    #[test]
    fn block_device_is_refused() {
        assert!(matches!(device("b:8:0"), Err(Error::Device(_))));
    }

    #[test]
    fn argument_without_equals_is_refused() {
        assert!(matches!(
            halves("/init", "DEST=TARGET"),
            Err(Error::NoEquals(..))
        ));
    }
}

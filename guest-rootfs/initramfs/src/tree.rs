// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Contents of the guest's root file system.

use std::collections::btree_map::{BTreeMap, Entry};
use std::fmt;
use std::path::PathBuf;

use crate::Error;

/// Longest part of a path, in bytes: `NAME_MAX` of the kernel.
const LONGEST_NAME: usize = 255;
/// Longest path or target of a link, in bytes: the kernel's `PATH_MAX` without the NUL at the end.
const LONGEST_PATH: usize = 4095;
/// Largest numbers of a device: the kernel has 12 bits for the first and 20 for the second.
const LARGEST_MAJOR: u32 = 0xfff;
const LARGEST_MINOR: u32 = 0xf_ffff;
/// Name by which the format marks the end of an archive.
pub(crate) const TRAILER: &str = "TRAILER!!!";

/// A place in the guest, in the form that archives use: without the leading slash.
///
/// The order puts each directory before its contents.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GuestPath(String);

impl GuestPath {
    /// Parses an absolute path.
    ///
    /// # Errors
    /// [`Error::GuestPath`] if it is relative, is the root, or has `.`, `..`, empty parts or a NUL.
    /// [`Error::TooLong`] and [`Error::Trailer`] if the kernel would leave it out.
    pub fn new(path: &str) -> Result<Self, Error> {
        let wrong = || Error::GuestPath(path.to_owned());
        let inner = path.strip_prefix('/').ok_or_else(wrong)?;
        let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
        if !inner.split('/').all(plain) {
            return Err(wrong());
        }
        for part in inner.split('/') {
            check_length("a name", part, LONGEST_NAME)?;
        }
        check_length("a path", inner, LONGEST_PATH)?;
        // The directories above become entries, too. Deeper down the name is an ordinary one.
        if inner.split('/').next() == Some(TRAILER) {
            return Err(Error::Trailer);
        }
        Ok(Self(inner.to_owned()))
    }

    /// Returns the name that the archive stores.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the directories above, from the outermost to the nearest.
    pub(crate) fn parents(&self) -> impl Iterator<Item = Self> + '_ {
        self.0
            .match_indices('/')
            .filter_map(|(end, _)| self.0.get(..end))
            .map(|parent| Self(parent.to_owned()))
    }
}

impl fmt::Display for GuestPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "/{}", self.0)
    }
}

/// Permission bits. The caller always chooses them. Taken from the host, they would depend on its
/// umask, and archives would differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode(u16);

impl Mode {
    /// For directories and programs.
    pub const EXECUTABLE: Self = Self(0o755);
    /// For data.
    pub const PLAIN: Self = Self(0o644);
    /// For device nodes.
    pub const PRIVATE: Self = Self(0o600);
    /// For symbolic links, which have no permissions.
    pub const LINK: Self = Self(0o777);

    /// Reads three or four octal digits.
    ///
    /// # Errors
    /// [`Error::Mode`] if it is anything else.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let wrong = || Error::Mode(text.to_owned());
        if !(3..=4).contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong());
        }
        u16::from_str_radix(text, 8).map(Self).map_err(|_| wrong())
    }

    /// Returns the bits as `stat` encodes them.
    pub fn bits(self) -> u32 {
        u32::from(self.0)
    }
}

/// A node of the file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A directory. Directories above a node are added automatically.
    Directory,
    /// A copy of a file of the host.
    File {
        /// File on the host.
        source: PathBuf,
        /// Permissions in the guest.
        mode: Mode,
    },
    /// A symbolic link.
    Symlink {
        /// Target: any text that the kernel takes.
        target: String,
    },
    /// A character device.
    CharDevice {
        /// Major number: the kind of device.
        major: u32,
        /// Minor number: the device of that kind.
        minor: u32,
        /// Permissions in the guest.
        mode: Mode,
    },
}

impl Node {
    /// Fails if the kernel would leave the node out, or make another one of it.
    fn check(&self, path: &GuestPath) -> Result<(), Error> {
        match self {
            Self::Symlink { target } if target.is_empty() => {
                Err(Error::EmptyTarget(path.0.clone()))
            }
            Self::Symlink { target } if target.contains('\0') => {
                Err(Error::NulInTarget(path.0.clone()))
            }
            Self::Symlink { target } => check_length("the target of a link", target, LONGEST_PATH),
            Self::CharDevice { major, minor, .. } => {
                check_number("major", *major, LARGEST_MAJOR)?;
                check_number("minor", *minor, LARGEST_MINOR)
            }
            Self::Directory | Self::File { .. } => Ok(()),
        }
    }
}

/// Fails if a text has more bytes than the kernel takes.
fn check_length(what: &'static str, name: &str, limit: usize) -> Result<(), Error> {
    if name.len() <= limit {
        return Ok(());
    }
    Err(Error::TooLong {
        what,
        name: name.to_owned(),
        length: name.len(),
        limit,
    })
}

/// Fails if a number of a device is larger than the kernel's field.
fn check_number(what: &'static str, number: u32, limit: u32) -> Result<(), Error> {
    if number <= limit {
        return Ok(());
    }
    Err(Error::DeviceNumber {
        what,
        number,
        limit,
    })
}

/// All nodes of the guest, in the order of the archive. The order of additions does not matter.
#[derive(Debug, Default)]
pub struct Tree {
    nodes: BTreeMap<GuestPath, Node>,
}

impl Tree {
    /// Adds a node and the directories above it.
    ///
    /// # Errors
    /// [`Error::EmptyTarget`], [`Error::NulInTarget`], [`Error::TooLong`] and
    /// [`Error::DeviceNumber`] for a node that the kernel would leave out or change.
    /// [`Error::Twice`] if a different node has that place, [`Error::NotDirectory`] if a node above
    /// it is no directory.
    pub fn add(&mut self, path: GuestPath, node: Node) -> Result<(), Error> {
        node.check(&path)?;
        for parent in path.parents() {
            match self.nodes.entry(parent) {
                Entry::Occupied(there) if *there.get() != Node::Directory => {
                    return Err(Error::NotDirectory {
                        child: path.0.clone(),
                        parent: there.key().0.clone(),
                    });
                }
                Entry::Occupied(_) => {}
                Entry::Vacant(free) => {
                    free.insert(Node::Directory);
                }
            }
        }
        match self.nodes.entry(path) {
            Entry::Occupied(there) if *there.get() == node => Ok(()),
            Entry::Occupied(there) => Err(Error::Twice(there.key().0.clone())),
            Entry::Vacant(free) => {
                free.insert(node);
                Ok(())
            }
        }
    }

    /// Returns every node with its place, directories before their contents.
    pub fn iter(&self) -> impl Iterator<Item = (&GuestPath, &Node)> {
        self.nodes.iter()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(text: &str) -> GuestPath {
        GuestPath::new(text).expect("a path that the test chose")
    }

    fn link() -> Node {
        Node::Symlink {
            target: "x".to_owned(),
        }
    }

    #[test]
    fn relative_path_is_refused() {
        assert!(matches!(GuestPath::new("bin/sh"), Err(Error::GuestPath(_))));
    }

    #[test]
    fn path_that_climbs_is_refused() {
        assert!(matches!(
            GuestPath::new("/bin/../init"),
            Err(Error::GuestPath(_))
        ));
    }

    #[test]
    fn root_is_refused() {
        assert!(matches!(GuestPath::new("/"), Err(Error::GuestPath(_))));
    }

    /// Returns a path with so many bytes, in parts of 200 and the rest.
    fn long(length: usize) -> String {
        let parts = std::iter::repeat_n(format!("/{}", "a".repeat(199)), length / 200);
        parts.collect::<String>() + "/" + &"b".repeat(length % 200)
    }

    #[test]
    fn name_at_the_kernels_limit_is_accepted_and_a_longer_one_is_not() {
        let name = |length| format!("/d/{}/x", "n".repeat(length));

        assert!(GuestPath::new(&name(255)).is_ok());
        let error = GuestPath::new(&name(256)).expect_err("refused");
        let message = error.to_string();
        assert!(
            message.contains("256 bytes") && message.contains("limit for a name is 255"),
            "{message}"
        );
        assert!(message.len() < 250, "{message}");
    }

    #[test]
    fn length_counts_bytes() {
        assert!(GuestPath::new(&format!("/{}", "é".repeat(127))).is_ok());
        assert!(matches!(
            GuestPath::new(&format!("/{}", "é".repeat(128))),
            Err(Error::TooLong { length: 256, .. })
        ));
    }

    #[test]
    fn path_at_the_kernels_limit_is_accepted_and_a_longer_one_is_not() {
        assert_eq!(path(&long(4095)).as_str().len(), 4095);
        assert!(matches!(
            GuestPath::new(&long(4096)),
            Err(Error::TooLong {
                what: "a path",
                length: 4096,
                limit: 4095,
                ..
            })
        ));
    }

    #[test]
    fn end_of_the_archive_is_refused_as_a_name_in_the_root_alone() {
        for name in ["/TRAILER!!!", "/TRAILER!!!/x"] {
            assert!(
                matches!(GuestPath::new(name), Err(Error::Trailer)),
                "{name}"
            );
        }
        assert!(GuestPath::new("/d/TRAILER!!!").is_ok());
        assert!(GuestPath::new("/TRAILER!!!x").is_ok());
    }

    #[test]
    fn link_to_nothing_is_refused() {
        let add = |target: &str| {
            let target = target.to_owned();
            Tree::default().add(path("/a"), Node::Symlink { target })
        };

        assert!(matches!(add(""), Err(Error::EmptyTarget(place)) if place == "a"));
        assert!(matches!(add("x\0y"), Err(Error::NulInTarget(_))));
        assert!(add(&"t".repeat(4095)).is_ok());
        assert!(matches!(
            add(&"t".repeat(4096)),
            Err(Error::TooLong { limit: 4095, .. })
        ));
    }

    #[test]
    fn device_with_a_number_beyond_the_kernels_field_is_refused() {
        let add = |major, minor| {
            let mode = Mode::PRIVATE;
            Tree::default().add(path("/a"), Node::CharDevice { major, minor, mode })
        };

        assert!(add(0xfff, 0xf_ffff).is_ok());
        assert!(matches!(
            add(0x1000, 0),
            Err(Error::DeviceNumber { what: "major", .. })
        ));
        assert!(matches!(
            add(0, 0x10_0000),
            Err(Error::DeviceNumber { what: "minor", .. })
        ));
    }

    #[test]
    fn mode_is_octal() {
        assert_eq!(
            Mode::parse("0755").expect("four octal digits").bits(),
            0o755
        );
        assert!(matches!(Mode::parse("789"), Err(Error::Mode(_))));
        assert!(matches!(Mode::parse("+755"), Err(Error::Mode(_))));
        assert!(matches!(Mode::parse("17777"), Err(Error::Mode(_))));
    }

    #[test]
    fn directories_above_come_by_themselves() {
        let mut tree = Tree::default();

        tree.add(path("/lib/modules/a.ko"), link())
            .expect("nothing is in its way");

        let names: Vec<_> = tree.iter().map(|(path, _)| path.to_string()).collect();
        assert_eq!(names, ["/lib", "/lib/modules", "/lib/modules/a.ko"]);
    }

    #[test]
    fn same_thing_twice_is_one() {
        let mut tree = Tree::default();
        tree.add(path("/a"), link()).expect("the place is free");

        tree.add(path("/a"), link()).expect("it is the same thing");

        assert_eq!(tree.iter().count(), 1);
    }

    #[test]
    fn other_thing_at_same_place_is_refused() {
        let mut tree = Tree::default();
        tree.add(path("/a"), link()).expect("the place is free");

        let result = tree.add(path("/a"), Node::Directory);

        assert!(matches!(result, Err(Error::Twice(place)) if place == "a"));
    }

    #[test]
    fn path_through_a_link_is_refused() {
        let mut tree = Tree::default();
        tree.add(path("/a"), link()).expect("the place is free");

        let result = tree.add(path("/a/b"), link());

        assert!(matches!(result, Err(Error::NotDirectory { parent, .. }) if parent == "a"));
    }

    proptest! {
        #[test]
        fn every_parent_precedes_its_children(
            names in prop::collection::vec("(/[a-c.-]{0,2}[a-c]){1,4}", 1..20),
        ) {
            let mut tree = Tree::default();
            for name in &names {
                tree.add(path(name), Node::Directory)?;
            }

            let mut seen = std::collections::BTreeSet::new();
            for (path, _) in tree.iter() {
                prop_assert!(path.parents().all(|parent| seen.contains(&parent)));
                seen.insert(path.clone());
            }
        }
    }
}

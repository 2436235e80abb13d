// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Contents of the guest's root file system.

use std::collections::btree_map::{BTreeMap, Entry};
use std::fmt;
use std::path::PathBuf;

use crate::Error;

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
    pub fn new(path: &str) -> Result<Self, Error> {
        let wrong = || Error::GuestPath(path.to_owned());
        let inner = path.strip_prefix('/').ok_or_else(wrong)?;
        let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
        if inner.split('/').all(plain) {
            Ok(Self(inner.to_owned()))
        } else {
            Err(wrong())
        }
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
        /// Target, not checked.
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

/// All nodes of the guest, in the order of the archive. The order of additions does not matter.
#[derive(Debug, Default)]
pub struct Tree {
    nodes: BTreeMap<GuestPath, Node>,
}

impl Tree {
    /// Adds a node and the directories above it.
    ///
    /// # Errors
    /// [`Error::Twice`] if a different node has that place, [`Error::NotDirectory`] if a node above
    /// it is no directory.
    pub fn add(&mut self, path: GuestPath, node: Node) -> Result<(), Error> {
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

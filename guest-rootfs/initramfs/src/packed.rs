// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Contents of an existing archive, so that another one can follow it.

use std::collections::BTreeMap;

use cpio::newc::{self, ModeFileType};

use crate::tree::GuestPath;
use crate::Error;

/// Bits of a mode that hold the kind of file.
const KIND: u32 = 0o170_000;

/// The places that an archive takes.
#[derive(Debug)]
pub struct Packed {
    /// Whether each place is a directory.
    places: BTreeMap<String, bool>,
}

impl Packed {
    /// Reads the names in the first archive of `bytes`.
    ///
    /// # Errors
    /// [`Error::Archive`] if there is no archive, or only part of one.
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        let directory = u32::from(ModeFileType::Directory);
        let mut places = BTreeMap::new();
        let mut rest = bytes;
        loop {
            let reader = newc::Reader::new(rest).map_err(Error::Archive)?;
            let entry = reader.entry();
            if entry.is_trailer() {
                return Ok(Self { places });
            }
            places.insert(entry.name().to_owned(), entry.mode() & KIND == directory);
            rest = reader.finish().map_err(Error::Archive)?;
        }
    }

    /// Checks that a file of a second archive would replace nothing of this one.
    ///
    /// # Errors
    /// [`Error::Packed`] if the place is taken, [`Error::NotDirectory`] if a place above it is no
    /// directory.
    pub fn check_free(&self, path: &GuestPath) -> Result<(), Error> {
        let in_the_way = path
            .parents()
            .find(|parent| self.places.get(parent.as_str()) == Some(&false));
        if let Some(parent) = in_the_way {
            return Err(Error::NotDirectory {
                child: path.as_str().to_owned(),
                parent: parent.as_str().to_owned(),
            });
        }
        match self.places.contains_key(path.as_str()) {
            true => Err(Error::Packed(path.clone())),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive;
    use crate::tree::{Node, Tree};

    fn path(text: &str) -> GuestPath {
        GuestPath::new(text).expect("a path that the test chose")
    }

    /// Returns an archive with the link `/bin/sh`.
    fn bytes() -> Vec<u8> {
        let mut tree = Tree::default();
        let target = "busybox".to_owned();
        tree.add(path("/bin/sh"), Node::Symlink { target })
            .expect("the place is free");
        archive::build(&tree).expect("it has no file of the host")
    }

    fn packed() -> Packed {
        Packed::read(&bytes()).expect("an archive")
    }

    #[test]
    fn place_beside_is_free() {
        assert!(packed().check_free(&path("/bin/ls")).is_ok());
        assert!(packed().check_free(&path("/etc/hello")).is_ok());
    }

    #[test]
    fn file_and_directory_are_taken() {
        for place in ["/bin/sh", "/bin"] {
            let result = packed().check_free(&path(place));

            assert!(matches!(result, Err(Error::Packed(_))), "{place}");
        }
    }

    #[test]
    fn place_below_a_link_is_refused() {
        let result = packed().check_free(&path("/bin/sh/x"));

        assert!(matches!(result, Err(Error::NotDirectory { parent, .. }) if parent == "bin/sh"));
    }

    #[test]
    fn archive_that_was_cut_is_refused() {
        let bytes = bytes();

        for length in 0..bytes.len() - 4 {
            let result = Packed::read(bytes.get(..length).expect("shorter"));
            assert!(matches!(result, Err(Error::Archive(_))), "{length}");
        }
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Files of this host for the guest of one run. They form an archive of their own after the packed
//! initramfs, in the run's folder. The kernel unpacks one archive after the other.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ringbar_initramfs::packed::Packed;
use ringbar_initramfs::tree::{GuestPath, Mode, Node, Tree};
use ringbar_initramfs::{archive, Error as PackError};

use crate::error::Error;
use crate::workplace::Workplace;

/// Mount points of the guest's init. A mount hides files that were packed there.
const HIDDEN: &[&str] = &["/proc", "/sys", "/dev", "/tmp"];

/// A file of this host, and its place in the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GuestFile {
    source: PathBuf,
    place: GuestPath,
}

impl FromStr for GuestFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // The last colon separates: a file name here may contain colons.
        let (source, place) = text
            .rsplit_once(':')
            .filter(|(source, _)| !source.is_empty())
            .ok_or_else(|| format!("`{text}` is not HOST:GUEST: write hello.txt:/etc/hello.txt"))?;
        let path = GuestPath::new(place).map_err(|error| error.to_string())?;
        match hidden_by(place) {
            Some(above) => Err(format!(
                "{place} cannot be seen in the guest: its init mounts a file system on {above}; choose \
                 another place"
            )),
            None => Ok(Self {
                source: source.into(),
                place: path,
            }),
        }
    }
}

/// Returns the mount point that hides a place, if there is one.
fn hidden_by(place: &str) -> Option<&'static str> {
    let inside = |above: &str| {
        let rest = place.strip_prefix(above);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    HIDDEN.iter().copied().find(|above| inside(above))
}

/// Returns the initramfs of a run: `base`, or a copy of it in `place` with `files` added.
pub(crate) fn initramfs(
    base: &Path,
    files: &[GuestFile],
    place: &Workplace,
) -> Result<PathBuf, Error> {
    if files.is_empty() {
        return Ok(base.to_owned());
    }
    let mut whole = fs::read(base).map_err(|source| Error::Input {
        what: "the initramfs",
        path: base.to_owned(),
        source,
    })?;
    let packed = Packed::read(&whole)?;
    let mut tree = Tree::default();
    for file in files {
        packed.check_free(&file.place)?;
        let mode = mode(&file.source)?;
        let source = file.source.clone();
        tree.add(file.place.clone(), Node::File { source, mode })?;
    }
    // The kernel expects each archive at a multiple of four bytes, and skips zeros before it.
    whole.resize(whole.len().next_multiple_of(4), 0);
    whole.extend(archive::build(&tree)?);
    let path = place.file("initramfs.cpio");
    archive::save(&whole, &path)?;
    Ok(path)
}

/// Returns the permissions for the guest. Fails if the file does not exist.
fn mode(source: &Path) -> Result<Mode, PackError> {
    let refused = |source_error| PackError::Read {
        path: source.to_owned(),
        source: source_error,
    };
    let there = fs::metadata(source).map_err(refused)?;
    match there.permissions().mode() & 0o111 {
        0 => Ok(Mode::PLAIN),
        _ => Ok(Mode::EXECUTABLE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        text.parse::<GuestFile>().expect_err("refused")
    }

    /// Returns a folder with `base.cpio`, which holds `/bin/sh`, and `hello`.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        let hello = folder.path().join("hello");
        fs::write(&hello, "hello").expect("written");
        let mut tree = Tree::default();
        let shell = GuestPath::new("/bin/sh").expect("a place");
        let node = Node::File {
            source: hello,
            mode: Mode::PLAIN,
        };
        tree.add(shell, node).expect("free");
        let bytes = archive::build(&tree).expect("an archive");
        archive::save(&bytes, &folder.path().join("base.cpio")).expect("written");
        folder
    }

    fn made(folder: &tempfile::TempDir, name: &str, guest: &str) -> Result<Vec<u8>, Error> {
        let place = Workplace::create().expect("a folder");
        let text = format!("{}:{guest}", folder.path().join(name).display());
        let file = text.parse().expect("a file and a place");
        initramfs(&folder.path().join("base.cpio"), &[file], &place)
            .map(|path| fs::read(path).expect("it is there"))
    }

    #[test]
    fn place_is_after_the_last_colon() {
        let file: GuestFile = "a:b:/etc/b".parse().expect("a file and a place");

        assert_eq!(file.source, Path::new("a:b"));
        assert_eq!(file.place.to_string(), "/etc/b");
    }

    #[test]
    fn place_that_is_not_absolute_is_refused() {
        assert!(refused("hello:etc/hello").contains("`etc/hello` is not a path in the guest"));
    }

    #[test]
    fn file_without_a_place_is_refused() {
        assert!(refused("hello").contains("is not HOST:GUEST"));
    }

    #[test]
    fn place_under_a_mounted_file_system_is_refused() {
        assert!(refused("hello:/tmp/hello").contains("mounts a file system on /tmp"));
        assert!("hello:/tmpfile".parse::<GuestFile>().is_ok());
    }

    #[test]
    fn mounted_file_systems_are_those_of_init() {
        let init = include_str!("../../../guest-rootfs/init/src/system.rs");
        let list = init.split_once("const FILE_SYSTEMS").expect("the list").1;
        let list = list.split_once("];").expect("its end").0;
        let places = list.split('"').filter(|word| word.starts_with('/'));

        for place in places {
            assert!(hidden_by(place).is_some(), "{place}");
        }
    }

    #[test]
    fn files_come_after_the_packed_archive() {
        let folder = folder();
        let base = fs::read(folder.path().join("base.cpio")).expect("it is there");

        let whole = made(&folder, "hello", "/etc/hello").expect("made");

        assert!(whole.starts_with(&base));
        let second = Packed::read(whole.get(base.len()..).expect("more"));
        let taken = GuestPath::new("/etc/hello").expect("a place");
        let error = second.expect("an archive").check_free(&taken);
        assert!(error.is_err(), "the second archive has the file");
    }

    #[test]
    fn missing_file_is_named() {
        let error = made(&folder(), "missing", "/etc/x").expect_err("refused");

        assert!(
            error.to_string().contains("/missing: No such file"),
            "{error}"
        );
    }

    #[test]
    fn folder_is_refused() {
        let folder = folder();
        fs::create_dir(folder.path().join("sub")).expect("a folder");

        let error = made(&folder, "sub", "/etc/x").expect_err("refused");

        assert!(
            error.to_string().contains("/sub: Is a directory"),
            "{error}"
        );
    }

    #[test]
    fn packed_file_is_not_replaced() {
        let error = made(&folder(), "hello", "/bin/sh").expect_err("refused");

        assert!(
            error
                .to_string()
                .contains("/bin/sh is in the guest already"),
            "{error}"
        );
    }
}

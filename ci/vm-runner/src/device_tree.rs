// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The device tree of a machine whose devices do not see the processor's caches.
//!
//! QEMU's own tree says `dma-coherent` of each bus, which is true of QEMU. Without that property the
//! kernel treats devices as ones that read and write past the caches. It maps memory that it shares
//! with them write-combining, and refuses what only a coherent device can have.
//!
//! The tree that QEMU writes has a megabyte, nearly all of it empty. QEMU doubles the room of a tree that it
//! loads, and Linux does not start with more than two. So the empty end is cut off.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::Error;
use crate::machine::{self, Machine};
use crate::options::MachineOptions;
use crate::run;
use crate::workplace::Workplace;

/// Property of a bus whose devices see the processor's caches.
const COHERENT: &[u8; 12] = b"dma-coherent";
/// A name of the same length that no kernel knows.
const NOT_COHERENT: &[u8; 12] = b"non-coherent";

/// Places of words in the header of a tree (Devicetree Specification 0.4, 5.2), big-endian.
const TOTAL_SIZE: usize = 4;
const STRUCTURE: (usize, usize) = (8, 36);
const STRINGS: (usize, usize) = (12, 32);

/// Writes the tree of a machine, without that property, and returns its path.
pub(crate) fn without_coherence(
    options: &MachineOptions,
    machine: &Machine,
    place: &Workplace,
) -> Result<PathBuf, Error> {
    let path = place.file("machine.dtb");
    let file = |action| {
        let path = path.clone();
        move |source| Error::File {
            action,
            path,
            source,
        }
    };
    let mut command = Command::new(&options.qemu);
    command.args(arguments(machine, &path));
    let log = place.append("qemu.log")?;
    let status = run_to_end(command, log).map_err(|source| run::qemu_missing(options, source))?;
    let mut tree = fs::read(&path).map_err(file("read"))?;
    if !status || !rename(&mut tree) || pack(&mut tree).is_none() {
        return Err(Error::DeviceTree { path });
    }
    fs::write(&path, tree).map_err(file("written"))?;
    Ok(path)
}

/// Returns arguments by which QEMU writes the machine's tree and ends. The tree has no device behind a
/// port, and QEMU sets memory and command line when it loads one.
fn arguments(machine: &Machine, path: &Path) -> Vec<OsString> {
    let mut line = machine::bare(machine);
    line.extend(["-serial", "null", "-serial", "null", "-machine"].map(OsString::from));
    let mut dump = OsString::from("dumpdtb=");
    dump.push(machine::doubled_commas(path));
    line.push(dump);
    line
}

/// Runs a command that ends by itself. Returns whether it succeeded.
fn run_to_end(mut command: Command, log: File) -> io::Result<bool> {
    let output = log.try_clone()?;
    Ok(command.stdout(output).stderr(log).status()?.success())
}

/// Renames the property where a tree has the names of properties: each name once, between two zeros.
/// Returns whether the tree had it.
fn rename(tree: &mut [u8]) -> bool {
    let length = COHERENT.len();
    let found = tree.windows(length + 2).position(|bytes| {
        bytes.first() == Some(&0)
            && bytes.get(1..=length) == Some(COHERENT)
            && bytes.last() == Some(&0)
    });
    let name = found.and_then(|at| tree.get_mut(at + 1..=at + length));
    name.map(|name| name.copy_from_slice(NOT_COHERENT))
        .is_some()
}

/// Cuts off what is behind the structure and the names. Returns `None` if the bytes are no tree.
fn pack(tree: &mut Vec<u8>) -> Option<()> {
    let word = |at: usize| {
        let bytes = tree.get(at..at + 4)?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    };
    let end = |(offset, size): (usize, usize)| word(offset)?.checked_add(word(size)?);
    let end = end(STRUCTURE)?.max(end(STRINGS)?);
    let length = usize::try_from(end).ok()?;
    if length > tree.len() {
        return None;
    }
    tree.get_mut(TOTAL_SIZE..TOTAL_SIZE + 4)?
        .copy_from_slice(&end.to_be_bytes());
    tree.truncate(length);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a tree of 100 bytes, of which the structure and the names take 60.
    fn padded() -> Vec<u8> {
        let header = [0xd00d_feed_u32, 100, 40, 52, 0, 17, 16, 0, 8, 12];
        let mut tree: Vec<u8> = header.into_iter().flat_map(u32::to_be_bytes).collect();
        tree.resize(100, 0);
        tree
    }

    #[test]
    fn empty_end_of_a_tree_is_cut_off() {
        let mut tree = padded();

        assert_eq!(pack(&mut tree), Some(()));
        assert_eq!(tree.len(), 60);
        assert_eq!(tree.get(4..8), Some(&60_u32.to_be_bytes()[..]));
    }

    #[test]
    fn bytes_that_are_shorter_than_they_say_are_no_tree() {
        let mut tree = padded();
        tree.truncate(59);

        assert_eq!(pack(&mut tree), None);
        assert_eq!(pack(&mut Vec::new()), None);
    }

    #[test]
    fn property_gets_another_name_of_the_same_length() {
        let mut tree = *b"reg\0dma-coherent\0ranges\0";

        assert!(rename(&mut tree));
        assert_eq!(&tree, b"reg\0non-coherent\0ranges\0");
    }

    #[test]
    fn longer_name_is_left_alone() {
        let mut tree = *b"reg\0dma-coherently\0not-dma-coherent\0";

        assert!(!rename(&mut tree));
        assert_eq!(&tree, b"reg\0dma-coherently\0not-dma-coherent\0");
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Paths to the device, and the run of vectors on one.

use crate::scene::{self, Backing, Part, Rights, State};
use crate::{crc32c, Images, Row, TestVector};
use ringbar_spec::ring::{Completion, Descriptor, Status};
use std::fmt::{self, Display};
use zerocopy::IntoBytes;

/// Most descriptors of a vector, and so the fewest entries of a path's rings.
pub const BATCH: usize = 64;

/// A path to the device: a driver, with a queue and memories of its own.
pub trait Path {
    /// Failure of the path itself. A descriptor that ends with an error is none.
    type Error: Display;

    /// Makes a memory. Memories are numbered from 0 on, in the order in which they are made.
    fn memory(&mut self, backing: Backing, size: usize) -> Result<(), Self::Error>;

    /// Opens a window on parts of the memories, in this order. Returns its number.
    fn window(&mut self, parts: &[Part], rights: Rights) -> Result<u16, Self::Error>;

    /// Opens a window of another protection domain than the queue's, on a memory of its own.
    fn foreign_window(&mut self) -> Result<u16, Self::Error>;

    /// Closes a window.
    fn close(&mut self, window: u16) -> Result<(), Self::Error>;

    /// Stores bytes from `offset` of a memory on.
    fn write(&mut self, memory: usize, offset: usize, bytes: &[u8]);

    /// Loads bytes from `offset` of a memory on.
    fn read(&mut self, memory: usize, offset: usize, bytes: &mut [u8]);

    /// Submits at most [`BATCH`] descriptors at once. Returns their completions.
    fn run(&mut self, descriptors: &[Descriptor]) -> Result<Vec<Completion>, Self::Error>;
}

/// Reason for which vectors could not be run to the end.
#[derive(Debug)]
pub struct Failure(String);

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

/// Builds the scene on a path and runs vectors on it. Reports one row per vector, as soon as it is
/// done.
///
/// # Errors
///
/// Fails if the path fails. A wrong result is no failure, but a difference in the row.
pub fn run<P: Path>(
    path: &mut P,
    vectors: &[TestVector],
    mut report: impl FnMut(Row),
) -> Result<(), Failure> {
    let failed = |error: P::Error| Failure(error.to_string());
    let numbers = build(path).map_err(failed)?;
    let initial = Images::default();
    let mut dirty: Vec<bool> = scene::MEMORIES.iter().map(|_| true).collect();
    let mut seen: Vec<Vec<u8>> = initial.memories().to_vec();
    let untouched = checksums(&seen);
    for vector in vectors {
        // Only memories that the vector before has changed are written again: in the guest each
        // byte takes time.
        for (memory, dirty) in dirty.iter_mut().enumerate().filter(|(_, dirty)| **dirty) {
            path.write(memory, 0, &initial.memories()[memory]);
            *dirty = false;
        }
        let descriptors: Vec<_> = vector
            .descriptors
            .iter()
            .map(|descriptor| renumber(*descriptor, &numbers))
            .collect();
        let completions = path
            .run(&descriptors)
            .map_err(|error| Failure(format!("{}: {error}", vector.name)))?;
        for (memory, bytes) in seen.iter_mut().enumerate() {
            path.read(memory, 0, bytes);
            dirty[memory] = bytes != &initial.memories()[memory];
        }
        // Most memories are as they were. Checksums of all of them would take most of the time in
        // translated code.
        let mut sums = untouched.clone();
        for (memory, sum) in sums.iter_mut().enumerate().filter(|(it, _)| dirty[*it]) {
            *sum = crc32c(0, &seen[memory]);
        }
        let (expected, images) = vector.outcome(&initial);
        report(Row {
            name: vector.name.clone(),
            ends: ends(&completions),
            digest: digest(&completions, &sums),
            difference: difference(&completions, &expected, &seen, &images),
        });
    }
    Ok(())
}

/// Makes memories and windows. Returns the path's numbers of the scene's windows.
fn build<P: Path>(path: &mut P) -> Result<Vec<u16>, P::Error> {
    for memory in scene::MEMORIES {
        path.memory(memory.backing, memory.size)?;
    }
    let windows = scene::windows();
    let mut numbers = Vec::new();
    for window in &windows {
        numbers.push(match window.state {
            State::Foreign => path.foreign_window()?,
            State::Open | State::Closed => path.window(&window.parts, window.rights)?,
        });
    }
    // Only after all are open: a number that is free again could be given to the next window, and
    // would be open in the vectors.
    for (window, number) in windows.iter().zip(&numbers) {
        if window.state == State::Closed {
            path.close(*number)?;
        }
    }
    Ok(numbers)
}

/// Replaces the scene's numbers of windows in a descriptor by the path's.
fn renumber(mut descriptor: Descriptor, numbers: &[u16]) -> Descriptor {
    for window in [
        &mut descriptor.source_window,
        &mut descriptor.destination_window,
    ] {
        let index = usize::from(*window).checked_sub(1);
        if let Some(number) = index.and_then(|index| numbers.get(index)) {
            *window = *number;
        }
    }
    descriptor
}

/// Returns the outcomes of descriptors in few words: one status, or each with its count.
pub(crate) fn ends(completions: &[Completion]) -> String {
    let mut counts: Vec<(u16, usize)> = Vec::new();
    for completion in completions {
        match counts.iter_mut().find(|(it, _)| *it == completion.status) {
            Some((_, count)) => *count += 1,
            None => counts.push((completion.status, 1)),
        }
    }
    counts.sort_unstable();
    let words: Vec<String> = counts
        .iter()
        .map(|(status, count)| match count {
            1 => status_name(*status),
            _ => format!("{count}*{}", status_name(*status)),
        })
        .collect();
    words.join("+")
}

/// Returns the name of a status in the data sheet.
fn status_name(status: u16) -> String {
    let named = Status::ALL.iter().find(|(it, _)| it.0 == status);
    named.map_or_else(|| format!("status-{status}"), |(_, name)| (*name).into())
}

/// Returns a checksum per memory.
pub(crate) fn checksums(memories: &[Vec<u8>]) -> Vec<u32> {
    memories.iter().map(|bytes| crc32c(0, bytes)).collect()
}

/// Returns one number for all completions and all bytes. The checksums of the memories stand for
/// the bytes.
pub(crate) fn digest(completions: &[Completion], checksums: &[u32]) -> u32 {
    crc32c(crc32c(0, completions.as_bytes()), checksums.as_bytes())
}

/// Returns the first completion or byte that is wrong.
fn difference(
    completions: &[Completion],
    expected: &[Completion],
    seen: &[Vec<u8>],
    images: &Images,
) -> Option<String> {
    if completions.len() != expected.len() {
        return Some(format!(
            "{} completions for {} descriptors",
            completions.len(),
            expected.len()
        ));
    }
    let pairs = completions.iter().zip(expected).enumerate();
    let wrong = pairs
        .filter(|(_, (is, must))| is != must)
        .map(|(number, (is, must))| format!("descriptor {number} ended {is:?}, not {must:?}"));
    let bytes = seen
        .iter()
        .zip(images.memories())
        .enumerate()
        .filter(|(_, (is, must))| is != must)
        .filter_map(|(memory, (is, must))| {
            let at = is.iter().zip(must).position(|(is, must)| is != must)?;
            Some(format!(
                "byte {at:#x} of memory {memory} is {:#04x}, not {:#04x}",
                is[at], must[at]
            ))
        });
    wrong.chain(bytes).next()
}

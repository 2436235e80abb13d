// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The DMA map against a list that is searched from end to end.
//!
//! Invariants: both map, refuse and unmap the same ranges. An address reaches its own byte of the
//! file and no other, also when several mappings are read at once. No file stays open without a
//! mapping. Memory of a file that can shrink is copied, and never handed out.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::sync::LazyLock;

use ringbar_endpoint::dma::{Access, DmaMap, Rights};
use ringbar_vfio_user::device::DmaRange;
use rustix::fs::{fcntl_add_seals, memfd_create, MemfdFlags, SealFlags};
use vm_memory::Bytes as _;

use crate::input::Input;

/// Most operations per input.
const MOST: usize = 64;
const PAGE: u64 = 4096;
/// Length of each file.
const PAGES: u64 = 8;
/// Number of files.
const FILES: u8 = 3;
/// The file among them that can shrink.
const CAN_SHRINK: u8 = 2;

/// Files whose pages are filled with their page numbers.
static MEMORY: LazyLock<Vec<File>> = LazyLock::new(|| {
    (0..FILES)
        .map(|file| {
            let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
            let fd: OwnedFd = memfd_create("fuzz", flags).expect("a memfd");
            let mut memory = File::from(fd);
            for page in 0..PAGES {
                let content = [marker(file, page); PAGE as usize];
                memory.write_all(&content).expect("a memfd can be written");
            }
            if file != CAN_SHRINK {
                fcntl_add_seals(&memory, SealFlags::SHRINK).expect("a memfd can be sealed");
            }
            memory
        })
        .collect()
});

fn marker(file: u8, page: u64) -> u8 {
    file * 64 + page as u8 + 1
}

/// A mapping in the list.
#[derive(Clone, Copy)]
struct Mapping {
    first: u64,
    last: u64,
    rights: Rights,
    /// Number of the file, and offset of the mapping in it.
    file: Option<(u8, u64)>,
}

/// Runs the target. Returns the number of operations that the input made.
pub fn run(data: &[u8]) -> u64 {
    let mut input = Input::new(data);
    let mut map = DmaMap::new();
    let mut list: Vec<Mapping> = Vec::new();
    let mut done = 0;
    while input.more() && done < MOST as u64 {
        match input.byte() % 8 {
            0..=3 => add(&mut input, &mut map, &mut list),
            4 => remove(&mut input, &mut map, &mut list),
            5 if input.byte() == 0 => {
                assert_eq!(map.unmap(DmaRange::ALL).ok(), Some(list.len()));
                list.clear();
            }
            _ => look(&mut input, &map, &list),
        }
        assert_eq!(map.len(), list.len());
        assert!(map.files() <= usize::from(FILES));
        done += 1;
    }
    assert!(map.unmap(DmaRange::ALL).is_ok());
    assert_eq!(map.files(), 0);
    done
}

fn add(input: &mut Input<'_>, map: &mut DmaMap, list: &mut Vec<Mapping>) {
    let (first, size, offset) = (input.pages(), input.pages(), input.pages());
    let decision = input.byte();
    let rights = Rights {
        read: decision & 1 != 0,
        write: decision & 2 != 0,
    };
    let file = (decision & 12 != 0).then_some(((decision >> 4) % FILES, offset));
    let descriptor = file.map(|(number, _)| {
        let file = &MEMORY[usize::from(number)];
        (file.try_clone().expect("a descriptor more"), offset)
    });
    let Some(range) = DmaRange::new(first, size) else {
        return;
    };
    let fits = file.is_none_or(|(_, offset)| {
        offset
            .checked_add(size)
            .is_some_and(|end| end <= PAGES * PAGE)
    });
    let apart = |old: &Mapping| old.last < first || range.last < old.first;
    let new = (fits && list.iter().all(apart)).then_some(Mapping {
        first,
        last: range.last,
        rights,
        file,
    });

    let result = map.map(range, rights, descriptor);

    assert_eq!(
        result.is_ok(),
        new.is_some(),
        "map {size:#x} at {first:#x}: {result:?}"
    );
    list.extend(new);
}

fn remove(input: &mut Input<'_>, map: &mut DmaMap, list: &mut Vec<Mapping>) {
    let (first, size) = (input.pages(), input.pages());
    let Some(range) = DmaRange::up_to_end(first, size) else {
        return;
    };
    let apart = |old: &Mapping| old.last < range.first || range.last < old.first;
    let inside = |old: &Mapping| range.first <= old.first && old.last <= range.last;
    let cuts = list.iter().any(|old| !apart(old) && !inside(old));
    let before = list.len();
    if !cuts {
        list.retain(apart);
    }

    let result = map.unmap(range);

    assert_eq!(result.is_err(), cuts, "unmap {range}: {result:?}");
    assert_eq!(result.unwrap_or(0), before - list.len());
}

fn look(input: &mut Input<'_>, map: &DmaMap, list: &[Mapping]) {
    let address = input.field();
    let length = input.field() % (4 * PAGE);
    let access = input.one_of(&[Access::Read, Access::Write]);
    let find = |address: u64| {
        list.iter().find(|old| {
            let allowed = match access {
                Access::Read => old.rights.read,
                Access::Write => old.rights.write,
            };
            (old.first..=old.last).contains(&address) && allowed && old.file.is_some()
        })
    };

    let stretch = map.stretch(address, length as usize, access);
    let touched = |old: &&Mapping| old.file.is_some_and(|(file, _)| file != CAN_SHRINK);
    let found = find(address).filter(|_| length > 0).filter(touched);
    assert_eq!(
        stretch.is_some(),
        found.is_some(),
        "{length:#x} bytes at {address:#x}"
    );
    if let (Some(stretch), Some(mapping)) = (&stretch, found) {
        let there = (mapping.last - address).saturating_add(1).min(length);
        assert_eq!(stretch.len() as u64, there);
        for at in [0, there - 1] {
            let byte: u8 = stretch.read_obj(at as usize).expect("inside the stretch");
            assert_eq!(Some(byte), content(mapping, address + at));
        }
    }

    let all = length == 0
        || match length
            .checked_sub(1)
            .and_then(|steps| address.checked_add(steps))
        {
            Some(last) => reaches(&find, address, last),
            None => false,
        };
    assert_eq!(map.reaches(address, length, access), all);
    if access == Access::Read {
        let mut bytes = vec![0; length as usize];
        assert_eq!(map.read(address, &mut bytes).is_ok(), all);
        // A piece is at least a page, so its first byte or its last is among these.
        let looked_at = (0..length).step_by(PAGE as usize / 2);
        for at in looked_at.chain(length.checked_sub(1)).filter(|_| all) {
            let mapping = find(address + at).expect("a byte that was read");
            assert_eq!(Some(bytes[at as usize]), content(mapping, address + at));
        }
    }
}

fn reaches<'a>(find: &impl Fn(u64) -> Option<&'a Mapping>, first: u64, last: u64) -> bool {
    let mut at = first;
    while let Some(mapping) = find(at) {
        if mapping.last >= last {
            return true;
        }
        at = mapping.last + 1;
    }
    false
}

/// Returns the byte of the file at an address.
fn content(mapping: &Mapping, address: u64) -> Option<u8> {
    let (file, offset) = mapping.file?;
    Some(marker(file, (offset + (address - mapping.first)) / PAGE))
}

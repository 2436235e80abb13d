// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Debuggers reach a mapping as the process does, or not at all.

use super::{only_if, rules, Debugger, Driver, Kind, Outcome, Region, Rule};
use crate::child;
use crate::debugger::{read, read_pages, splice_pages, write, Traced};
use crate::kernel_is_before;
use crate::raw::{RawMapping, READ_WRITE};
use ringbar_client::page_size;
use rustix::io::Errno;
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags};
use std::process;

pub(super) const RULES: &[(&str, Rule)] = rules![
    debugger_reads_what_the_process_reads,
    debugger_writes_what_the_table_lets_it,
    debugger_cannot_write_where_the_process_cannot,
    debugger_reads_across_pages_to_the_end_of_a_mapping,
    debugger_reads_the_right_page_of_a_part,
    process_vm_readv_takes_no_io,
    vmsplice_takes_pages_only_where_the_kernel_counts_them,
];

const WORD: usize = size_of::<u64>();
/// Nothing of the process is there.
const NEW: u64 = 0x0807_0605_0403_0201;

/// The last word of a mapping. In the pages of a queue no register is there.
fn last_word(region: &Region, mapping: &RawMapping) -> usize {
    mapping.address() + region.size - WORD
}

/// Loads the word at `address` as the process does.
fn load(mapping: &RawMapping, address: usize) -> u64 {
    let offset = address - mapping.address();
    let (low, high) = (mapping.read(offset), mapping.read(offset + 4));
    u64::from(low) | u64::from(high) << 32
}

/// Writes what a debugger shall see, where the process may write. Not into trapped registers.
fn prepare(mapping: &RawMapping, kind: &Kind, region: &Region) {
    if kind.debugger == Debugger::Writes {
        mapping.write(region.size - 8, 0x1122_3344);
        mapping.write(region.size - 4, 0x5566_7788);
    }
}

/// Reads the word at `address` of a process through `/proc/PID/mem`.
fn word(of: u32, address: usize) -> Result<u64, Errno> {
    let mut bytes = [0; WORD];
    let count = read(of, address, &mut bytes)?;
    assert_eq!(count, WORD);
    Ok(u64::from_ne_bytes(bytes))
}

/// Runs `debugger` in another process, with the number of this one. It must not fail.
fn from_outside(debugger: impl FnOnce(u32)) {
    let traced = process::id();
    let status = child::run(|| debugger(traced));
    assert!(status.success(), "the other process failed: {status}");
}

fn debugger_reads_what_the_process_reads(_driver: &Driver, kind: &Kind) -> Outcome {
    let region = kind.region();
    let mapping = kind.map(&region);
    prepare(&mapping, kind, &region);
    let address = last_word(&region, &mapping);
    let expected = match kind.debugger {
        Debugger::Refused => Err(Errno::IO),
        _ => Ok(load(&mapping, address)),
    };
    if kind.debugger == Debugger::Writes {
        assert_eq!(expected, Ok(0x5566_7788_1122_3344));
    }
    assert_eq!(word(process::id(), address), expected, "by itself");
    from_outside(|process| {
        assert_eq!(word(process, address), expected, "through /proc/PID/mem");
        let traced = Traced::stop(process);
        assert_eq!(traced.peek(address), expected, "by PTRACE_PEEKDATA");
    });
    Ok(())
}

fn debugger_writes_what_the_table_lets_it(_driver: &Driver, kind: &Kind) -> Outcome {
    let region = kind.region();
    let mapping = kind.map(&region);
    let address = last_word(&region, &mapping);
    tries_to_write(&mapping, address, kind.debugger == Debugger::Writes, kind);
    Ok(())
}

fn debugger_cannot_write_where_the_process_cannot(_driver: &Driver, kind: &Kind) -> Outcome {
    let region = (kind.make)(true);
    let mapping = region
        .map(ProtFlags::READ, MapFlags::SHARED)
        .expect("a read-only file can be mapped");
    let address = last_word(&region, &mapping);
    tries_to_write(&mapping, address, false, kind);
    // A mapping that could be made writable is not yet.
    let region = kind.region();
    let mapping = region
        .map(ProtFlags::READ, MapFlags::SHARED)
        .expect("the kind can be mapped for reading");
    let address = last_word(&region, &mapping);
    tries_to_write(&mapping, address, false, kind);
    if kind.debugger == Debugger::Writes {
        mapping
            .protect(MprotectFlags::READ | MprotectFlags::WRITE)
            .expect("the process may write");
        tries_to_write(&mapping, address, true, kind);
    }
    Ok(())
}

/// Writes the word at `address` in each way. All must write it, or all must fail and leave it.
fn tries_to_write(mapping: &RawMapping, address: usize, allowed: bool, kind: &Kind) {
    // Reading a trapped register may do something in the device.
    let now = || (kind.debugger != Debugger::Refused).then(|| load(mapping, address));
    let before = now();
    let expected = |value| if allowed { Some(value) } else { before };
    let outcome = if allowed { Ok(WORD) } else { Err(Errno::IO) };
    let own = write(process::id(), address, &NEW.to_ne_bytes());
    assert_eq!((own, now()), (outcome, expected(NEW)), "by itself");
    from_outside(|process| {
        let written = write(process, address, &(NEW + 1).to_ne_bytes());
        assert_eq!(written, outcome, "through /proc/PID/mem");
    });
    assert_eq!(now(), expected(NEW + 1), "through /proc/PID/mem");
    from_outside(|process| {
        let poked = Traced::stop(process).poke(address, NEW + 2);
        assert_eq!(poked, outcome.map(|_| ()), "by PTRACE_POKEDATA");
    });
    assert_eq!(now(), expected(NEW + 2), "by PTRACE_POKEDATA");
}

fn debugger_reads_across_pages_to_the_end_of_a_mapping(_driver: &Driver, kind: &Kind) -> Outcome {
    only_if(kind.debugger != Debugger::Refused, "debuggers are refused")?;
    let region = kind.region();
    only_if(
        region.size > 2 * page_size(),
        "the region has fewer than three pages",
    )?;
    let whole = kind.map(&region);
    for offset in [page_size() - 4, page_size(), 2 * page_size()] {
        if kind.writable {
            whole.write(offset, offset as u32);
        }
    }
    let expected = |offset: usize| load(&whole, whole.address() + offset);
    let start = whole.address();
    let (own, last) = (process::id(), page_size() - 4);
    assert_eq!(word(own, start + last), Ok(expected(last)), "two pages");
    // A mapping in two parts: the kernel asks for each with an offset of its own.
    let behind = expected(2 * page_size());
    whole.punch(page_size(), page_size());
    let mut bytes = [0; WORD];
    assert_eq!(read(own, start + last, &mut bytes), Ok(4), "up to the end");
    assert_eq!(word(own, start + page_size()), Err(Errno::IO), "between");
    assert_eq!(
        word(own, start + 2 * page_size()),
        Ok(behind),
        "second part"
    );
    from_outside(|process| {
        let traced = Traced::stop(process);
        assert_eq!(traced.peek(start + last), Err(Errno::IO), "half of a word");
        assert_eq!(
            traced.peek(start + 2 * page_size()),
            Ok(behind),
            "second part"
        );
    });
    Ok(())
}

fn debugger_reads_the_right_page_of_a_part(_driver: &Driver, kind: &Kind) -> Outcome {
    only_if(
        kind.debugger == Debugger::Writes,
        "debuggers do not write it",
    )?;
    let region = kind.region();
    only_if(region.size > page_size(), "the region has one page")?;
    let whole = kind.map(&region);
    let part = RawMapping::new(
        &region.file,
        region.offset + page_size() as u64,
        page_size(),
        READ_WRITE,
        MapFlags::SHARED,
    )
    .expect("a part can be mapped");
    whole.write(page_size() + 16, 77);
    assert_eq!(word(process::id(), part.address() + 16), Ok(77));
    let written = write(process::id(), part.address() + 24, &NEW.to_ne_bytes());
    assert_eq!(written, Ok(WORD));
    assert_eq!(load(&whole, whole.address() + page_size() + 24), NEW);
    Ok(())
}

/// The kernel looks at the flags, and refuses I/O whatever the page table has.
fn process_vm_readv_takes_no_io(_driver: &Driver, kind: &Kind) -> Outcome {
    let region = kind.region();
    let mapping = kind.map(&region);
    let address = mapping.address();
    let own = read_pages(process::id(), address, &mut [0; WORD]);
    only_if(
        own != Err(Errno::NOSYS),
        "this kernel has no process_vm_readv",
    )?;
    let expected = match kind.flags().contains(&"io") {
        true => Err(Errno::FAULT),
        false => Ok(WORD),
    };
    assert_eq!(own, expected, "by itself");
    from_outside(|process| {
        let other = read_pages(process, address, &mut [0; WORD]);
        assert_eq!(other, expected, "by another process");
    });
    Ok(())
}

/// The kernel looks at the page table alone, in which an IOMMU has the DMA API put counted pages. Linux
/// before 7.3 looks at the VMA as well, since these pages are of no file (`gup_fast_folio_allowed`), and
/// takes none of one with VM_IO.
fn vmsplice_takes_pages_only_where_the_kernel_counts_them(
    _driver: &Driver,
    kind: &Kind,
) -> Outcome {
    let region = kind.region();
    let mapping = kind.map(&region);
    // Pages of vmalloc memory come with the first touch.
    if kind.debugger != Debugger::Refused {
        mapping.read(0);
    }
    let flags = kind.flags();
    let refuses_io = kernel_is_before(7, 3);
    let expected = match flags.contains(&"mm") && !(refuses_io && flags.contains(&"io")) {
        true => Ok(WORD),
        false => Err(Errno::FAULT),
    };
    assert_eq!(splice_pages(mapping.address(), WORD), expected);
    Ok(())
}

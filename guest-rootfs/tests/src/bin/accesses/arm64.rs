// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Accesses on arm64. Registers and the uncached part of the device memory are mapped as memory of a
//! device there: each access must be aligned to its size. The write-combining part is ordinary
//! memory that is not cached.

#![expect(unsafe_code, reason = "instructions that Rust has no words for")]

use crate::pages::{Page, Pages};
use ringbar_client::{Part, Rights};
use ringbar_spec::regs::{FEATURES, IDENT, SCRATCH, VERSION};
use ringbar_tests::{case, child, fork, open, page_size};
use ringbar_uapi::mmap::PUBLIC_REGISTERS;
use std::arch::asm;
use std::os::unix::process::ExitStatusExt;

/// Loads a word of up to 8 bytes with one instruction, at any alignment.
#[expect(
    clippy::multiple_unsafe_ops_per_block,
    reason = "one instruction runs, whichever it is"
)]
fn load(pages: &Pages, offset: usize, width: usize) -> u64 {
    let at = pages.address(offset, width);
    let word: u64;
    // SAFETY: The bytes are inside the pages. Any bits are a valid number. The instruction of the
    // given width reads no byte more.
    unsafe {
        match width {
            1 => asm!("ldrb {0:w}, [{1}]", out(reg) word, in(reg) at, options(nostack, readonly)),
            2 => asm!("ldrh {0:w}, [{1}]", out(reg) word, in(reg) at, options(nostack, readonly)),
            4 => asm!("ldr {0:w}, [{1}]", out(reg) word, in(reg) at, options(nostack, readonly)),
            8 => asm!("ldr {0}, [{1}]", out(reg) word, in(reg) at, options(nostack, readonly)),
            width => panic!("no instruction loads {width} bytes"),
        }
    }
    word
}

/// Stores a word of 8 bytes with one instruction, at any alignment.
fn store(pages: &Pages, offset: usize, word: u64) {
    let at = pages.address(offset, 8);
    // SAFETY: The bytes are inside the pages, and no Rust value lies there.
    unsafe { asm!("str {0}, [{1}]", in(reg) word, in(reg) at, options(nostack)) };
}

/// Loads 16 bytes with one instruction, as two words.
fn load_pair(pages: &Pages, offset: usize) -> [u64; 2] {
    let at = pages.address(offset, 16);
    let (low, high): (u64, u64);
    // SAFETY: The bytes are inside the pages. Any bits are a valid number.
    unsafe {
        asm!("ldp {0}, {1}, [{2}]", out(reg) low, out(reg) high, in(reg) at, options(nostack, readonly));
    }
    [low, high]
}

/// Loads 16 bytes with one instruction of vectors.
fn load_vector(pages: &Pages, offset: usize) -> [u64; 2] {
    let at = pages.address(offset, 16);
    let (low, high): (u64, u64);
    // SAFETY: The bytes are inside the pages. Any bits are a valid number.
    unsafe {
        asm!("ldr q0, [{2}]", "fmov {0}, d0", "mov {1}, v0.d[1]",
            out(reg) low, out(reg) high, in(reg) at, out("v0") _, options(nostack, readonly));
    }
    [low, high]
}

/// Stores 16 bytes with one instruction.
fn store_pair(pages: &Pages, offset: usize, [low, high]: [u64; 2]) {
    let at = pages.address(offset, 16);
    // SAFETY: The bytes are inside the pages, and no Rust value lies there.
    unsafe { asm!("stp {0}, {1}, [{2}]", in(reg) low, in(reg) high, in(reg) at, options(nostack)) };
}

/// Maps the public registers of a device.
fn registers() -> Pages {
    Pages::map(&[Page::Driver(open().file(), PUBLIC_REGISTERS)])
}

/// Maps a page of a part of the device memory, and passes it on.
fn with_memory(part: Part, body: impl FnOnce(&Pages)) {
    let device = open();
    let memory = device.create_device_memory(part, page_size(), Rights::ReadWrite);
    let memory = memory.expect("a page is free");
    body(&Pages::map(&[Page::Driver(device.file(), memory.offset())]));
}

/// Fails unless the access ends a process by the signal that a misaligned access raises.
#[track_caller]
fn raises_sigbus(what: &str, access: impl FnOnce()) {
    let status = child::run(access);
    assert_eq!(status.signal(), Some(fork::SIGBUS), "{what}: {status}");
}

#[case]
fn aligned_word_of_each_width_has_the_bytes_of_its_registers() {
    let registers = registers();
    let features = load(&registers, FEATURES::INFO.offset, 8);

    for width in [1, 2, 4] {
        for place in (0..8).step_by(width) {
            let word = load(&registers, FEATURES::INFO.offset + place, width);
            let expected = features >> (8 * place) & (u64::MAX >> (64 - 8 * width));
            assert_eq!(word, expected, "{width} bytes at {place}");
        }
    }
}

#[case]
fn sixteen_bytes_have_the_values_of_their_registers() {
    let registers = registers();
    let first =
        load(&registers, VERSION::INFO.offset, 4) << 32 | load(&registers, IDENT::INFO.offset, 4);
    let expected = [first, load(&registers, FEATURES::INFO.offset, 8)];

    assert_eq!(load_pair(&registers, IDENT::INFO.offset), expected);
    assert_eq!(load_vector(&registers, IDENT::INFO.offset), expected);
}

#[case]
fn sixteen_written_bytes_reach_their_registers() {
    let registers = registers();

    // The first half goes to read-only registers, which drop it.
    store_pair(&registers, SCRATCH::INFO.offset - 8, [1, 0x1f1e_1d1c]);

    assert_eq!(load(&registers, SCRATCH::INFO.offset, 8), 0x1f1e_1d1c);
}

#[case]
fn misaligned_access_to_registers_raises_sigbus() {
    // A forked child does not get these pages, so it maps them itself.
    for (width, place) in [(2, 1), (4, 1), (4, 2), (8, 1), (8, 4)] {
        raises_sigbus(&format!("load of {width} bytes at {place}"), || {
            load(&registers(), IDENT::INFO.offset + place, width);
        });
    }
    raises_sigbus("store of 8 bytes at 4", || {
        store(&registers(), SCRATCH::INFO.offset + 4, 0);
    });
    raises_sigbus("load of a vector at 8", || {
        load_vector(&registers(), IDENT::INFO.offset + 8);
    });
}

/// Shows that the instructions themselves may be misaligned: only the memory makes the difference.
#[case]
fn misaligned_access_to_memory_of_the_process_has_its_bytes() {
    let own = Pages::map(&[Page::Own, Page::Own]);

    store(&own, page_size() - 3, 0x0807_0605_0403_0201);

    assert_eq!(load(&own, page_size() - 3, 8), 0x0807_0605_0403_0201);
    assert_eq!(load(&own, page_size(), 4), 0x0706_0504);
    assert_eq!(load_vector(&own, page_size() - 3)[1], 0);
}

#[case]
fn misaligned_access_to_uncached_memory_raises_sigbus() {
    with_memory(Part::Uncached, |memory| {
        store(memory, 64, u64::MAX);

        raises_sigbus("load of 4 bytes at 2", || {
            load(memory, 66, 4);
        });
        raises_sigbus("store of 8 bytes at 1", || store(memory, 65, 0));

        assert_eq!(load(memory, 64, 8), u64::MAX);
    });
}

#[case]
fn misaligned_access_to_write_combining_memory_has_its_bytes() {
    with_memory(Part::WriteCombining, |memory| {
        store(memory, 64, 0x0807_0605_0403_0201);
        store(memory, 72, 0x100f_0e0d_0c0b_0a09);

        assert_eq!(load(memory, 67, 8), 0x0b0a_0908_0706_0504);
        store(memory, 65, 0);
        assert_eq!(load(memory, 64, 8), 1);
        assert_eq!(load(memory, 72, 8), 0x100f_0e0d_0c0b_0a00);
    });
}

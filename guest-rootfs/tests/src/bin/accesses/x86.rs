// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Accesses on x86-64, where a process may access registers with any instruction.

use crate::instructions::{self, copy_out, load, store, Instruction, ALL, REACH};
use crate::pages::{Page, Pages};
use ringbar_client::{Device, Part, Rights};
use ringbar_spec::regs::{FEATURES, IDENT, SCRATCH, VERSION};
use ringbar_tests::witness::claim;
use ringbar_tests::{case, open, page_size, Case, Skip};
use ringbar_uapi::mmap::PUBLIC_REGISTERS;

/// An offset in the public page behind which no register is.
const RESERVED: usize = 0x800;
/// A value whose bytes all differ.
const VALUE: u128 = 0x1f1e_1d1c_1b1a_1918_1716_1514_1312_1110;

/// Fails unless QEMU translates the guest's code. KVM stops the machine at some of these accesses.
fn translated() -> Result<(), Skip> {
    if instructions::are_translated() {
        Ok(())
    } else {
        Err(Skip("only where QEMU translates instructions".into()))
    }
}

/// Maps the public registers, with other pages before and behind them.
fn registers(device: &Device, before: &[Page<'_>], behind: &[Page<'_>]) -> Pages {
    let page = [Page::Driver(device.file(), PUBLIC_REGISTERS)];
    Pages::map(&[before, &page, behind].concat())
}

/// Loads from the public registers, and claims the access.
fn read(registers: &Pages, offset: usize, width: usize) -> u128 {
    let value = load(registers, offset, width);
    claim(format!("access read {offset:#x} {width} {value:#x}"));
    value
}

/// Stores to the public registers, and claims the access.
fn write(registers: &Pages, offset: usize, width: usize, value: u128) {
    store(registers, offset, width, value);
    claim(format!("access write {offset:#x} {width} {value:#x}"));
}

/// Returns the lowest bytes of a value.
fn cut(value: u128, width: usize) -> u128 {
    value & (u128::MAX >> (128 - 8 * width))
}

#[case]
fn sixteen_bytes_have_the_values_of_their_registers() -> Result<(), Skip> {
    translated()?;
    let registers = registers(&open(), &[], &[]);

    let all = read(&registers, IDENT::INFO.offset, 16);

    let ident = read(&registers, IDENT::INFO.offset, 4);
    let version = read(&registers, VERSION::INFO.offset, 4);
    let features = read(&registers, FEATURES::INFO.offset, 8);
    assert_eq!(all, features << 64 | version << 32 | ident);
    Ok(())
}

#[case]
fn sixteen_written_bytes_reach_their_registers() -> Result<(), Skip> {
    translated()?;
    let registers = registers(&open(), &[], &[]);

    // The first half goes to read-only registers, which drop it.
    write(&registers, SCRATCH::INFO.offset - 8, 16, VALUE);

    assert_eq!(read(&registers, SCRATCH::INFO.offset, 8), VALUE >> 64);
    Ok(())
}

#[case]
fn sixteen_bytes_may_reach_a_counter() -> Result<(), Skip> {
    translated()?;
    let registers = registers(&open(), &[], &[]);
    write(&registers, SCRATCH::INFO.offset, 8, cut(VALUE, 8));

    // The second half is `COUNTER`, whose value the program cannot know: the witness alone can.
    let both = read(&registers, SCRATCH::INFO.offset, 16);

    assert_eq!(cut(both, 8), cut(VALUE, 8));
    Ok(())
}

#[case]
fn load_at_any_offset_has_the_bytes_of_its_registers() -> Result<(), Skip> {
    translated()?;
    let registers = registers(&open(), &[], &[]);
    let all = read(&registers, IDENT::INFO.offset, 16);

    for width in [2, 4, 8] {
        for offset in 0..8 {
            let value = read(&registers, offset, width);
            assert_eq!(
                value,
                cut(all >> (8 * offset), width),
                "{width} bytes at {offset}"
            );
        }
    }
    Ok(())
}

#[case]
fn store_at_any_offset_changes_its_bytes() -> Result<(), Skip> {
    translated()?;
    let registers = registers(&open(), &[], &[]);
    let scratch = SCRATCH::INFO.offset;

    for width in [2, 4] {
        for offset in 0..=8 - width {
            write(&registers, scratch, 8, 0);
            write(&registers, scratch + offset, width, cut(VALUE, width));
            let value = read(&registers, scratch, 8);
            assert_eq!(
                value,
                cut(VALUE, width) << (8 * offset),
                "{width} bytes at {offset}"
            );
        }
    }
    Ok(())
}

#[case]
fn memcpy_of_64_bytes_has_the_values_of_the_registers() -> Result<(), Skip> {
    translated()?;
    claim("touches reserved");
    let registers = registers(&open(), &[], &[]);

    let copy: [u8; 64] = copy_out(&registers, 0);

    let first = load(&registers, 0, 16).to_le_bytes();
    assert_eq!(copy[..16], first);
    Ok(())
}

#[case]
fn load_that_begins_in_memory_reaches_the_registers() -> Result<(), Skip> {
    translated()?;
    let registers = registers(&open(), &[Page::Own], &[]);
    let ident = load(&registers, page_size(), 4);

    // Each portion of the page of registers, from one byte to fifteen.
    for inside in 1..16 {
        let value = load(&registers, page_size() + inside - 16, 16);
        assert_eq!(cut(value, 16 - inside), 0);
        let (told, known) = (value >> (8 * (16 - inside)), inside.min(4));
        assert_eq!(cut(told, known), cut(ident, known), "{inside} bytes");
    }
    Ok(())
}

#[case]
fn load_that_begins_in_the_registers_reaches_memory() -> Result<(), Skip> {
    translated()?;
    claim("touches reserved");
    let registers = registers(&open(), &[], &[Page::Own]);
    store(&registers, page_size(), 16, VALUE);

    for inside in 1..16 {
        let value = load(&registers, page_size() - inside, 16);
        // No register is at the end of the page.
        assert_eq!(value, cut(VALUE, 16 - inside) << (8 * inside));
    }
    Ok(())
}

#[case]
fn store_that_crosses_pages_reaches_both() -> Result<(), Skip> {
    translated()?;
    claim("touches reserved");
    let device = open();
    let twice = [Page::Driver(device.file(), PUBLIC_REGISTERS)];
    let registers = registers(&device, &[Page::Own], &twice);

    for width in [2, 4, 8, 16] {
        for inside in 1..width {
            store(
                &registers,
                page_size() + inside - width,
                width,
                cut(VALUE, width),
            );
            store(
                &registers,
                2 * page_size() + inside - width,
                width,
                cut(VALUE, width),
            );
            let kept = load(&registers, page_size() + inside - width, width);
            assert_eq!(cut(kept, width - inside), cut(VALUE, width - inside));
        }
    }
    Ok(())
}

#[case]
fn kernel_copies_registers_for_a_process() -> Result<(), Skip> {
    translated()?;
    let registers = registers(&open(), &[], &[]);

    assert_eq!(instructions::write_to_pipe(&registers, 0, 30), 30);
    Ok(())
}

/// Makes a case for each instruction.
fn each_instruction(
    place: &'static str,
    check: fn(&'static Instruction) -> Result<(), Skip>,
) -> Vec<Case> {
    let case = |instruction: &'static Instruction| {
        let name = format!("{}: {place}", instruction.name);
        Case::new(name, move || {
            translated()?;
            if !(instruction.exists)() {
                return Err(Skip("the processor has no such instruction".into()));
            }
            check(instruction)
        })
    };
    ALL.iter().map(case).collect()
}

#[case(each_instruction)]
fn reaches_registers(instruction: &'static Instruction) -> Result<(), Skip> {
    if instruction.needs_memory {
        return Err(Skip("registers do not keep what it needs back".into()));
    }
    claim("touches reserved");
    instruction.run(&registers(&open(), &[], &[]), RESERVED);
    Ok(())
}

#[case(each_instruction)]
fn reaches_device_memory(instruction: &'static Instruction) -> Result<(), Skip> {
    let Instruction { reads, writes, .. } = *instruction;
    for (verb, bytes) in [("read", reads), ("write", writes)] {
        if bytes > 0 {
            claim(format!("memory {verb} {bytes}"));
        }
    }
    let device = open();
    let memory = device.create_device_memory(Part::Uncached, page_size(), Rights::ReadWrite);
    let memory = memory.expect("a page is free");
    let pages = Pages::map(&[Page::Driver(device.file(), memory.offset())]);
    instruction.run(&pages, page_size() - REACH);
    Ok(())
}

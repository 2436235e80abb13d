// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Pokes the public registers through a user mapping, every class of register with every width.
//!
//! Each case claims just the accesses that it made, which the witness compares with what it saw.

use ringbar_client::{Mapping, Word};
use ringbar_marks::{say, Mark};
use ringbar_spec::error::ErrorCode;
use ringbar_spec::regs::{
    COUNTER, ERROR_COUNT, ERROR_LAST, ERROR_VALUE, FEATURES, IDENT, IRQ_CAUSE, LENGTH_LIMIT,
    QUEUE_LIMITS, SCRATCH, STATUS, VERSION,
};
use ringbar_spec::{ids, regs, ring};
use ringbar_tests::{open, run};
use std::cell::RefCell;
use std::process::ExitCode;

/// An offset in the public page where no register is.
const RESERVED: usize = 0x800;

fn main() -> ExitCode {
    run(&[
        ("ident_has_the_magic", ident_has_the_magic),
        (
            "version_is_the_one_the_programs_know",
            version_is_the_one_the_programs_know,
        ),
        ("features_name_all_opcodes", features_name_all_opcodes),
        (
            "status_shows_ready_and_bus_master",
            status_shows_ready_and_bus_master,
        ),
        (
            "limits_are_those_the_driver_reports",
            limits_are_those_the_driver_reports,
        ),
        (
            "read_only_register_reads_alike_in_every_width",
            read_only_reads_alike_in_every_width,
        ),
        (
            "read_only_register_keeps_its_value_when_written",
            read_only_keeps_its_value,
        ),
        (
            "write_to_read_only_register_is_logged",
            write_to_read_only_is_logged,
        ),
        (
            "scratch_keeps_what_is_written_in_every_width",
            scratch_keeps_every_width,
        ),
        (
            "partial_write_leaves_the_other_bytes",
            partial_write_leaves_the_other_bytes,
        ),
        (
            "write_one_clears_and_write_zero_keeps_a_cause",
            write_one_clears_and_zero_keeps,
        ),
        (
            "byte_write_of_a_write_one_to_clear_register_works",
            byte_write_clears,
        ),
        (
            "reserved_offset_reads_zero_in_every_width",
            reserved_reads_zero,
        ),
        (
            "access_to_reserved_offset_is_logged_with_the_offset",
            reserved_access_is_logged,
        ),
        ("counter_moves_forward", counter_moves_forward),
    ])
}

/// The public registers, and what was done to them.
struct Poked {
    mapping: Mapping,
    accesses: RefCell<Vec<String>>,
}

fn registers() -> Poked {
    let mapping = open().map_public_registers();
    Poked {
        mapping: mapping.expect("root may map the public registers"),
        accesses: RefCell::default(),
    }
}

impl Poked {
    fn read<W: Word + Into<u64>>(&self, offset: usize) -> W {
        let value: W = self.mapping.read(offset);
        self.note("read", offset, value);
        value
    }

    fn write<W: Word + Into<u64>>(&self, offset: usize, value: W) {
        self.mapping.write(offset, value);
        self.note("write", offset, value);
    }

    fn note<W: Word + Into<u64>>(&self, what: &str, offset: usize, value: W) {
        let width = size_of::<W>();
        let access = format!("access {what} {offset:#x} {width} {:#x}", value.into());
        self.accesses.borrow_mut().push(access);
    }
}

impl Drop for Poked {
    fn drop(&mut self) {
        for text in self.accesses.take() {
            say(&Mark::Claim { text });
        }
    }
}

fn read32(registers: &Poked, info: &ringbar_spec::RegisterInfo) -> u32 {
    registers.read(info.offset)
}

fn ident_has_the_magic() {
    assert_eq!(read32(&registers(), &IDENT::INFO), ids::IDENT);
}

fn version_is_the_one_the_programs_know() {
    let version = VERSION::from_raw(read32(&registers(), &VERSION::INFO));
    assert_eq!(version.major(), u32::from(ids::VERSION_MAJOR));
    assert_eq!(version.minor(), u32::from(ids::VERSION_MINOR));
}

fn features_name_all_opcodes() {
    let known = ring::Opcode::ALL
        .iter()
        .fold(0, |bits, (opcode, _)| bits | 1u64 << opcode.0);
    assert_eq!(registers().read::<u64>(FEATURES::INFO.offset), known);
}

fn status_shows_ready_and_bus_master() {
    let status = STATUS::from_raw(read32(&registers(), &STATUS::INFO));
    assert!(status.ready());
    assert!(status.bus_master());
}

fn limits_are_those_the_driver_reports() {
    let info = open().info().expect("INFO works");
    let registers = registers();
    let queues = QUEUE_LIMITS::from_raw(read32(&registers, &QUEUE_LIMITS::INFO));
    assert_eq!(queues.queues(), info.queues);
    assert_eq!(queues.entries(), info.max_entries);
    assert_eq!(read32(&registers, &LENGTH_LIMIT::INFO), info.max_length);
}

fn read_only_reads_alike_in_every_width() {
    let registers = registers();
    let whole = ids::IDENT.to_le_bytes();
    let offset = IDENT::INFO.offset;

    let bytes: Vec<u8> = (0..4).map(|byte| registers.read(offset + byte)).collect();
    let halves: [u16; 2] = [registers.read(offset), registers.read(offset + 2)];
    let double: u64 = registers.read(offset);

    assert_eq!(bytes, whole);
    assert_eq!(halves.map(u16::to_le_bytes).concat(), whole);
    assert_eq!(double as u32, ids::IDENT);
    assert_eq!(double >> 32, u64::from(read32(&registers, &VERSION::INFO)));
}

fn read_only_keeps_its_value() {
    let registers = registers();
    let offset = IDENT::INFO.offset;
    registers.write(offset, 0u8);
    registers.write(offset, 0u16);
    registers.write(offset, 0u32);
    registers.write(offset, 0u64);
    assert_eq!(registers.read::<u32>(offset), ids::IDENT);
}

fn write_to_read_only_is_logged() {
    let registers = registers();
    let before = read32(&registers, &ERROR_COUNT::INFO);
    registers.write(VERSION::INFO.offset, 0u32);
    assert_last_error(
        &registers,
        before,
        ErrorCode::READ_ONLY,
        VERSION::INFO.offset,
    );
}

fn scratch_keeps_every_width() {
    let registers = registers();
    let offset = SCRATCH::INFO.offset;
    registers.write(offset, 0x0123_4567_89ab_cdefu64);
    assert_eq!(registers.read::<u64>(offset), 0x0123_4567_89ab_cdef);
    registers.write(offset, 0x7654_3210u32);
    assert_eq!(registers.read::<u32>(offset), 0x7654_3210);
    registers.write(offset, 0xbeefu16);
    assert_eq!(registers.read::<u16>(offset), 0xbeef);
    registers.write(offset, 0x5au8);
    assert_eq!(registers.read::<u8>(offset), 0x5a);
}

fn partial_write_leaves_the_other_bytes() {
    let registers = registers();
    let offset = SCRATCH::INFO.offset;
    registers.write(offset, u64::MAX);
    registers.write(offset + 3, 0u8);
    registers.write(offset + 6, 0u16);
    assert_eq!(registers.read::<u64>(offset), 0x0000_ffff_00ff_ffff);
}

fn write_one_clears_and_zero_keeps() {
    let registers = registers();
    let offset = IRQ_CAUSE::INFO.offset;
    registers.write(IDENT::INFO.offset, 0u32);
    assert!(IRQ_CAUSE::from_raw(registers.read(offset)).error());
    registers.write(offset, 0u32);
    assert!(IRQ_CAUSE::from_raw(registers.read(offset)).error());
    registers.write(offset, IRQ_CAUSE::zeroed().with_error(true).into_raw());
    assert!(!IRQ_CAUSE::from_raw(registers.read(offset)).error());
}

fn byte_write_clears() {
    let registers = registers();
    let offset = IRQ_CAUSE::INFO.offset;
    registers.write(IDENT::INFO.offset, 0u32);
    registers.write(offset + 1, 0xffu8);
    assert!(IRQ_CAUSE::from_raw(registers.read(offset)).error());
    registers.write(offset, 0x02u8);
    assert!(!IRQ_CAUSE::from_raw(registers.read(offset)).error());
}

fn reserved_reads_zero() {
    let registers = registers();
    registers.write(RESERVED, u64::MAX);
    assert_eq!(registers.read::<u8>(RESERVED), 0);
    assert_eq!(registers.read::<u16>(RESERVED), 0);
    assert_eq!(registers.read::<u32>(RESERVED), 0);
    assert_eq!(registers.read::<u64>(RESERVED), 0);
}

fn reserved_access_is_logged() {
    let registers = registers();
    let before = read32(&registers, &ERROR_COUNT::INFO);
    let _ = registers.read::<u16>(RESERVED + 2);
    assert_last_error(
        &registers,
        before,
        ErrorCode::RESERVED_REGISTER,
        RESERVED + 2,
    );
}

fn counter_moves_forward() {
    let registers = registers();
    let first: u64 = registers.read(COUNTER::INFO.offset);
    let second: u64 = registers.read(COUNTER::INFO.offset);
    assert!(second > first, "{first} then {second}");
}

#[track_caller]
fn assert_last_error(registers: &Poked, before: u32, code: ErrorCode, offset: usize) {
    let last = ERROR_LAST::from_raw(read32(registers, &ERROR_LAST::INFO));
    assert_eq!(read32(registers, &ERROR_COUNT::INFO), before + 1);
    assert_eq!(last.code(), u32::from(code.0));
    assert_eq!(last.queue(), u32::from(regs::NO_QUEUE));
    assert_eq!(
        registers.read::<u64>(ERROR_VALUE::INFO.offset),
        offset as u64
    );
}

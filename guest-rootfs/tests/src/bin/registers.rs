// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Accesses to the public registers through a mapping, each class of registers in each width.
//!
//! Each case claims exactly its accesses. The witness compares them with the accesses that it saw.

use ringbar_client::{Mapping, Word};
use ringbar_marks::{say, Mark};
use ringbar_spec::error::ErrorCode;
use ringbar_spec::regs::{
    BOOT_NUMBER, COUNTER, ERROR_COUNT, ERROR_LAST, ERROR_VALUE, FEATURES, IDENT, IRQ_CAUSE,
    LENGTH_LIMIT, QUEUE_LIMITS, RESET_GENERATION, SCRATCH, STATUS, VERSION,
};
use ringbar_spec::{ids, regs, ring};
use ringbar_tests::{case, expect_field, expect_register, open, run};
use std::cell::RefCell;
use std::process::ExitCode;

/// An offset of the public page without a register.
const RESERVED: usize = 0x800;

fn main() -> ExitCode {
    run()
}

/// The public registers, and the list of accesses to them.
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

    /// Reads a register. Fails if its value differs.
    #[track_caller]
    fn expect<W: Word + Into<u64>>(&self, offset: usize, expected: W) {
        expect_register(offset, self.read::<W>(offset), expected);
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

#[case]
fn ident_has_the_magic() {
    registers().expect(IDENT::INFO.offset, ids::IDENT);
}

#[case]
fn version_is_the_known_one() {
    let version = read32(&registers(), &VERSION::INFO);
    expect_field(&VERSION::INFO, version, "major", ids::VERSION_MAJOR);
    expect_field(&VERSION::INFO, version, "minor", ids::VERSION_MINOR);
}

#[case]
fn features_name_all_opcodes() {
    let known = ring::Opcode::ALL
        .iter()
        .fold(0, |bits, (opcode, _)| bits | 1u64 << opcode.0);
    registers().expect(FEATURES::INFO.offset, known);
}

#[case]
fn status_shows_ready_and_bus_master() {
    let status = read32(&registers(), &STATUS::INFO);
    expect_field(&STATUS::INFO, status, "ready", 1u32);
    expect_field(&STATUS::INFO, status, "bus_master", 1u32);
}

#[case]
fn limits_match_the_drivers_report() {
    let info = open().info().expect("INFO works");
    let registers = registers();
    let queues = read32(&registers, &QUEUE_LIMITS::INFO);
    expect_field(&QUEUE_LIMITS::INFO, queues, "queues", info.queues);
    expect_field(&QUEUE_LIMITS::INFO, queues, "entries", info.max_entries);
    registers.expect(LENGTH_LIMIT::INFO.offset, info.max_length);
}

#[case]
fn generation_counts_on_from_the_boot_number() {
    let registers = registers();
    let boot = read32(&registers, &BOOT_NUMBER::INFO);
    let generation = read32(&registers, &RESET_GENERATION::INFO);

    assert!((1..=ids::BOOT_NUMBER_MAX).contains(&boot), "{boot:#x}");
    // Probe resets the device, and tests have reset it since, but not a thousand times.
    let resets = generation.wrapping_sub(boot);
    assert!((1..1000).contains(&resets), "{boot:#x} to {generation:#x}");
}

#[case]
fn read_only_register_reads_alike_in_every_width() {
    let registers = registers();
    let whole = ids::IDENT.to_le_bytes();
    let offset = IDENT::INFO.offset;

    let bytes: Vec<u8> = (0..4).map(|byte| registers.read(offset + byte)).collect();
    let halves: [u16; 2] = [registers.read(offset), registers.read(offset + 2)];
    let double: u64 = registers.read(offset);

    let version = read32(&registers, &VERSION::INFO);
    for (byte, (read, expected)) in bytes.into_iter().zip(whole).enumerate() {
        expect_register(offset + byte, read, expected);
    }
    for (half, read) in halves.into_iter().enumerate() {
        expect_register(offset + 2 * half, read, (ids::IDENT >> (16 * half)) as u16);
    }
    let both = u64::from(version) << 32 | u64::from(ids::IDENT);
    expect_register(offset, double, both);
}

#[case]
fn read_only_register_keeps_its_value_when_written() {
    let registers = registers();
    let offset = IDENT::INFO.offset;
    registers.write(offset, 0u8);
    registers.write(offset, 0u16);
    registers.write(offset, 0u32);
    registers.write(offset, 0u64);
    registers.expect(offset, ids::IDENT);
}

#[case]
fn write_to_read_only_register_is_logged() {
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

#[case]
fn scratch_keeps_writes_of_every_width() {
    let registers = registers();
    let offset = SCRATCH::INFO.offset;
    registers.write(offset, 0x0123_4567_89ab_cdefu64);
    registers.expect(offset, 0x0123_4567_89ab_cdefu64);
    registers.write(offset, 0x7654_3210u32);
    registers.expect(offset, 0x7654_3210u32);
    registers.write(offset, 0xbeefu16);
    registers.expect(offset, 0xbeefu16);
    registers.write(offset, 0x5au8);
    registers.expect(offset, 0x5au8);
}

#[case]
fn partial_write_leaves_the_other_bytes() {
    let registers = registers();
    let offset = SCRATCH::INFO.offset;
    registers.write(offset, u64::MAX);
    registers.write(offset + 3, 0u8);
    registers.write(offset + 6, 0u16);
    registers.expect(offset, 0x0000_ffff_00ff_ffffu64);
}

#[case]
fn write_one_clears_and_write_zero_keeps_a_cause() {
    let registers = registers();
    let offset = IRQ_CAUSE::INFO.offset;
    registers.write(IDENT::INFO.offset, 0u32);
    assert_cause(&registers, true);
    registers.write(offset, 0u32);
    assert_cause(&registers, true);
    registers.write(offset, IRQ_CAUSE::zeroed().with_error(true).into_raw());
    assert_cause(&registers, false);
}

#[case]
fn byte_write_of_a_write_one_to_clear_register_works() {
    let registers = registers();
    let offset = IRQ_CAUSE::INFO.offset;
    registers.write(IDENT::INFO.offset, 0u32);
    registers.write(offset + 1, 0xffu8);
    assert_cause(&registers, true);
    registers.write(offset, 0x02u8);
    assert_cause(&registers, false);
}

#[case]
fn reserved_offset_reads_zero_in_every_width() {
    let registers = registers();
    registers.write(RESERVED, u64::MAX);
    registers.expect(RESERVED, 0u8);
    registers.expect(RESERVED, 0u16);
    registers.expect(RESERVED, 0u32);
    registers.expect(RESERVED, 0u64);
}

#[case]
fn access_to_reserved_offset_is_logged_with_the_offset() {
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

#[case]
fn counter_moves_forward() {
    let registers = registers();
    let first: u64 = registers.read(COUNTER::INFO.offset);
    let second: u64 = registers.read(COUNTER::INFO.offset);
    assert!(second > first, "{first} then {second}");
}

/// Fails unless the register of interrupt causes has this error bit.
#[track_caller]
fn assert_cause(registers: &Poked, error: bool) {
    let cause = read32(registers, &IRQ_CAUSE::INFO);
    expect_field(&IRQ_CAUSE::INFO, cause, "error", error);
}

#[track_caller]
fn assert_last_error(registers: &Poked, before: u32, code: ErrorCode, offset: usize) {
    let last = read32(registers, &ERROR_LAST::INFO);
    registers.expect(ERROR_COUNT::INFO.offset, before + 1);
    expect_field(&ERROR_LAST::INFO, last, "code", code.0);
    expect_field(&ERROR_LAST::INFO, last, "queue", regs::NO_QUEUE);
    registers.expect(ERROR_VALUE::INFO.offset, offset as u64);
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The tables of the data sheet, `qemu-device/README.md`, agree with the code.

use ringbar_spec::error::ErrorCode;
use ringbar_spec::layout::{
    DEVICE_MEMORY_MAX, DEVICE_MEMORY_MIN, DOORBELL_PAGES, MAX_QUEUES, MSIX_BAR_SIZE, PAGE_LENGTH,
    PAGE_STRIDE, REGISTER_BAR_SIZE, REPORT_PAGE, STATUS_PAGES,
};
use ringbar_spec::names::PAGE_FIELDS;
use ringbar_spec::regs::{Register, KICK_ANSWER, RESET_KEY};
use ringbar_spec::ring::{
    Completion, Descriptor, Opcode, Status, MAX_ENTRIES, MAX_LENGTH, MIN_ENTRIES,
};
use ringbar_spec::setup::{QueueSetup, Segment, WindowSetup, MAX_SEGMENTS, MAX_WINDOWS};
use ringbar_spec::{ids, pattern};
use std::mem::offset_of;

const SHEET: &str = include_str!("../../README.md");

/// Returns the first `columns` cells of each row of a table, which is found by its comment.
fn table(name: &str, columns: usize) -> Vec<Vec<String>> {
    let start = format!("<!-- table: {name} -->\n");
    let (_, text) = SHEET.split_once(&start).expect("the comment of the table");
    text.lines()
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| {
            let cells = line.trim_matches('|').split('|');
            cells.take(columns).map(|it| it.trim().into()).collect()
        })
        .collect()
}

/// Compares the first `columns` cells of a table with the rows of the code. Fails with the lines to
/// add and their place, and the lines to remove.
#[track_caller]
fn assert_table(name: &str, columns: usize, code: Vec<Vec<String>>) {
    let sheet = table(name, columns);
    if let Some(difference) = difference(&sheet, &code) {
        panic!("qemu-device/README.md, the table after `<!-- table: {name} -->`:{difference}");
    }
}

/// Returns the changes that make the rows of a document those of the code, one per line.
fn difference(sheet: &[Vec<String>], code: &[Vec<String>]) -> Option<String> {
    let lines = |what: &str, rows: &[Vec<String>], others: &[Vec<String>]| -> String {
        let rows = rows.iter().filter(|row| !others.contains(row));
        rows.map(|row| format!("\n  {what}| {} |", row.join(" | ")))
            .collect()
    };
    match lines("write there: ", code, sheet) + &lines("take out:    ", sheet, code) {
        rows if !rows.is_empty() => Some(rows),
        _ if sheet == code => None,
        _ => Some(" the rows stand in another order than in the code, or twice".to_owned()),
    }
}

fn row<const N: usize>(cells: [&dyn ToString; N]) -> Vec<String> {
    cells.map(ToString::to_string).to_vec()
}

/// Rows for the fields of a structure: offset, bytes, name.
macro_rules! fields {
    ($structure:ty { $($field:ident),* $(,)? }) => {{
        let it = <$structure>::default();
        vec![$(row([
            &offset_of!($structure, $field),
            &size_of_val(&it.$field),
            &stringify!($field),
        ])),*]
    }};
}

fn numbered(all: impl Iterator<Item = (u16, &'static str)>) -> Vec<Vec<String>> {
    all.map(|(number, name)| row([&number, &name])).collect()
}

#[test]
fn difference_names_the_row_to_write_and_the_row_to_take_out() {
    let rows = |names: &[&str]| -> Vec<_> { names.iter().map(|name| row([&1, name])).collect() };
    let code = rows(&["A", "B"]);

    let told = |sheet: &[&str]| difference(&rows(sheet), &code);

    assert_eq!(told(&["A", "B"]), None);
    assert_eq!(
        told(&["A", "C"]).as_deref(),
        Some("\n  write there: | 1 | B |\n  take out:    | 1 | C |")
    );
    assert!(told(&["B", "A"]).expect("differs").contains("order"));
}

#[test]
fn registers_are_as_in_the_code() {
    let code: Vec<_> = Register::ALL
        .iter()
        .map(|register| {
            let info = register.info();
            let offset = match info.count {
                1 => format!("0x{:06x}", info.offset),
                _ => format!("0x{:06x} + 0x{:x} n", info.offset, info.stride),
            };
            let reset = register.reset_value();
            row([
                &offset,
                &info.width,
                &info.name,
                &register.access().name(),
                &reset.map_or("-".into(), |value| format!("0x{value:x}")),
            ])
        })
        .collect();

    assert_table("registers", 5, code);
}

#[test]
fn fields_are_as_in_the_code() {
    let fields = Register::ALL.iter().flat_map(|register| {
        let info = register.info();
        info.fields.iter().map(|field| {
            let bits = match field.high - field.low {
                0 => field.low.to_string(),
                _ => format!("{}:{}", field.high, field.low),
            };
            row([&info.name, &bits, &field.name])
        })
    });

    assert_table("fields", 3, fields.collect());
}

#[test]
fn opcodes_are_as_in_the_code() {
    let code = Opcode::ALL.iter().map(|(opcode, name)| (opcode.0, *name));

    assert_table("opcodes", 2, numbered(code));
}

#[test]
fn statuses_are_as_in_the_code() {
    let code = Status::ALL.iter().map(|(status, name)| (status.0, *name));

    assert_table("statuses", 2, numbered(code));
}

#[test]
fn errors_are_as_in_the_code() {
    let code = ErrorCode::ALL.iter().map(|(code, name)| (code.0, *name));

    assert_table("errors", 2, numbered(code));
}

#[test]
fn queue_block_is_as_in_the_code() {
    let code = fields!(QueueSetup {
        queue,
        domain,
        submission_ring,
        completion_ring,
        submission_entries,
        completion_entries,
        vector,
        reserved,
    });

    assert_table("queue block", 3, code);
}

#[test]
fn window_block_is_as_in_the_code() {
    let code = fields!(WindowSetup {
        window,
        domain,
        kind,
        rights,
        length,
        offset,
        segments,
        reserved,
    });

    assert_table("window block", 3, code);
}

#[test]
fn segment_is_as_in_the_code() {
    let code = fields!(Segment { address, length });

    assert_table("segment", 3, code);
}

#[test]
fn descriptor_is_as_in_the_code() {
    let code = fields!(Descriptor {
        opcode,
        flags,
        tag,
        length,
        source_window,
        destination_window,
        source_offset,
        destination_offset,
        operand,
        reserved,
    });

    assert_table("descriptor", 3, code);
}

#[test]
fn completion_is_as_in_the_code() {
    let code = fields!(Completion {
        tag,
        status,
        reserved,
        result,
    });

    assert_table("completion", 3, code);
}

/// Returns rows for the fields of a shared page, as [`fields`] does for a structure.
fn page_fields(start: usize) -> Vec<Vec<String>> {
    let all = PAGE_FIELDS.iter();
    all.filter(|it| (start..start + PAGE_LENGTH).contains(&it.offset))
        .map(|it| row([&(it.offset - start), &it.width, &it.name]))
        .collect()
}

#[test]
fn report_page_is_as_in_the_code() {
    assert_table("report page", 3, page_fields(REPORT_PAGE));
}

#[test]
fn doorbell_page_is_as_in_the_code() {
    assert_table("doorbell page", 3, page_fields(DOORBELL_PAGES));
}

#[test]
fn status_page_is_as_in_the_code() {
    assert_table("status page", 3, page_fields(STATUS_PAGES));
}

#[test]
fn limits_are_as_in_the_code() {
    let limits: Vec<_> = table("limits", 2)
        .into_iter()
        .map(|row| row.into_iter().nth(1).unwrap())
        .collect();

    assert_eq!(
        limits,
        [
            format!("1 to {MAX_QUEUES}"),
            format!("{MIN_ENTRIES} to {MAX_ENTRIES}, a power of two"),
            MAX_WINDOWS.to_string(),
            MAX_SEGMENTS.to_string(),
            MAX_LENGTH.to_string(),
            format!("{DEVICE_MEMORY_MIN} to {DEVICE_MEMORY_MAX}, a power of two"),
        ]
    );
}

#[test]
fn numbers_in_the_text_are_as_in_the_code() {
    let numbers = [
        format!("`{:04x}`, `{:04x}`", ids::VENDOR_ID, ids::DEVICE_ID),
        format!("| revision | `{:02x}` |", ids::REVISION_ID),
        format!("`{:06x}`", ids::CLASS_CODE),
        format!("Version {}.{} of", ids::VERSION_MAJOR, ids::VERSION_MINOR),
        format!("| 0 | {} MiB, 32-bit", REGISTER_BAR_SIZE >> 20),
        format!("| 4 | {} KiB |", MSIX_BAR_SIZE >> 10),
        format!("a power of two from {} KiB to", DEVICE_MEMORY_MIN >> 10),
        format!("pages are {} KiB apart", PAGE_STRIDE >> 10),
        format!("in the first {PAGE_LENGTH} bytes"),
        format!("0x{RESET_KEY:08x} (the bytes `RST!`)"),
        format!("0x{KICK_ANSWER:08x}"),
        format!("queue n is at 0x{DOORBELL_PAGES:x} + 0x{PAGE_STRIDE:x} n of BAR 0"),
        format!("queue n is at 0x{STATUS_PAGES:x} + 0x{PAGE_STRIDE:x} n of BAR 0"),
        format!(
            "0x{:016x}, 0x{:016x}",
            pattern::word(0, 0),
            pattern::word(0, 1)
        ),
    ];

    let missing: Vec<_> = numbers
        .iter()
        .filter(|number| !SHEET.contains(*number))
        .collect();

    assert!(
        missing.is_empty(),
        "qemu-device/README.md does not have these any more, or has them otherwise: {missing:#?}"
    );
}

// SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT

//! Public definitions of the source files, to find those that `rust.rs` lacks.
//!
//! The header has what a process can reach: arguments of ioctls, mmap offsets, rings, the pages of
//! a queue and the public registers. Everything else that is public in `uapi` or `spec` is in a
//! list here, with the reason. So a new definition is in the header or in a list, or the test
//! fails. The registers of `register!` need no list: `rust.rs` takes those in the pages of a
//! process.

use crate::rust;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Folders with the source files, from this crate's own.
const FOLDERS: [&str; 2] = ["src", "../../qemu-device/spec/src"];
/// A file of the mapping layer that this crate compiles by path.
const SHARED: &str = "../mapping/offset.rs";

/// Modules of which the header has nothing, and the reason.
const MODULES_NOT_IN_C: [(&str, &str); 7] = [
    (
        "access",
        "words of the data sheet; the header describes each register",
    ),
    ("lib", "the modules alone"),
    ("names", "names of the data sheet, for people"),
    ("pattern", "functions"),
    ("register", "shapes of what `register!` declares"),
    ("setup", "blocks in memory that the driver alone makes"),
    (
        "wake",
        "an algorithm, and names of fields of the pages for it",
    ),
];

/// Other definitions that the header does not have, and the reason.
const NOT_IN_C: [(&str, &[&str]); 9] = [
    (
        "a decoded mmap offset: a process gets offsets, and the driver takes them apart",
        &[
            "offset::Region",
            "offset::Region.kind",
            "offset::Region.index",
            "offset::Region.offset",
        ],
    ),
    (
        "a length in words, which C has in the type of the field",
        &["pages::INLINE_WORDS"],
    ),
    (
        "numbers with a type, whose values are in tables",
        &["error::ErrorCode", "ring::Opcode", "ring::Status"],
    ),
    (
        "those tables",
        &[
            "error::ErrorCode::ALL",
            "ring::Opcode::ALL",
            "ring::Status::ALL",
        ],
    ),
    (
        "configuration space, which sysfs shows to a process",
        &[
            "ids::VENDOR_ID",
            "ids::DEVICE_ID",
            "ids::REVISION_ID",
            "ids::CLASS_CODE",
        ],
    ),
    (
        "what a device may draw, of which a process sees the outcome",
        &["ids::BOOT_NUMBER_MAX"],
    ),
    (
        "places in BARs and sizes of them: a process has mmap offsets and the answer to INFO",
        &[
            "layout::PAGE_STRIDE",
            "layout::PAGE_LENGTH",
            "layout::MAX_QUEUES",
            "layout::REGISTER_BAR",
            "layout::REGISTER_BAR_SIZE",
            "layout::DEVICE_MEMORY_BAR",
            "layout::DEVICE_MEMORY_SIZE",
            "layout::DEVICE_MEMORY_MIN",
            "layout::DEVICE_MEMORY_MAX",
            "layout::MSIX_BAR",
            "layout::MSIX_BAR_SIZE",
            "layout::MSIX_TABLE_OFFSET",
            "layout::MSIX_PBA_OFFSET",
            "layout::PUBLIC_PAGE",
            "layout::ADMIN_PAGE",
            "layout::KICK_PAGES",
            "layout::REPORT_PAGE",
            "layout::DOORBELL_PAGES",
            "layout::STATUS_PAGES",
            "layout::MemoryPart",
        ],
    ),
    (
        "the report page, which is the driver's",
        &[
            "pages::ReportPage",
            "pages::ReportPage.outcome",
            "pages::ReportPage.features",
            "pages::ReportPage.queue_limits",
            "pages::ReportPage.window_limits",
            "pages::ReportPage.length_limit",
            "pages::ReportPage.boot_number",
            "pages::OUTCOME",
            "pages::REPORTED_FEATURES",
            "pages::REPORTED_QUEUE_LIMITS",
            "pages::REPORTED_WINDOW_LIMITS",
            "pages::REPORTED_LENGTH_LIMIT",
            "pages::REPORTED_BOOT_NUMBER",
        ],
    ),
    (
        "registers of the admin page, which is the driver's",
        &["regs::RESET_KEY", "regs::ERROR_LOG_ENTRIES"],
    ),
];

/// Returns one line per public definition that `rust.rs` and the lists lack, and one per entry of
/// the lists that has no definition.
pub(crate) fn differences() -> Vec<String> {
    let mut known = rust::definitions();
    let lists = NOT_IN_C.iter().flat_map(|(_, names)| names.iter());
    let listed: Vec<String> = lists.map(|name| (*name).to_owned()).collect();
    let twice = listed.iter().filter(|name| known.contains(*name));
    let mut wrong: Vec<_> = twice
        .map(|name| format!("{name}: in the header, and in a list of what it does not have"))
        .collect();
    known.extend(listed);
    let mut modules = BTreeSet::new();
    let mut found = BTreeSet::new();
    for (module, text) in sources() {
        if !MODULES_NOT_IN_C.iter().any(|(name, _)| *name == module) {
            found.extend(defined(&text).map(|name| format!("{module}::{name}")));
        }
        modules.insert(module);
    }
    let missing = found.difference(&known);
    wrong.extend(missing.map(|name| {
        format!("{name}: write it into include/ringbar.h and rust.rs, or into a list of source.rs")
    }));
    let gone = known.difference(&found);
    wrong.extend(gone.map(|name| format!("{name}: no source file defines it")));
    let gone = MODULES_NOT_IN_C
        .iter()
        .filter(|(name, _)| !modules.contains(*name));
    wrong.extend(gone.map(|(name, _)| format!("{name}: there is no such source file")));
    wrong
}

/// Returns name and text of each module.
fn sources() -> Vec<(String, String)> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let entries = FOLDERS
        .iter()
        .flat_map(|folder| fs::read_dir(here.join(folder)).expect("a folder of sources"));
    entries
        .map(|entry| entry.expect("an entry").path())
        .chain([here.join(SHARED)])
        .map(|path| {
            let module = path.file_stem().and_then(|name| name.to_str());
            let module = module.expect("a name in UTF-8").to_owned();
            (module, fs::read_to_string(&path).expect("a file with text"))
        })
        .collect()
}

/// Returns the names of a file's public definitions that are not functions: `NAME`, `Type`,
/// `Type::NAME` and `Type.field`.
fn defined(text: &str) -> impl Iterator<Item = String> + '_ {
    let mut around = String::new();
    text.lines().filter_map(move |line| {
        let (inner, line) = match line.strip_prefix("    ") {
            Some(line) => (true, line),
            None => (false, line),
        };
        if let Some(rest) = line.strip_prefix("impl ").filter(|_| !inner) {
            around = word(rest).to_owned();
            return None;
        }
        let rest = line.strip_prefix("pub ")?;
        let (kind, name) = rest.split_once(' ')?;
        match kind {
            "const" | "static" | "struct" | "enum" | "union" | "type" => {
                let name = word(name);
                // A function is no number.
                if name == "fn" {
                    return None;
                }
                if !inner {
                    around = name.to_owned();
                    return Some(name.to_owned());
                }
                Some(format!("{around}::{name}"))
            }
            _ => {
                let field = kind.strip_suffix(':').filter(|_| inner)?;
                Some(format!("{around}.{field}"))
            }
        }
    })
}

/// Returns the identifier that a text begins with.
fn word(text: &str) -> &str {
    let end = text.find(|it: char| !it.is_alphanumeric() && it != '_');
    text.split_at(end.unwrap_or(text.len())).0
}

#[test]
fn definitions_of_every_sort_are_found() {
    let text =
        "pub const A_1: u32 = 1;\npub struct Two {\n    pub three: u32,\n    private: u32,\n}\n\
                pub struct Four(pub u16);\nimpl Four {\n    pub const FIVE: Self = Self(5);\n    \
                pub const fn six() {}\n}\npub const fn seven() {}\nconst EIGHT: u32 = 8;\n\
                pub static NINE: [u8; 1] = [9];\npub enum Ten {\n    Eleven,\n}\npub mod twelve;\n";

    assert_eq!(
        defined(text).collect::<Vec<_>>(),
        [
            "A_1",
            "Two",
            "Two.three",
            "Four",
            "Four::FIVE",
            "NINE",
            "Ten"
        ]
    );
}

// SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT

//! Facts of the Rust definitions, by the names that they have in C.
//!
//! Tables of the crates (opcodes, statuses, errors, registers) are complete by themselves. For the
//! other definitions the lists here are compared with the source files: see `source.rs`. A pattern
//! without `..` names all fields of a structure, so the compiler finds a missing one.

use crate::Facts;
use ringbar_spec::error::ErrorCode;
use ringbar_spec::layout::{
    DOORBELL_PAGES, KICK_PAGES, PAGE_LENGTH, PAGE_STRIDE, PUBLIC_PAGE, STATUS_PAGES,
};
use ringbar_spec::regs::Register;
use ringbar_spec::ring::{Completion, Descriptor, Opcode, Status};
use ringbar_spec::{ids, names, pages, regs, ring};
use ringbar_uapi::ioctl::{self, *};
use ringbar_uapi::mmap;
use std::any::type_name;
use std::collections::BTreeSet;
use std::mem::offset_of;

/// A number, its module and name in Rust, and its prefix in C.
pub(crate) struct Number {
    module: &'static str,
    pub(crate) name: &'static str,
    pub(crate) value: u64,
    prefix: &'static str,
}

macro_rules! numbers {
    ($prefix:literal: $($module:ident :: $name:ident),* $(,)?) => {
        vec![$(Number {
            module: stringify!($module),
            name: stringify!($name),
            value: u64::from($module::$name),
            prefix: $prefix,
        }),*]
    };
}

/// Returns the ioctls, by their numbers.
pub(crate) fn ioctls() -> Vec<Number> {
    numbers!("RINGBAR_IOCTL_":
        ioctl::INFO,
        ioctl::CREATE_QUEUE,
        ioctl::CREATE_BUFFER,
        ioctl::CREATE_DEVICE_MEMORY,
        ioctl::EXECUTE,
        ioctl::WAIT,
        ioctl::CREATE_MEMORY,
        ioctl::RESET_QUEUE,
        ioctl::DESTROY_QUEUE,
        ioctl::DESTROY_BUFFER,
        ioctl::OPEN_WINDOW,
        ioctl::CLOSE_WINDOW,
        ioctl::SET_EVENTFD,
        ioctl::OPEN_USER_WINDOW,
        ioctl::TRANSFER,
    )
}

/// Returns the numbers that are no ioctls and in no table of the crates.
fn numbers() -> Vec<Number> {
    let mut all = numbers!("RINGBAR_IOCTL_": ioctl::TYPE);
    all.extend(numbers!("RINGBAR_":
        ioctl::QUEUE_KERNEL,
        ioctl::MAX_PARTS,
        ioctl::MAX_USER_WINDOW,
        ioctl::RIGHT_READ,
        ioctl::RIGHT_WRITE,
        ioctl::TRANSFER_INTO_WINDOW,
        ioctl::TRANSFER_OUT_OF_WINDOW,
        ioctl::PART_WRITE_COMBINING,
        ioctl::PART_UNCACHED,
        ioctl::PART_LAZY,
        ioctl::MEMORY_CONTIGUOUS,
        ioctl::MEMORY_VMALLOC,
        ioctl::POLICY_CACHED,
        ioctl::POLICY_WRITE_COMBINING,
        ioctl::POLICY_UNCACHED,
        mmap::KIND_PUBLIC_REGISTERS,
        mmap::KIND_SUBMISSION_RING,
        mmap::KIND_COMPLETION_RING,
        mmap::KIND_BUFFER,
        mmap::KIND_DEVICE_MEMORY,
        mmap::KIND_KICK,
        mmap::KIND_DOORBELL,
        mmap::KIND_STATUS,
        mmap::KIND_LAZY_DEVICE_MEMORY,
        mmap::KIND_CONTIGUOUS,
        mmap::KIND_VMALLOC,
        mmap::PUBLIC_REGISTERS,
        ring::MIN_ENTRIES,
        ring::MAX_ENTRIES,
        ring::MAX_LENGTH,
        regs::KICK_ANSWER,
        pages::QUEUE_STOPPED,
        pages::QUEUE_RUNNING,
        regs::NO_QUEUE,
        ids::IDENT,
        ids::VERSION_MAJOR,
        ids::VERSION_MINOR,
    ));
    all.push(Number {
        module: "ring",
        name: "INLINE_LENGTH",
        // `u64::from` takes no `usize`.
        value: ring::INLINE_LENGTH as u64,
        prefix: "RINGBAR_",
    });
    all
}

/// A structure: its name and its fields in Rust, and its facts.
struct Structure {
    name: &'static str,
    fields: Vec<&'static str>,
    facts: Vec<(String, String)>,
}

macro_rules! structures {
    ($($type:ident as $name:literal { $($field:ident),* $(,)? })*) => {
        vec![$({
            // All fields are named.
            let _ = |it: $type| { let $type { $($field: _),* } = it; };
            Structure {
                name: type_name::<$type>(),
                fields: vec![$(stringify!($field)),*],
                facts: vec![
                    (
                        concat!("struct ", $name).to_owned(),
                        format!("{} bytes, aligned to {}", size_of::<$type>(), align_of::<$type>()),
                    ),
                    $((
                        concat!($name, ".", stringify!($field)).to_owned(),
                        format!(
                            "{} at {}",
                            type_of(|it: &$type| &it.$field),
                            offset_of!($type, $field)
                        ),
                    )),*
                ],
            }
        }),*]
    };
}

/// Returns the name of a field's type.
fn type_of<S, F>(_: impl Fn(&S) -> &F) -> &'static str {
    type_name::<F>()
}

/// Returns the structures of ioctls and rings.
fn structures() -> Vec<Structure> {
    structures! {
        Info as "ringbar_info" {
            version_major, version_minor, vectors, opcodes, device_memory_size, queues, max_entries,
            max_length, max_buffer,
        }
        CreateQueue as "ringbar_create_queue" {
            entries, queue, flags, reserved, submission_ring, completion_ring, kick, doorbell, status,
        }
        CreateBuffer as "ringbar_create_buffer" { size, offset, rights, window }
        CreateDeviceMemory as "ringbar_create_device_memory" {
            size, offset, rights, part, window, reserved,
        }
        Execute as "ringbar_execute" {
            descriptors, completions, queue, count, timeout_ms, began,
        }
        Wait as "ringbar_wait" { queue, completion_tail, timeout_ms, began }
        CreateMemory as "ringbar_create_memory" { size, offset, kind, policy }
        Object as "ringbar_object" { number, reserved }
        OpenWindow as "ringbar_open_window" { parts, count, rights, window, reserved }
        WindowPart as "ringbar_window_part" { buffer, reserved, offset, length }
        OpenUserWindow as "ringbar_open_user_window" { address, length, rights, window }
        Transfer as "ringbar_transfer" {
            address, offset, length, queue, window, direction, timeout_ms, status, began,
        }
        SetEventFd as "ringbar_set_eventfd" { queue, fd }
        Descriptor as "ringbar_descriptor" {
            opcode, flags, tag, length, source_window, destination_window, source_offset,
            destination_offset, operand, reserved,
        }
        Completion as "ringbar_completion" { tag, status, reserved, result }
    }
}

/// Pages of BAR 0 that a process can map.
const PAGES: [(&str, usize); 4] = [
    ("ringbar_public_page", PUBLIC_PAGE),
    ("ringbar_kick_page", KICK_PAGES),
    ("ringbar_doorbell_page", DOORBELL_PAGES),
    ("ringbar_status_page", STATUS_PAGES),
];

/// Returns the facts of a page. In C, the registers of a trapped page are fields too.
fn page_facts(page: &str, start: usize) -> Vec<(String, String)> {
    let mut facts = Vec::new();
    let mut alignment = 0;
    for info in names::all().filter(|info| (start..start + PAGE_LENGTH).contains(&info.offset)) {
        let name = info.name.to_lowercase();
        let kind = match info.width {
            4 => "u32",
            8 => "u64",
            16 => "ringbar_completion",
            40 => "[u64; 5]",
            width => panic!("{name} has {width} bytes, for which there is no type of C"),
        };
        alignment = alignment.max(info.width.min(size_of::<u64>()));
        let offset = info.offset - start;
        facts.push((format!("{page}.{name}"), format!("{kind} at {offset}")));
    }
    facts.push((
        format!("struct {page}"),
        format!("{PAGE_LENGTH} bytes, aligned to {alignment}"),
    ));
    facts
}

/// Returns the masks of the fields of registers, but for fields that fill their register.
fn masks() -> impl Iterator<Item = (String, u64)> {
    let registers = Register::ALL.iter().map(|register| register.info());
    let trapped = registers.filter(|info| {
        let page = info.offset / PAGE_STRIDE * PAGE_STRIDE;
        [PUBLIC_PAGE, KICK_PAGES].contains(&page)
    });
    trapped.flat_map(|info| {
        let bits = 8 * info.width as u32;
        let fields = info.fields.iter();
        let parts = fields.filter(move |field| field.high - field.low + 1 < bits);
        parts.map(move |field| {
            let name = format!("RINGBAR_REG_{}_{}", info.name, field.name.to_uppercase());
            (name, field.mask())
        })
    })
}

/// Returns the names and values of the crates' tables.
fn tables() -> impl Iterator<Item = (String, u64)> {
    let opcodes = Opcode::ALL.iter().map(|(it, name)| ("OPCODE", *name, it.0));
    let statuses = Status::ALL.iter().map(|(it, name)| ("STATUS", *name, it.0));
    let errors = ErrorCode::ALL
        .iter()
        .map(|(it, name)| ("ERROR", *name, it.0));
    let all = opcodes.chain(statuses).chain(errors);
    all.map(|(table, name, value)| (format!("RINGBAR_{table}_{name}"), u64::from(value)))
}

/// Returns the definitions that have facts here: `module::NAME`, `module::Type`, and their parts
/// `module::Type::NAME` and `module::Type.field`.
pub(crate) fn definitions() -> BTreeSet<String> {
    let numbers = ioctls().into_iter().chain(numbers());
    let numbers = numbers.map(|it| format!("{}::{}", it.module, it.name));
    let structures = structures().into_iter().flat_map(|it| {
        // The crate comes first.
        let (_, name) = it.name.split_once("::").expect("a module and a name");
        let fields = it.fields.iter();
        let fields = fields.map(|field| format!("{name}.{field}"));
        let all: Vec<_> = fields.chain([name.to_owned()]).collect();
        all
    });
    let opcodes = Opcode::ALL.iter().map(|(_, name)| ("ring::Opcode", name));
    let statuses = Status::ALL.iter().map(|(_, name)| ("ring::Status", name));
    let errors = ErrorCode::ALL
        .iter()
        .map(|(_, name)| ("error::ErrorCode", name));
    let tables = opcodes.chain(statuses).chain(errors);
    let tables = tables.map(|(of, name)| format!("{of}::{name}"));
    let pages = ["DoorbellPage", "StatusPage"].map(|page| format!("pages::{page}"));
    let of_queues = names::PAGE_FIELDS
        .iter()
        .filter(|field| field.offset >= DOORBELL_PAGES);
    let fields = of_queues.map(|field| {
        let page = match field.offset < STATUS_PAGES {
            true => "DoorbellPage",
            false => "StatusPage",
        };
        format!("pages::{page}.{}", field.name)
    });
    let all = numbers.chain(structures).chain(tables);
    all.chain(pages).chain(fields).collect()
}

/// Returns all facts.
pub(crate) fn facts() -> Facts {
    let named = ioctls().into_iter().chain(numbers());
    let named = named.map(|it| (format!("{}{}", it.prefix, it.name), it.value));
    let numbers = named.chain(tables()).chain(masks());
    // `%#llx` of C shows 0 without a prefix.
    let numbers = numbers.map(|(name, value)| match value {
        0 => (name, "0".to_owned()),
        value => (name, format!("{value:#x}")),
    });
    let structures = structures().into_iter().flat_map(|it| it.facts);
    let pages = PAGES
        .iter()
        .flat_map(|(page, start)| page_facts(page, *start));
    let mut facts = Facts::new();
    for (name, fact) in numbers.chain(structures).chain(pages) {
        let other = facts.insert(name.clone(), fact);
        assert_eq!(other, None, "two definitions would be {name} in C");
    }
    facts
}

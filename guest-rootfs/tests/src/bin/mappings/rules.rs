// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The rules for every kind of mapping.

use crate::kind::{Kind, Region, KINDS, PAGE};
use crate::raw::{RawMapping, READ_WRITE};
use crate::table::{self, Row};
use crate::{child, core_file, page_table, smaps};
use ringbar_client::{MemoryKind, Part, Policy, Rights};
use ringbar_spec::layout::{MAX_QUEUES, REGISTER_BAR_SIZE};
use ringbar_tests::usage::{self, Usage};
use ringbar_tests::{case, debugfs, fork, on_debug_kernel, open, Case, Skip, NODE};
use ringbar_uapi::mmap;
use rustix::io::Errno;
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags};
use std::borrow::Cow;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::sync::OnceLock;

pub(crate) type Outcome = Result<(), Skip>;

/// Signal numbers on x86-64 (Linux `arch/x86/include/uapi/asm/signal.h`).
const SIGABRT: i32 = 6;
const SIGSEGV: i32 = 11;
/// `O_NONBLOCK` on x86-64: fail instead of waiting until the module is unused.
const NONBLOCKING: i32 = 0o4000;

/// Makes a case of a rule for each kind. All rules run against one kind before the next kind's
/// turn.
pub(crate) fn each_kind(rule: &'static str, check: fn(&Kind, &Row) -> Outcome) -> Vec<Case> {
    let case = |(turn, kind): (usize, &'static Kind)| {
        let name = format!("{}: {rule}", kind.name);
        Case::new(name, move || check(kind, &table::row(kind.name))).in_turn(turn)
    };
    (1..).zip(KINDS).map(case).collect()
}

impl Region {
    /// Maps all of it.
    pub(crate) fn map(&self, protection: ProtFlags, flags: MapFlags) -> Result<RawMapping, Errno> {
        RawMapping::new(
            self.device.file(),
            self.offset,
            self.size,
            protection,
            flags,
        )
    }

    /// Maps the whole region, writable if its row allows it.
    pub(crate) fn map_all(&self, row: &Row) -> RawMapping {
        let protection = if row.writable {
            READ_WRITE
        } else {
            ProtFlags::READ
        };
        self.map(protection, MapFlags::SHARED)
            .expect("the kind can be mapped")
    }
}

/// Skips a case with `reason` unless something holds.
pub(crate) fn only_if(holds: bool, reason: &'static str) -> Outcome {
    if holds {
        Ok(())
    } else {
        Err(Skip(Cow::Borrowed(reason)))
    }
}

#[case(each_kind)]
fn flags_match_the_table(kind: &Kind, row: &Row) -> Outcome {
    let region = kind.make();
    let mapping = region.map_all(row);
    assert_eq!(smaps::flags(mapping.address()), row.flags);
    Ok(())
}

#[case(each_kind)]
fn page_table_policy_matches_the_table(kind: &Kind, row: &Row) -> Outcome {
    let region = kind.make();
    let mapping = region.map_all(row);
    mapping.read(0);
    let (owner, name, policy) = debugfs::line(mapping.address());
    assert_eq!(owner, std::process::id());
    assert_eq!(kind.name.split('/').next(), Some(name.as_str()));
    assert_eq!(policy, row.policy);
    Ok(())
}

#[case(each_kind)]
fn private_mapping_is_refused(kind: &Kind, _row: &Row) -> Outcome {
    let region = kind.make();
    assert_eq!(
        region.map(ProtFlags::READ, MapFlags::PRIVATE).err(),
        Some(Errno::INVAL)
    );
    Ok(())
}

#[case(each_kind)]
fn executable_mapping_is_refused(kind: &Kind, _row: &Row) -> Outcome {
    let region = kind.make();
    let mapped = region.map(ProtFlags::READ | ProtFlags::EXEC, MapFlags::SHARED);
    assert_eq!(mapped.err(), Some(Errno::PERM));
    Ok(())
}

#[case(each_kind)]
fn mprotect_cannot_make_it_executable(kind: &Kind, row: &Row) -> Outcome {
    let region = kind.make();
    let mapping = region.map_all(row);
    let protected = mapping.protect(MprotectFlags::READ | MprotectFlags::EXEC);
    assert_eq!(protected, Err(Errno::ACCESS));
    Ok(())
}

#[case(each_kind)]
fn writable_mapping_matches_the_table(kind: &Kind, row: &Row) -> Outcome {
    let region = kind.make();
    let mapped = region.map(READ_WRITE, MapFlags::SHARED);
    let expected = if row.writable {
        None
    } else {
        Some(Errno::ACCESS)
    };
    assert_eq!(mapped.err(), expected);
    let mapping = region.map(ProtFlags::READ, MapFlags::SHARED).unwrap();
    let widened = mapping.protect(MprotectFlags::READ | MprotectFlags::WRITE);
    assert_eq!(widened.err(), expected);
    Ok(())
}

#[case(each_kind)]
fn mapping_of_a_read_only_file_stays_read_only(kind: &Kind, _row: &Row) -> Outcome {
    let region = kind.make_read_only();
    let writable = region.map(READ_WRITE, MapFlags::SHARED);
    assert_eq!(writable.err(), Some(Errno::ACCESS));
    let mapping = region.map(ProtFlags::READ, MapFlags::SHARED).unwrap();
    mapping.read(0);
    let widened = mapping.protect(MprotectFlags::READ | MprotectFlags::WRITE);
    assert_eq!(widened, Err(Errno::ACCESS));
    Ok(())
}

#[case(each_kind)]
fn mapping_beyond_the_end_is_refused(kind: &Kind, _row: &Row) -> Outcome {
    let region = kind.make();
    let mapped = RawMapping::new(
        region.device.file(),
        region.offset,
        region.size + PAGE,
        ProtFlags::READ,
        MapFlags::SHARED,
    );
    assert_eq!(mapped.err(), Some(Errno::OVERFLOW));
    Ok(())
}

#[case(each_kind)]
fn mapping_that_starts_beyond_the_end_is_refused(kind: &Kind, _row: &Row) -> Outcome {
    let region = kind.make();
    // BAR 0 continues behind the public registers, with pages that are only the driver's.
    let expected = match kind.name {
        "public-registers" => Errno::PERM,
        _ => Errno::OVERFLOW,
    };
    let last_page_of_the_kind = (1 << 40) - PAGE as u64;
    for (offset, expected) in [
        (region.size as u64, expected),
        (last_page_of_the_kind, Errno::OVERFLOW),
    ] {
        let mapped = RawMapping::new(
            region.device.file(),
            region.offset + offset,
            PAGE,
            ProtFlags::READ,
            MapFlags::SHARED,
        );
        assert_eq!(mapped.err(), Some(expected), "offset {offset:#x}");
    }
    Ok(())
}

#[case(each_kind)]
fn part_at_a_page_offset_shows_the_right_page(kind: &Kind, row: &Row) -> Outcome {
    let region = kind.make();
    only_if(region.size > PAGE, "the region has one page")?;
    only_if(
        row.writable,
        "the region is read-only, and the device writes its first page",
    )?;
    let whole = region.map_all(row);
    for page in 0..region.size / PAGE {
        whole.write(page * PAGE, 0x1000 + page as u32);
    }
    let part = RawMapping::new(
        region.device.file(),
        region.offset + PAGE as u64,
        2 * PAGE,
        READ_WRITE,
        MapFlags::SHARED,
    )
    .expect("a part can be mapped");
    assert_eq!((part.read(0), part.read(PAGE)), (0x1001, 0x1002));
    part.write(8, 77);
    assert_eq!(whole.read(PAGE + 8), 77);
    Ok(())
}

#[case(each_kind)]
fn mapping_does_not_grow(kind: &Kind, row: &Row) -> Outcome {
    let region = kind.make();
    let mut mapping = region.map_all(row);
    assert_eq!(mapping.resize(region.size + PAGE), Err(Errno::FAULT));
    Ok(())
}

#[case(each_kind)]
fn forked_child_matches_the_table(kind: &Kind, row: &Row) -> Outcome {
    let region = kind.make();
    let mapping = region.map_all(row);
    mapping.read(0);
    let status = child::run(|| {
        mapping.read(0);
    });
    let expected = if row.inherited { None } else { Some(SIGSEGV) };
    assert_eq!(status.signal(), expected, "{status}");
    assert_eq!(status.success(), row.inherited);
    Ok(())
}

#[case(each_kind)]
fn core_file_lacks_the_bytes(kind: &Kind, row: &Row) -> Outcome {
    let region = kind.make();
    let mapping = region.map_all(row);
    only_if(
        row.inherited,
        "the child that crashes does not get the mapping",
    )?;
    core_file::choose_place();
    let plain = Box::new([0x5au8; 64]);
    let status = child::run(|| {
        child::allow_core_file();
        mapping.read(0);
        std::hint::black_box(&plain);
        child::crash()
    });
    assert_eq!(status.signal(), Some(SIGABRT), "{status}");
    assert!(status.core_dumped());
    assert_eq!(core_file::bytes_of(mapping.address()).unwrap_or(0), 0);
    Ok(())
}

#[case(each_kind)]
fn mappings_are_counted_through_split_move_and_unmap(kind: &Kind, row: &Row) -> Outcome {
    let region = kind.make();
    let before = debugfs::count();
    let mut mapping = region.map_all(row);
    assert_eq!(debugfs::count(), before + 1, "mapped");
    assert_eq!(debugfs::listed(), debugfs::count());
    mapping.move_away().expect("a mapping can move");
    assert_eq!(debugfs::count(), before + 1, "moved");
    if region.size > 2 * PAGE {
        mapping.punch(PAGE, PAGE);
        assert_eq!(debugfs::count(), before + 2, "split");
        assert_eq!(debugfs::listed(), debugfs::count());
    }
    drop(mapping);
    assert_eq!(debugfs::count(), before, "unmapped");
    assert_eq!(debugfs::listed(), debugfs::count());
    Ok(())
}

#[case(each_kind)]
fn forked_mapping_is_counted_and_uncounted(kind: &Kind, row: &Row) -> Outcome {
    only_if(row.inherited, "a forked child does not get the mapping")?;
    let region = kind.make();
    let mapping = region.map_all(row);
    let before = debugfs::count();
    let status = child::run(|| {
        assert_eq!(debugfs::count(), before + 1);
        assert_eq!(debugfs::listed(), before + 1);
        mapping.read(0);
    });
    assert!(status.success(), "{status}");
    assert_eq!(debugfs::count(), before);
    Ok(())
}

#[case(each_kind)]
fn refused_mapping_is_not_counted(kind: &Kind, _row: &Row) -> Outcome {
    let region = kind.make();
    let before = debugfs::count();
    let refused = RawMapping::new(
        region.device.file(),
        region.offset,
        region.size + PAGE,
        ProtFlags::READ,
        MapFlags::SHARED,
    );
    assert!(refused.is_err());
    assert_eq!(debugfs::count(), before);
    Ok(())
}

#[case(each_kind)]
fn ordinary_user_can_map_the_kind(kind: &Kind, row: &Row) -> Outcome {
    only_if(
        kind.name != "public-registers",
        "needs a capability, which a case of its own shows",
    )?;
    let everybody = Permissions::from_mode(0o666);
    std::fs::set_permissions(NODE, everybody).expect("root may give the node to everybody");
    let status = child::run(|| {
        child::become_ordinary_user();
        kind.make().map_all(row).read(0);
    });
    assert!(status.success(), "{status}");
    Ok(())
}

#[case(each_kind)]
fn page_table_dump_matches_the_table(kind: &Kind, row: &Row) -> Outcome {
    if !page_table::Dump::is_there() {
        return Err(Skip("this kernel shows no page tables".into()));
    }
    only_if(row.policy != "none", "pages of vmalloc are ordinary ones")?;
    let (_, policy) = dumped_policies()
        .iter()
        .find(|(name, _)| *name == kind.name)
        .expect("each kind is mapped");
    let policy = policy.as_ref().unwrap_or_else(|what| panic!("{what}"));
    assert_eq!(*policy, row.policy);
    Ok(())
}

/// Returns the policy of a page of each kind, from the page tables. Maps all kinds and dumps once:
/// one dump per kind took more than a minute in all.
fn dumped_policies() -> &'static [(&'static str, Result<&'static str, String>)] {
    static POLICIES: OnceLock<Vec<(&str, Result<&str, String>)>> = OnceLock::new();
    POLICIES.get_or_init(|| {
        let map = |kind: &'static Kind| {
            let region = kind.make();
            let mapping = region.map_all(&table::row(kind.name));
            mapping.read(0);
            (kind.name, mapping, region)
        };
        let mapped: Vec<_> = KINDS.iter().map(map).collect();
        let dump = page_table::Dump::read();
        mapped
            .iter()
            .map(|(name, mapping, _region)| (*name, dump.policy(mapping.address())))
            .collect()
    })
}

#[case(each_kind)]
fn mapped_module_cannot_be_removed(kind: &Kind, row: &Row) -> Outcome {
    let region = kind.make();
    let mapping = region.map_all(row);
    // Only the mapping is left.
    drop(region);
    let removed = rustix::system::delete_module(c"ringbar", NONBLOCKING);
    assert_eq!(removed, Err(Errno::WOULDBLOCK));
    mapping.read(0);
    Ok(())
}

/// A process without the capability must not map the public registers.
#[case]
fn public_registers_need_cap_sys_rawio() {
    let device = open();
    let status = child::run(|| {
        child::become_ordinary_user();
        let refused = device.map_public_registers();
        assert_eq!(refused.unwrap_err().errno(), Some(Errno::PERM));
    });
    assert!(status.success(), "{status}");
}

/// The root of a user namespace has every capability in it, but none outside.
#[case]
fn root_of_a_user_namespace_cannot_map_the_public_registers() -> Outcome {
    if !Path::new("/proc/self/ns/user").exists() {
        return Err(Skip("this kernel has no user namespaces".into()));
    }
    let device = open();
    let status = child::run(|| {
        child::enter_user_namespace();
        let refused = device.map_public_registers();
        assert_eq!(refused.unwrap_err().errno(), Some(Errno::PERM));
    });
    assert!(status.success(), "{status}");
    Ok(())
}

/// Tries each page of BAR 0 through each kind that shows one, with every capability.
#[case]
fn only_own_pages_of_bar_0_can_be_mapped() {
    let owner = open();
    let _queue = owner.create_queue(4).unwrap();
    let device = open();
    let refused = |offset| {
        RawMapping::new(
            device.file(),
            offset,
            PAGE,
            ProtFlags::READ,
            MapFlags::SHARED,
        )
        .err()
    };
    for page in 1..REGISTER_BAR_SIZE / PAGE {
        let offset = mmap::PUBLIC_REGISTERS + (page * PAGE) as u64;
        assert_eq!(refused(offset), Some(Errno::PERM), "page {page} of BAR 0");
    }
    let queues = device.info().unwrap().queues;
    for kind in [mmap::KIND_KICK, mmap::KIND_DOORBELL, mmap::KIND_STATUS] {
        for queue in 0..MAX_QUEUES as u16 {
            let expected = if u32::from(queue) < queues {
                Errno::PERM
            } else {
                Errno::NXIO
            };
            assert_eq!(
                refused(mmap::encode(kind, queue)),
                Some(expected),
                "queue {queue}"
            );
        }
    }
}

/// A file cannot map another file's region, even with every capability.
#[case]
fn region_of_another_file_cannot_be_mapped() {
    for kind in KINDS.iter().filter(|kind| kind.name != "public-registers") {
        let region = kind.make();
        let other = open();
        let mapped = RawMapping::new(
            other.file(),
            region.offset,
            region.size,
            ProtFlags::READ,
            MapFlags::SHARED,
        );
        // Each file numbers its kernel memory by itself.
        let own_numbers = kind.name.starts_with("contiguous") || kind.name == "vmalloc";
        let expected = if own_numbers {
            Errno::NXIO
        } else {
            Errno::PERM
        };
        assert_eq!(mapped.err(), Some(expected), "{}", kind.name);
    }
}

/// Memory shows its next owner none of the last owner's bytes.
#[case]
fn memory_is_zeroed_when_handed_out() {
    for part in [Part::WriteCombining, Part::Uncached, Part::Lazy] {
        let make = || {
            let device = open();
            device
                .create_device_memory(part, 4 * PAGE, Rights::Read)
                .unwrap()
        };
        make().mapping().write_bytes(0, &[0xa5; 4 * PAGE]);
        assert_eq!(
            make().mapping().read_bytes(0, 4 * PAGE),
            [0; 4 * PAGE],
            "{part:?}"
        );
    }
    for memory in [
        MemoryKind::Contiguous(Policy::Uncached),
        MemoryKind::Vmalloc,
    ] {
        let make = || open().create_memory(memory, 4 * PAGE).unwrap();
        make().mapping().write_bytes(0, &[0xa5; 4 * PAGE]);
        assert_eq!(
            make().mapping().read_bytes(0, 4 * PAGE),
            [0; 4 * PAGE],
            "{memory:?}"
        );
    }
}

#[case]
fn ended_children_leave_nothing_while_the_file_is_open() {
    let device = open();
    let buffer = device
        .create_buffer(PAGE, Rights::ReadWrite)
        .expect("a buffer");
    // The debug kernel counts only open files here, and takes a second per ten children.
    let children = if on_debug_kernel() { 40 } else { 400 };
    let fork_some = || {
        for _ in 0..children {
            let status = fork::run(|| buffer.mapping().read::<u8>(0) == 0);
            assert!(status.success(), "{status}");
        }
    };
    fork_some();
    let before = Usage::now();
    fork_some();
    usage::assert_back(&before);
}

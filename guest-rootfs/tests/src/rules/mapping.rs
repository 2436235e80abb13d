// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The rules for every kind of mapping.

use super::{only_if, rules, Driver, Kind, Outcome, Rule};
use crate::raw::{RawMapping, READ_WRITE};
use crate::{child, core_file, page_table, smaps, Skip};
use ringbar_client::page_size;
use rustix::io::Errno;
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags};
use std::ffi::CString;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::sync::OnceLock;

pub(super) const RULES: &[(&str, Rule)] = rules![
    flags_match_the_table,
    page_table_policy_matches_the_table,
    private_mapping_is_refused,
    executable_mapping_is_refused,
    mprotect_cannot_make_it_executable,
    implied_execute_permission_is_not_given,
    writable_mapping_matches_the_table,
    mapping_of_a_read_only_file_stays_read_only,
    mapping_beyond_the_end_is_refused,
    mapping_that_starts_beyond_the_end_is_refused,
    part_at_a_page_offset_shows_the_right_page,
    mapping_does_not_grow,
    forked_child_matches_the_table,
    core_file_lacks_the_bytes,
    mappings_are_counted_through_split_move_and_unmap,
    forked_mapping_is_counted_and_uncounted,
    refused_mapping_is_not_counted,
    ordinary_user_can_map_the_kind,
    page_table_dump_matches_the_table,
    mapped_module_cannot_be_removed,
];

/// Signal numbers on x86-64 and arm64 (Linux `include/uapi/asm-generic/signal.h`).
const SIGABRT: i32 = 6;
const SIGSEGV: i32 = 11;
/// `O_NONBLOCK` on x86-64 and arm64: fail instead of waiting until the module is unused.
const NONBLOCKING: i32 = 0o4000;

fn flags_match_the_table(_driver: &Driver, kind: &Kind) -> Outcome {
    let region = kind.region();
    let mapping = kind.map(&region);
    assert_eq!(smaps::flags(mapping.address()), kind.flags());
    Ok(())
}

fn page_table_policy_matches_the_table(driver: &Driver, kind: &Kind) -> Outcome {
    let region = kind.region();
    let mapping = kind.map(&region);
    mapping.read(0);
    let (owner, name, policy) = driver.debugfs().line(mapping.address());
    assert_eq!(owner, std::process::id());
    assert_eq!(kind.name.split('/').next(), Some(name.as_str()));
    assert_eq!(policy, kind.policy);
    Ok(())
}

fn private_mapping_is_refused(_driver: &Driver, kind: &Kind) -> Outcome {
    let region = kind.region();
    assert_eq!(
        region.map(ProtFlags::READ, MapFlags::PRIVATE).err(),
        Some(Errno::INVAL)
    );
    Ok(())
}

fn executable_mapping_is_refused(_driver: &Driver, kind: &Kind) -> Outcome {
    let region = kind.region();
    let mapped = region.map(ProtFlags::READ | ProtFlags::EXEC, MapFlags::SHARED);
    assert_eq!(mapped.err(), Some(Errno::PERM));
    Ok(())
}

fn mprotect_cannot_make_it_executable(_driver: &Driver, kind: &Kind) -> Outcome {
    let region = kind.region();
    let mapping = kind.map(&region);
    let protected = mapping.protect(MprotectFlags::READ | MprotectFlags::EXEC);
    assert_eq!(protected, Err(Errno::ACCESS));
    Ok(())
}

fn implied_execute_permission_is_not_given(_driver: &Driver, kind: &Kind) -> Outcome {
    let region = kind.region();
    let status = child::run(|| {
        child::let_reading_imply_executing();
        let mapping = kind.map(&region);
        let expected = if kind.writable { "rw-s" } else { "r--s" };
        assert_eq!(smaps::permissions(mapping.address()), expected);
        mapping.read(0);
        let protected = mapping.protect(MprotectFlags::READ);
        assert_eq!(protected, Ok(()), "mprotect");
        assert_eq!(smaps::permissions(mapping.address()), "r--s");
    });
    assert!(status.success(), "{status}");
    Ok(())
}

fn writable_mapping_matches_the_table(_driver: &Driver, kind: &Kind) -> Outcome {
    let region = kind.region();
    let mapped = region.map(READ_WRITE, MapFlags::SHARED);
    let expected = if kind.writable {
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

fn mapping_of_a_read_only_file_stays_read_only(_driver: &Driver, kind: &Kind) -> Outcome {
    let region = (kind.make)(true);
    let writable = region.map(READ_WRITE, MapFlags::SHARED);
    assert_eq!(writable.err(), Some(Errno::ACCESS));
    let mapping = region.map(ProtFlags::READ, MapFlags::SHARED).unwrap();
    mapping.read(0);
    let widened = mapping.protect(MprotectFlags::READ | MprotectFlags::WRITE);
    assert_eq!(widened, Err(Errno::ACCESS));
    Ok(())
}

fn mapping_beyond_the_end_is_refused(_driver: &Driver, kind: &Kind) -> Outcome {
    let region = kind.region();
    let mapped = RawMapping::new(
        &region.file,
        region.offset,
        region.size + page_size(),
        ProtFlags::READ,
        MapFlags::SHARED,
    );
    assert_eq!(mapped.err(), Some(Errno::OVERFLOW));
    Ok(())
}

fn mapping_that_starts_beyond_the_end_is_refused(_driver: &Driver, kind: &Kind) -> Outcome {
    let region = kind.region();
    let last_page_of_the_kind = (1 << 40) - page_size() as u64;
    for (offset, expected) in [
        (region.size as u64, kind.behind),
        (last_page_of_the_kind, Errno::OVERFLOW),
    ] {
        let mapped = RawMapping::new(
            &region.file,
            region.offset + offset,
            page_size(),
            ProtFlags::READ,
            MapFlags::SHARED,
        );
        assert_eq!(mapped.err(), Some(expected), "offset {offset:#x}");
    }
    Ok(())
}

fn part_at_a_page_offset_shows_the_right_page(_driver: &Driver, kind: &Kind) -> Outcome {
    let region = kind.region();
    only_if(
        region.size > 2 * page_size(),
        "the region has fewer than three pages",
    )?;
    only_if(
        kind.writable,
        "the region is read-only, and the device writes its first page",
    )?;
    let whole = kind.map(&region);
    for page in 0..region.size / page_size() {
        whole.write(page * page_size(), 0x5000 + page as u32);
    }
    let part = RawMapping::new(
        &region.file,
        region.offset + page_size() as u64,
        2 * page_size(),
        READ_WRITE,
        MapFlags::SHARED,
    )
    .expect("a part can be mapped");
    assert_eq!((part.read(0), part.read(page_size())), (0x5001, 0x5002));
    part.write(8, 77);
    assert_eq!(whole.read(page_size() + 8), 77);
    Ok(())
}

fn mapping_does_not_grow(_driver: &Driver, kind: &Kind) -> Outcome {
    let region = kind.region();
    let mut mapping = kind.map(&region);
    assert_eq!(mapping.resize(region.size + page_size()), Err(Errno::FAULT));
    Ok(())
}

fn forked_child_matches_the_table(_driver: &Driver, kind: &Kind) -> Outcome {
    let region = kind.region();
    let mapping = kind.map(&region);
    mapping.read(0);
    let status = child::run(|| {
        mapping.read(0);
    });
    let expected = if kind.inherited { None } else { Some(SIGSEGV) };
    assert_eq!(status.signal(), expected, "{status}");
    assert_eq!(status.success(), kind.inherited);
    Ok(())
}

fn core_file_lacks_the_bytes(_driver: &Driver, kind: &Kind) -> Outcome {
    let region = kind.region();
    let mapping = kind.map(&region);
    only_if(
        kind.inherited,
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

fn mappings_are_counted_through_split_move_and_unmap(driver: &Driver, kind: &Kind) -> Outcome {
    let region = kind.region();
    let before = driver.debugfs().count();
    let mut mapping = kind.map(&region);
    assert_eq!(driver.debugfs().count(), before + 1, "mapped");
    assert_eq!(driver.debugfs().listed(), driver.debugfs().count());
    mapping.move_away().expect("a mapping can move");
    assert_eq!(driver.debugfs().count(), before + 1, "moved");
    if region.size > 2 * page_size() {
        mapping.punch(page_size(), page_size());
        assert_eq!(driver.debugfs().count(), before + 2, "split");
        assert_eq!(driver.debugfs().listed(), driver.debugfs().count());
    }
    drop(mapping);
    assert_eq!(driver.debugfs().count(), before, "unmapped");
    assert_eq!(driver.debugfs().listed(), driver.debugfs().count());
    Ok(())
}

fn forked_mapping_is_counted_and_uncounted(driver: &Driver, kind: &Kind) -> Outcome {
    only_if(kind.inherited, "a forked child does not get the mapping")?;
    let region = kind.region();
    let mapping = kind.map(&region);
    let before = driver.debugfs().count();
    let status = child::run(|| {
        assert_eq!(driver.debugfs().count(), before + 1);
        assert_eq!(driver.debugfs().listed(), before + 1);
        mapping.read(0);
    });
    assert!(status.success(), "{status}");
    assert_eq!(driver.debugfs().count(), before);
    Ok(())
}

fn refused_mapping_is_not_counted(driver: &Driver, kind: &Kind) -> Outcome {
    let region = kind.region();
    let before = driver.debugfs().count();
    let refused = RawMapping::new(
        &region.file,
        region.offset,
        region.size + page_size(),
        ProtFlags::READ,
        MapFlags::SHARED,
    );
    assert!(refused.is_err());
    assert_eq!(driver.debugfs().count(), before);
    Ok(())
}

fn ordinary_user_can_map_the_kind(driver: &Driver, kind: &Kind) -> Outcome {
    only_if(
        kind.for_everybody,
        "needs a capability, which a case of its own shows",
    )?;
    let everybody = Permissions::from_mode(0o666);
    std::fs::set_permissions(driver.node, everybody).expect("root may give the node to everybody");
    let status = child::run(|| {
        child::become_ordinary_user();
        kind.map(&kind.region()).read(0);
    });
    assert!(status.success(), "{status}");
    Ok(())
}

fn page_table_dump_matches_the_table(driver: &Driver, kind: &Kind) -> Outcome {
    if !page_table::Dump::is_there() {
        return Err(Skip("this kernel shows no page tables".into()));
    }
    only_if(kind.policy != "none", "pages of vmalloc are ordinary ones")?;
    let policies = dumped_policies(driver);
    let (_, policy) = policies
        .iter()
        .find(|(name, _)| *name == kind.name)
        .expect("each kind is mapped");
    let policy = policy.as_ref().unwrap_or_else(|what| panic!("{what}"));
    assert_eq!(*policy, kind.policy);
    Ok(())
}

/// Returns the policy of a page of each kind of a program's only driver, from the page tables. Maps
/// all kinds and dumps once: one dump per kind took more than a minute in all.
fn dumped_policies(driver: &Driver) -> &'static [(&'static str, Result<&'static str, String>)] {
    static POLICIES: OnceLock<Vec<(&str, Result<&str, String>)>> = OnceLock::new();
    POLICIES.get_or_init(|| {
        let map = |kind: &Kind| {
            let region = kind.region();
            let mapping = kind.map(&region);
            mapping.read(0);
            (kind.name, mapping, region)
        };
        let mapped: Vec<_> = driver.kinds.iter().map(map).collect();
        let dump = page_table::Dump::read();
        mapped
            .iter()
            .map(|(name, mapping, _region)| (*name, dump.policy(mapping.address())))
            .collect()
    })
}

fn mapped_module_cannot_be_removed(driver: &Driver, kind: &Kind) -> Outcome {
    let region = kind.region();
    let mapping = kind.map(&region);
    // Only the mapping is left.
    drop(region);
    let name = CString::new(driver.module).expect("a name without a NUL");
    let removed = rustix::system::delete_module(&name, NONBLOCKING);
    assert_eq!(removed, Err(Errno::WOULDBLOCK));
    mapping.read(0);
    Ok(())
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Regions that only their owner can map, and the memory behind regions.

use crate::kind::driver;
use ringbar_client::{MemoryKind, Part, Policy, Rights};
use ringbar_spec::layout::{MAX_QUEUES, REGISTER_BAR_SIZE};
use ringbar_tests::debugfs::RINGBAR;
use ringbar_tests::raw::RawMapping;
use ringbar_tests::rules::Outcome;
use ringbar_tests::usage::{self, Usage};
use ringbar_tests::{case, child, fork, on_debug_kernel, open, page_size, Skip};
use ringbar_uapi::mmap;
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags};
use std::path::Path;

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
            page_size(),
            ProtFlags::READ,
            MapFlags::SHARED,
        )
        .err()
    };
    for page in 1..REGISTER_BAR_SIZE / page_size() {
        let offset = mmap::PUBLIC_REGISTERS + (page * page_size()) as u64;
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
    for kind in driver().kinds.iter().filter(|kind| kind.for_everybody) {
        let region = (kind.make)(false);
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
                .create_device_memory(part, 4 * page_size(), Rights::Read)
                .unwrap()
        };
        make()
            .mapping()
            .write_bytes(0, &vec![0xa5; 4 * page_size()]);
        assert_eq!(
            make().mapping().read_bytes(0, 4 * page_size()),
            vec![0; 4 * page_size()],
            "{part:?}"
        );
    }
    for memory in [
        MemoryKind::Contiguous(Policy::Uncached),
        MemoryKind::Vmalloc,
    ] {
        let make = || open().create_memory(memory, 4 * page_size()).unwrap();
        make()
            .mapping()
            .write_bytes(0, &vec![0xa5; 4 * page_size()]);
        assert_eq!(
            make().mapping().read_bytes(0, 4 * page_size()),
            vec![0; 4 * page_size()],
            "{memory:?}"
        );
    }
}

#[case]
fn memory_of_closed_files_is_free_again() {
    // The debug kernel counts only open files here.
    let times = if on_debug_kernel() { 10 } else { 100 };
    let some = || {
        for memory in [
            MemoryKind::Contiguous(Policy::Cached),
            MemoryKind::Contiguous(Policy::Uncached),
            MemoryKind::Vmalloc,
        ] {
            for _ in 0..times {
                let made = open().create_memory(memory, 4 * page_size());
                made.expect("there is memory").mapping().write(0, 1_u8);
            }
        }
    };
    some();
    let before = Usage::now();
    some();
    usage::assert_back(&before);
}

#[case]
fn ended_children_leave_nothing_while_the_file_is_open() {
    let device = open();
    let buffer = device
        .create_buffer(page_size(), Rights::ReadWrite)
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

#[case]
fn mapping_stays_in_the_drivers_list_when_a_child_has_ended() {
    let device = open();
    let buffer = device
        .create_buffer(page_size(), Rights::ReadWrite)
        .expect("a buffer");
    let before = RINGBAR.mappings();

    let status = fork::run(|| buffer.mapping().read::<u8>(0) == 0);

    assert!(status.success(), "{status}");
    assert_eq!(RINGBAR.mappings(), before);
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The driver of `guest-driver/shared_buffer`: memory of the kernel, of each kind and cache policy,
//! which processes share by mapping it.

use ringbar_examples::node::Node;
use ringbar_examples::uapi::shared_buffer::{
    Create, Destroy, CACHED, CONTIGUOUS, CREATE, DESTROY, MAX_BUFFERS, MAX_SIZE, VMALLOC,
    WRITE_COMBINING,
};
use ringbar_tests::fork::{self, SIGBUS};
use ringbar_tests::raw::RawMapping;
use ringbar_tests::rules::{self, open_node, Debugger, Driver, Kind, Region};
use ringbar_tests::usage::{self, Usage};
use ringbar_tests::{case, expect_bytes, page_size, run};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;

const NODE: &str = "/dev/ringbar-shared-buffer0";
/// Each kind of buffer with its policy, as the driver takes them.
const BUFFERS: [(u32, u32); 3] = [
    (CONTIGUOUS, CACHED),
    (CONTIGUOUS, WRITE_COMBINING),
    (VMALLOC, CACHED),
];
/// Times that a file is opened, used and closed.
const ROUNDS: usize = 100;

fn main() -> ExitCode {
    run()
}

fn driver() -> Driver {
    let kind = |name, (kind, policy), flags, shown| Kind {
        name,
        make: Rc::new(move |read_only| {
            let node = Node::from(open_node(NODE, read_only));
            let size = 4 * page_size();
            Region {
                offset: create(&node, size as u64, kind, policy)
                    .expect("a buffer")
                    .offset,
                file: Arc::clone(node.file()),
                size,
            }
        }),
        flags,
        policy: shown,
        writable: true,
        inherited: true,
        debugger: Debugger::Writes,
        behind: Errno::OVERFLOW,
        for_everybody: true,
    };
    let [cached, write_combining, vmalloc] = BUFFERS;
    Driver {
        module: "ringbar_shared_buffer",
        node: NODE,
        kinds: vec![
            kind("contiguous/cached", cached, "io pf de dd", "cached"),
            kind(
                "contiguous/write-combining",
                write_combining,
                "io pf de dd",
                "write-combining",
            ),
            kind("vmalloc", vmalloc, "mm de dd", "none"),
        ],
    }
}

/// The rules of the mapping layer, for each kind.
#[case(rules::each_kind)]
fn mappings() -> Driver {
    driver()
}

/// The rules about a device that leaves: for its node, and for each kind.
#[case(rules::removal)]
fn removal() -> Driver {
    driver()
}

fn open() -> Node {
    Node::open(NODE)
}

/// Makes a buffer.
fn create(node: &Node, size: u64, kind: u32, policy: u32) -> Result<Create, Errno> {
    let mut create = Create {
        size,
        kind,
        policy,
        offset: 0,
    };
    node.call(CREATE, &mut create)?;
    Ok(create)
}

/// Takes a buffer away.
fn destroy(node: &Node, offset: u64) -> Result<(), Errno> {
    node.call(DESTROY, &mut Destroy { offset })
}

#[case]
fn two_mappings_of_a_buffer_show_the_same_bytes() {
    for (kind, policy) in BUFFERS {
        let node = open();
        let offset = create(&node, 2 * page_size() as u64, kind, policy)
            .unwrap()
            .offset;
        let whole = node.map(offset, 2 * page_size());
        let second = node.map(offset + page_size() as u64, page_size());

        whole.write(page_size() + 8, 77);

        assert_eq!(second.read(8), 77, "kind {kind}, policy {policy}");
    }
}

#[case]
fn forked_process_shares_the_buffer() {
    let node = open();
    let offset = create(&node, page_size() as u64, CONTIGUOUS, CACHED)
        .unwrap()
        .offset;
    let mapping = node.map(offset, page_size());
    mapping.write(0, 1);

    let status = fork::run(|| {
        mapping.write(4, 2);
        mapping.read(0) == 1
    });

    assert!(status.success(), "{status}");
    assert_eq!(mapping.read(4), 2);
}

#[case]
fn size_is_rounded_up_to_whole_pages() {
    let node = open();
    for (size, whole) in [(1, 1), (page_size() as u64, 1), (page_size() as u64 + 1, 2)] {
        let buffer = create(&node, size, VMALLOC, CACHED).expect("a buffer");
        assert_eq!(buffer.size, whole * page_size() as u64, "{size} bytes");
    }
}

#[case]
fn largest_buffer_is_made_of_each_kind() {
    for (kind, policy) in BUFFERS {
        let buffer = create(&open(), MAX_SIZE, kind, policy);
        assert_eq!(buffer.map(|it| it.size), Ok(MAX_SIZE), "kind {kind}");
    }
}

#[case]
fn buffer_without_a_meaning_is_refused() {
    let node = open();
    for (what, size, kind, policy) in [
        ("no byte", 0, CONTIGUOUS, CACHED),
        ("a byte too many", MAX_SIZE + 1, CONTIGUOUS, CACHED),
        ("far too many bytes", u64::MAX, VMALLOC, CACHED),
        ("no kind", 1, 0, CACHED),
        ("an unknown kind", 1, 3, CACHED),
        ("an unknown policy", 1, CONTIGUOUS, 2),
        ("vmalloc is always cached", 1, VMALLOC, WRITE_COMBINING),
    ] {
        let refused = create(&node, size, kind, policy);
        assert_eq!(refused.map(|it| it.offset), Err(Errno::INVAL), "{what}");
    }
}

#[case]
fn buffers_of_a_file_are_limited_and_there_is_room_again_after_one_is_destroyed() {
    let node = open();
    let make = || create(&node, 1, VMALLOC, CACHED).map(|it| it.offset);
    let offsets: Vec<_> = (0..MAX_BUFFERS).map(|_| make().expect("room")).collect();

    assert_eq!(make(), Err(Errno::NOSPC));
    assert_eq!(destroy(&node, offsets[3]), Ok(()));
    assert!(make().is_ok());
    assert!(create(&open(), 1, VMALLOC, CACHED).is_ok(), "another file");
}

#[case]
fn destroyed_buffer_raises_sigbus() {
    for (kind, policy) in BUFFERS {
        let node = open();
        let offset = create(&node, page_size() as u64, kind, policy)
            .unwrap()
            .offset;
        let mapping = node.map(offset, page_size());
        mapping.write(0, 1);

        assert_eq!(destroy(&node, offset), Ok(()));

        let status = fork::run(|| mapping.read(0) == 1);
        assert_eq!(status.signal(), Some(SIGBUS), "kind {kind}: {status}");
        let again = RawMapping::new(
            node.file(),
            offset,
            page_size(),
            ProtFlags::READ,
            MapFlags::SHARED,
        );
        assert_eq!(again.err(), Some(Errno::NXIO), "kind {kind}");
    }
}

#[case]
fn mapping_of_a_destroyed_buffer_does_not_show_the_next_one() {
    for (kind, policy) in BUFFERS {
        let node = open();
        let make = || {
            create(&node, page_size() as u64, kind, policy)
                .unwrap()
                .offset
        };
        let offset = make();
        let old = node.map(offset, page_size());
        old.write(0, 1);
        assert_eq!(destroy(&node, offset), Ok(()));

        assert_eq!(make(), offset, "the lowest number is taken first");

        let status = fork::run(|| old.read(0) == 0);
        assert_eq!(status.signal(), Some(SIGBUS), "kind {kind}: {status}");
        assert_eq!(node.map(offset, page_size()).read(0), 0, "kind {kind}");
    }
}

#[case]
fn buffer_that_is_not_there_is_not_destroyed() {
    let node = open();
    let offset = create(&node, 2 * page_size() as u64, VMALLOC, CACHED)
        .unwrap()
        .offset;

    assert_eq!(
        destroy(&node, offset + page_size() as u64),
        Err(Errno::NXIO)
    );
    assert_eq!(destroy(&open(), offset), Err(Errno::NXIO), "another file");
    assert_eq!(destroy(&node, offset), Ok(()));
    assert_eq!(destroy(&node, offset), Err(Errno::NXIO), "again");
}

#[case]
fn buffer_of_another_file_cannot_be_mapped() {
    let node = open();
    let offset = create(&node, page_size() as u64, CONTIGUOUS, CACHED)
        .unwrap()
        .offset;

    let other = open();
    let mapped = RawMapping::new(
        other.file(),
        offset,
        page_size(),
        ProtFlags::READ,
        MapFlags::SHARED,
    );

    assert_eq!(mapped.err(), Some(Errno::NXIO));
}

#[case]
fn new_buffer_has_none_of_the_last_ones_bytes() {
    for (kind, policy) in BUFFERS {
        let make = || {
            let node = open();
            let offset = create(&node, 4 * page_size() as u64, kind, policy)
                .unwrap()
                .offset;
            node.map(offset, 4 * page_size())
        };
        let used = make();
        (0..4 * page_size())
            .step_by(4)
            .for_each(|at| used.write(at, 0xa5a5_a5a5));
        drop(used);

        let new = make();

        let what = format_args!("kind {kind}");
        expect_bytes(
            what,
            &new.bytes(0, 4 * page_size()),
            &vec![0; 4 * page_size()],
        );
    }
}

#[case]
fn closed_files_leave_no_memory_and_no_mapping_behind() {
    let folder = driver().debugfs();
    let use_one = || {
        let node = open();
        for (kind, policy) in BUFFERS {
            let offset = create(&node, 4 * page_size() as u64, kind, policy)
                .unwrap()
                .offset;
            node.map(offset, 4 * page_size()).write(0, 1);
        }
    };
    use_one();
    let before = (Usage::now(), folder.count());

    (0..ROUNDS).for_each(|_| use_one());

    usage::assert_back(&before.0);
    assert_eq!(folder.count(), before.1, "mappings");
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A process that is killed while the kernel writes its core file.

use crate::all_is_freed;
use crate::link::Link;
use ringbar_client::{Mapping, MemoryKind, Rights};
use ringbar_tests::debugfs::{RINGBAR, UNUSED};
use ringbar_tests::{arguments, case, child, core_file, fork, open, page_size, within, PATIENCE};
use std::fs;
use std::io::{stdin, Read};
use std::os::unix::net::{UnixListener, UnixStream};

/// Role of the program that the kernel starts to read a core file.
pub(crate) const READER: &str = "reader";
/// Place where a [`READER`] reports that the core file has begun.
const SOCKET: &str = "/tmp/lives-reader";
/// Bytes that the reader takes first: the list of all mappings is among them.
const BEGINNING: usize = 1 << 16;
/// Bytes of memory that a core file contains: more than the reader takes and the pipe holds.
const BALLAST: usize = 1 << 20;

/// Plays the [`READER`]: takes the beginning, and the rest only when it has its turn.
pub(crate) fn read() {
    let mut core = vec![0; BEGINNING];
    stdin().read_exact(&mut core).expect("the file is longer");
    let link = Link::of(UnixStream::connect(SOCKET).expect("a case waits for it"));
    link.hear();
    stdin().read_to_end(&mut core).expect("the pipe ends");
    fs::write(core_file::PLACE, core).expect("/tmp can be written");
}

/// Makes the kernel start a [`READER`] for each core file. Returns a listener for its report.
fn choose_reader() -> UnixListener {
    // The file of an earlier case must not be taken for the new one.
    core_file::choose_place();
    let _old = fs::remove_file(SOCKET);
    let listener = UnixListener::bind(SOCKET).expect("/tmp can be written");
    listener.set_nonblocking(true).expect("it is a socket");
    let program = std::env::current_exe().expect("procfs is mounted");
    core_file::choose_reader(&format!("{} {} {READER}", program.display(), arguments::AS));
    listener
}

#[case]
fn process_that_is_killed_in_its_core_file_frees_its_objects() {
    let listener = choose_reader();
    let (us, link) = Link::pair();
    let dumping = fork::start(|| {
        let device = open();
        let _queue = device.create_queue(4).unwrap();
        let buffer = device
            .create_buffer(page_size(), Rights::ReadWrite)
            .unwrap();
        let memory = device
            .create_memory(MemoryKind::Vmalloc, page_size())
            .unwrap();
        let ballast = Mapping::anonymous(BALLAST).unwrap();
        ballast.write_bytes(0, &vec![1; BALLAST]);
        let mapped = [buffer.mapping(), memory.mapping()];
        for mapping in mapped {
            mapping.write(0, 1_u8);
        }
        link.tell_words(mapped.map(|mapping| mapping.as_ptr().addr() as u64));
        child::allow_core_file();
        child::crash()
    });
    let mapped: [u64; 2] = us.hear_words();
    let reader = within("the kernel writes a core file", PATIENCE, || {
        listener.accept().ok()
    });
    let reader = Link::of(reader.0);
    // The rest does not fit into the pipe, so the file is still being written.
    assert_ne!(RINGBAR.usage(), UNUSED);
    assert_ne!(RINGBAR.count(), 0);

    dumping.kill();
    dumping.end();

    all_is_freed();
    reader.tell();
    reader.hear_the_end();
    let length = fs::metadata(core_file::PLACE).expect("the reader wrote it");
    let length = length.len() as usize;
    assert!(length < BALLAST, "{length} bytes: the kernel wrote all");
    for address in mapped {
        let bytes = core_file::bytes_of(address as usize);
        assert_eq!(bytes, Some(0), "{address:#x}");
    }
    core_file::choose_place();
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Files of regions that are handed from one server to the next.

use std::fs::File;
use std::io::{IoSlice, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;

use ringbar_endpoint::memory::SharedMemory;
use ringbar_endpoint::passing;
use ringbar_endpoint::region_files::{receive, send, Handed, RegionFiles};
use ringbar_endpoint::Error;
use rustix::fs::{memfd_create, MemfdFlags};

/// Returns the regions and first bytes of the files that arrive.
fn handed_over(files: &[(u32, &File)]) -> Vec<(u32, u8)> {
    let (broker, server) = UnixStream::pair().unwrap();
    let handed: Vec<_> = files
        .iter()
        .map(|&(region, file)| Handed {
            region,
            file: file.as_fd(),
        })
        .collect();
    send(&broker, &handed).unwrap();
    receive(&server)
        .unwrap()
        .into_iter()
        .map(|handed| {
            let mut byte = [0];
            File::from(handed.file).read_exact_at(&mut byte, 0).unwrap();
            (handed.region, byte[0])
        })
        .collect()
}

/// Makes a file that begins with this byte.
fn file(byte: u8) -> File {
    let mut file = File::from(memfd_create("test", MemfdFlags::CLOEXEC).unwrap());
    file.write_all(&[byte]).unwrap();
    file
}

/// Returns the error of a server that gets these bytes.
fn refusal(bytes: &[u8]) -> String {
    let (mut broker, server) = UnixStream::pair().unwrap();
    broker.write_all(bytes).unwrap();
    drop(broker);
    receive(&server).unwrap_err().to_string()
}

#[test]
fn files_arrive_with_their_regions() {
    let (one, two) = (file(1), file(2));

    assert_eq!(handed_over(&[(2, &one), (0, &two)]), [(2, 1), (0, 2)]);
    assert_eq!(handed_over(&[]), []);
}

#[test]
fn closed_connection_means_that_another_server_is_there() {
    assert!(refusal(&[]).contains("another server is connected"));
}

#[test]
fn other_bytes_than_those_of_a_broker_are_refused() {
    assert!(refusal(b"GET / HTTP/1.1\r\n").contains("no broker"));
    assert!(refusal(&[1, 0]).contains("no broker"));
    // A file without a descriptor.
    let one = [1_u32, 1, 0].map(u32::to_ne_bytes).concat();
    assert!(refusal(&one).contains("0 descriptors"));
}

#[test]
fn descriptor_without_a_region_is_refused() {
    let (broker, server) = UnixStream::pair().unwrap();
    let bytes = [1_u32, 1].map(u32::to_ne_bytes).concat();
    let file = file(1);
    passing::send(&broker, &[IoSlice::new(&bytes)], &[file.as_fd()]).unwrap();

    let error = receive(&server).unwrap_err();

    assert!(error.to_string().contains("8 bytes for 1 files"), "{error}");
}

#[test]
fn broker_that_is_not_there_is_named() {
    let error = RegionFiles::from_broker(Path::new("/no/such/broker")).unwrap_err();

    assert!(error.to_string().contains("/no/such/broker"), "{error}");
}

#[test]
fn memory_from_a_broker_is_in_its_file_and_clear() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let listener = UnixListener::bind(&path).unwrap();
    let old = SharedMemory::new("old", 4096).unwrap();
    old.store(8, 7).unwrap();
    let handed = old.file().try_clone().unwrap();
    let broker = thread::spawn(move || {
        let (server, _) = listener.accept().unwrap();
        let files = [Handed {
            region: 2,
            file: handed.as_fd(),
        }];
        send(&server, &files).unwrap();
    });

    let files = RegionFiles::from_broker(&path).unwrap();
    broker.join().unwrap();
    let new = files.memory(2, "new", 4096).unwrap();
    let other = files.memory(0, "other", 4096).unwrap();

    assert_eq!(new.load(8), Some(0));
    new.store(8, 9).unwrap();
    other.store(8, 11).unwrap();
    assert_eq!(old.load(8), Some(9));
    let wrong = files.memory(2, "larger", 8192);
    assert!(matches!(wrong, Err(Error::RegionFile { size: 8192, .. })));
}

#[test]
fn each_device_has_its_own_memory_unless_files_are_kept() {
    let own = RegionFiles::default();
    let kept = RegionFiles::kept();

    let is_shared = |files: &RegionFiles| {
        let [one, two] = [(); 2].map(|()| files.memory(0, "test", 4096).unwrap());
        one.store(0, 7).unwrap();
        two.load(0) == Some(7)
    };

    assert!(!is_shared(&own));
    assert!(is_shared(&kept));
}

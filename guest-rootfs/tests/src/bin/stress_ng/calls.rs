// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The system calls that `stress-ng --dev` makes on the node of a character device that it does not
//! know, and the errors that the driver's README has for them.

use ringbar_tests::raw::RawMapping;
use ringbar_tests::rules::open_node;
use ringbar_tests::{case, page_size, NODE};
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::fs::{fcntl_getfl, fsync, open, seek, Mode, OFlags, SeekFrom};
use rustix::io::{fcntl_getfd, Errno, Result};
use rustix::mm::{MapFlags, ProtFlags};
use rustix::termios::tcgetattr;
use std::fs::File;

const README: &str = include_str!("../../../../../guest-driver/README.md");

/// A call, as the README names it.
type Call = (&'static str, fn(&File) -> Result<()>);

/// All calls, in the order in which `stress-ng` makes them.
const CALLS: &[Call] = &[
    ("ioctl(TCGETS)", |file| tcgetattr(file).map(drop)),
    ("lseek(0, SEEK_SET)", |file| {
        seek(file, SeekFrom::Start(0)).map(drop)
    }),
    ("lseek(0, SEEK_CUR)", |file| {
        seek(file, SeekFrom::Current(0)).map(drop)
    }),
    ("lseek(0, SEEK_END)", |file| {
        seek(file, SeekFrom::End(0)).map(drop)
    }),
    ("poll(POLLIN)", |file| {
        let now = Timespec::default();
        poll(&mut [PollFd::new(file, PollFlags::IN)], Some(&now)).map(drop)
    }),
    ("fcntl(F_GETFD)", |file| fcntl_getfd(file).map(drop)),
    ("fcntl(F_GETFL)", |file| fcntl_getfl(file).map(drop)),
    ("mmap(PROT_READ, MAP_PRIVATE)", |file| {
        map(file, ProtFlags::READ, MapFlags::PRIVATE)
    }),
    ("mmap(PROT_READ, MAP_SHARED)", |file| {
        map(file, ProtFlags::READ, MapFlags::SHARED)
    }),
    ("mmap(PROT_WRITE, MAP_PRIVATE)", |file| {
        map(file, ProtFlags::WRITE, MapFlags::PRIVATE)
    }),
    ("mmap(PROT_WRITE, MAP_SHARED)", |file| {
        map(file, ProtFlags::WRITE, MapFlags::SHARED)
    }),
    ("fsync", |file| fsync(file)),
    ("open(O_DIRECT)", |_| opened(OFlags::DIRECT)),
    ("open(O_NOATIME)", |_| opened(OFlags::NOATIME)),
    ("open(O_SYNC)", |_| opened(OFlags::SYNC)),
];

/// Maps a page at offset 0.
fn map(file: &File, protection: ProtFlags, flags: MapFlags) -> Result<()> {
    RawMapping::new(file, 0, page_size(), protection, flags).map(drop)
}

/// Opens the node another time.
fn opened(flags: OFlags) -> Result<()> {
    open(NODE, flags | OFlags::NONBLOCK, Mode::empty()).map(drop)
}

/// Returns the name that the README has for the end of a call.
fn outcome(ended: Result<()>) -> String {
    match ended {
        Ok(()) => "works".into(),
        Err(Errno::NOTTY) => "ENOTTY".into(),
        Err(Errno::SPIPE) => "ESPIPE".into(),
        Err(Errno::INVAL) => "EINVAL".into(),
        Err(Errno::NXIO) => "ENXIO".into(),
        Err(Errno::ACCESS) => "EACCES".into(),
        Err(other) => other.to_string(),
    }
}

/// Returns the rows of the table: call and end.
fn rows() -> Vec<(&'static str, String)> {
    let lines = README.lines();
    let table = lines.skip_while(|line| *line != "<!-- table: other calls -->");
    let rows = table.skip(3).take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let mut cells = row.trim_matches('|').split('|');
        let mut cell = || cells.next().expect("two cells").trim().trim_matches('`');
        (cell(), cell().to_owned())
    })
    .collect()
}

#[case]
fn each_call_of_stress_ng_ends_as_the_readme_says() {
    // As it opens the node.
    let file = open_node(NODE, true);
    let ended = CALLS
        .iter()
        .map(|(name, call)| (*name, outcome(call(&file))));
    assert_eq!(ended.collect::<Vec<_>>(), rows());
}

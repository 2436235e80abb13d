// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A process at its limit of open files. Alone in its process, as the limit is the process's.

use std::fs::File;
use std::io::{IoSlice, Write};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use ringbar_endpoint::{Connection, Lost};
use ringbar_vfio_user::device::{DmaMap, DmaRange, Interrupts, Region, SetInterrupts};
use ringbar_vfio_user::testing::{set_interrupts, version};
use ringbar_vfio_user::{Device, Errno, Refusal};
use rustix::net::{sendmsg, SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};

/// A device with interrupts, of which none may be connected.
struct Untouched;

impl Device for Untouched {
    type Fd = OwnedFd;

    fn regions(&self) -> &[Region<OwnedFd>] {
        &[]
    }

    fn interrupts(&self) -> &[Interrupts] {
        &[Interrupts { count: 8, flags: 1 }]
    }

    fn read(&mut self, _region: u32, _offset: u64, _data: &mut [u8]) -> Result<(), Errno> {
        unreachable!()
    }

    fn write(&mut self, _region: u32, _offset: u64, _data: &[u8]) -> Result<(), Errno> {
        unreachable!()
    }

    fn dma_map(&mut self, _map: DmaMap<OwnedFd>) -> Result<(), Refusal> {
        unreachable!()
    }

    fn dma_unmap(&mut self, _range: DmaRange) -> Result<(), Refusal> {
        unreachable!()
    }

    fn set_interrupts(&mut self, _request: SetInterrupts<OwnedFd>) -> Result<(), Errno> {
        unreachable!()
    }

    fn reset(&mut self) -> Result<(), Errno> {
        unreachable!()
    }
}

#[test]
fn files_that_get_lost_on_the_way_end_the_connection() {
    let (mut client, server) = UnixStream::pair().unwrap();
    client.write_all(&version("{}")).unwrap();
    let files: Vec<_> = (0..8).map(|_| client.as_fd()).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(&files)));
    let set = set_interrupts(0x24, 0, 0, 8, &[]);
    sendmsg(
        &client,
        &[IoSlice::new(&set)],
        &mut control,
        SendFlags::empty(),
    )
    .unwrap();
    // A server that ignores the loss ends all the same.
    client.shutdown(Shutdown::Write).unwrap();
    let next = File::open("/dev/null").unwrap();
    let limits = getrlimit(Resource::Nofile);
    // Room for four of the eight.
    let room = std::os::fd::AsRawFd::as_raw_fd(&next) as u64 + 4;
    drop(next);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(room),
            ..limits
        },
    )
    .unwrap();

    let result = Connection::new(server).serve(&mut Untouched);

    assert!(matches!(result, Err(Lost::Descriptors)), "{result:?}");
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Messages that wait in the socket when the server begins to receive.

use std::io::{IoSlice, Read};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use ringbar_endpoint::{Connection, Lost};
use ringbar_vfio_user::device::{Data, DmaMap, DmaRange, Interrupts, Region, SetInterrupts};
use ringbar_vfio_user::testing::{
    dma_map, message, region_read, region_write, set_interrupts, version,
};
use ringbar_vfio_user::wire::command::DEVICE_RESET;
use ringbar_vfio_user::{Device, Errno, Refusal};
use rustix::net::{sendmsg, SendAncillaryBuffer, SendAncillaryMessage, SendFlags};

/// A call of the device, with the number of files that came with it.
#[derive(Debug, PartialEq, Eq)]
enum Call {
    Read,
    Write(usize),
    Reset,
    Map(usize),
    Connect(usize),
}

/// A device that notes its calls.
struct Noting {
    calls: Vec<Call>,
    regions: Vec<Region<OwnedFd>>,
}

impl Device for Noting {
    type Fd = OwnedFd;

    fn regions(&self) -> &[Region<OwnedFd>] {
        &self.regions
    }

    fn interrupts(&self) -> &[Interrupts] {
        &[Interrupts { count: 8, flags: 1 }]
    }

    fn read(&mut self, _region: u32, _offset: u64, _data: &mut [u8]) -> Result<(), Errno> {
        self.calls.push(Call::Read);
        Ok(())
    }

    fn write(&mut self, _region: u32, _offset: u64, data: &[u8]) -> Result<(), Errno> {
        self.calls.push(Call::Write(data.len()));
        Ok(())
    }

    fn dma_map(&mut self, map: DmaMap<OwnedFd>) -> Result<(), Refusal> {
        self.calls.push(Call::Map(map.file.iter().count()));
        Ok(())
    }

    fn dma_unmap(&mut self, _range: DmaRange) -> Result<(), Refusal> {
        Ok(())
    }

    fn set_interrupts(&mut self, request: SetInterrupts<OwnedFd>) -> Result<(), Errno> {
        if let Data::Connect(eventfds) = request.data {
            self.calls.push(Call::Connect(eventfds.len()));
        }
        Ok(())
    }

    fn reset(&mut self) -> Result<(), Errno> {
        self.calls.push(Call::Reset);
        Ok(())
    }
}

/// Sends each message with its number of descriptors, one after the other, then ends. Serves them
/// only afterwards. Returns the device's calls.
fn calls(messages: &[(Vec<u8>, usize)]) -> Vec<Call> {
    let (mut client, server) = UnixStream::pair().unwrap();
    let null = std::fs::File::open("/dev/null").unwrap();
    for (bytes, fds) in messages {
        let fds: Vec<BorrowedFd<'_>> = (0..*fds).map(|_| null.as_fd()).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(16))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() {
            assert!(control.push(SendAncillaryMessage::ScmRights(&fds)));
        }
        let whole = [IoSlice::new(bytes)];
        let sent = sendmsg(&client, &whole, &mut control, SendFlags::empty()).unwrap();
        assert_eq!(sent, bytes.len());
    }
    client.shutdown(Shutdown::Write).unwrap();
    let mut device = Noting {
        calls: Vec::new(),
        regions: vec![Region::trapped(4096)],
    };

    let result: Result<(), Lost> = Connection::new(server).serve(&mut device);

    result.unwrap();
    let mut replies = Vec::new();
    client.read_to_end(&mut replies).unwrap();
    assert!(!replies.is_empty());
    device.calls
}

#[test]
fn descriptors_go_to_their_message_and_not_to_a_short_one_before_it() {
    let reset = message(DEVICE_RESET, &[]);
    let seen = calls(&[
        (version("{}"), 0),
        (reset.clone(), 0),
        (dma_map(3, 0, 0, 0x1000), 1),
        (reset.clone(), 0),
        (reset.clone(), 0),
        (set_interrupts(0x24, 0, 0, 4, &[]), 4),
        (region_read(0, 0, 4), 0),
        (dma_map(3, 0, 0x1000, 0x1000), 1),
        (region_write(0, 0, &[1; 4]), 0),
        (set_interrupts(0x24, 0, 0, 2, &[]), 2),
        (reset, 0),
    ]);

    let expected = [
        Call::Reset,
        Call::Map(1),
        Call::Reset,
        Call::Reset,
        Call::Connect(4),
        Call::Read,
        Call::Map(1),
        Call::Write(4),
        Call::Connect(2),
        Call::Reset,
    ];
    assert_eq!(seen, expected);
}

#[test]
fn short_message_with_descriptors_of_its_own_is_refused() {
    let reset = message(DEVICE_RESET, &[]);

    let seen = calls(&[
        (version("{}"), 0),
        (reset.clone(), 1),
        (dma_map(3, 0, 0, 0x1000), 1),
        (reset, 0),
    ]);

    assert_eq!(seen, [Call::Map(1), Call::Reset]);
}

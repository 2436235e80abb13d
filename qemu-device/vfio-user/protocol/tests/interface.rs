// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Uses the interface of version 0.1 as crates elsewhere may. A change that breaks them does not
//! compile here. A new item gets a line; a line is changed only with the second number of the
//! version. Errors and their texts are compared by `make package`.

use ringbar_vfio_user::device::{self, Area, Data, DmaMap, DmaRange, Interrupts, Region};
use ringbar_vfio_user::device::{SetInterrupts, Shared};
use ringbar_vfio_user::incoming::Incoming;
use ringbar_vfio_user::ranges::{RangeFault, Ranges};
use ringbar_vfio_user::refusal::VersionFault;
use ringbar_vfio_user::requests::{Completed, NotSent, Requests, Ticket, Unexpected, MAX_PENDING};
use ringbar_vfio_user::session::{Answer, ClientLimits};
use ringbar_vfio_user::wire::{self, command, Builder, Fields, Header};
use ringbar_vfio_user::{Action, Device, Errno, Refusal, Session, Violation};

/// A device as users write it: a new method without a default would break them.
struct Mine;

impl Device for Mine {
    type Fd = u8;
    fn regions(&self) -> &[Region<u8>] {
        &[]
    }
    fn interrupts(&self) -> &[Interrupts] {
        &[]
    }
    fn read(&mut self, _: u32, _: u64, _: &mut [u8]) -> Result<(), Errno> {
        Ok(())
    }
    fn write(&mut self, _: u32, _: u64, _: &[u8]) -> Result<(), Errno> {
        Ok(())
    }
    fn dma_map(&mut self, _: DmaMap<u8>) -> Result<(), Refusal> {
        Err(Errno::NOMEM.into())
    }
    fn dma_unmap(&mut self, range: DmaRange) -> Result<(), Refusal> {
        Err(RangeFault::Split {
            range,
            other: range,
        }
        .into())
    }
    fn set_interrupts(&mut self, _: SetInterrupts<u8>) -> Result<(), Errno> {
        Ok(())
    }
    fn reset(&mut self) -> Result<(), Errno> {
        Ok(())
    }
}

#[test]
fn functions_of_sessions_keep_their_signatures() {
    let _: fn() -> Session<u8> = Session::new;
    let _: fn() -> Session<u8> = Session::default;
    let _: fn(&Session<u8>) -> usize = Session::wanted;
    let _: fn(&Session<u8>) -> usize = Session::kept;
    let _: fn(&Session<u8>) -> Option<ClientLimits> = Session::client_limits;
    let _: fn(&Session<u8>) -> Result<(), Violation> = Session::end;
    let _: fn(&Refusal) -> Errno = Refusal::errno;
    let _: fn(VersionFault) -> Refusal = Refusal::from;
    let mut session = Session::new();
    let received: Result<(), Violation> = session.receive(&[], [1], &mut Mine, &mut |action| {
        // All of them: a caller must carry out each.
        match action {
            Action::Send { bytes, file } => {
                let _: (&[u8], Option<&u8>) = (bytes, file);
            }
            Action::Answer(Answer { header, payload }) => {
                let _: (Header, &[u8]) = (header, payload);
            }
            Action::Refused { command, refusal } => {
                let _: (u16, &Refusal) = (command, refusal);
            }
        }
    });
    assert_eq!(received, Ok(()));
}

#[test]
fn functions_of_incoming_messages_keep_their_signatures() {
    let _: fn() -> Incoming<u8> = Incoming::new;
    let _: fn() -> Incoming<u8> = Incoming::default;
    let _: fn(&mut Incoming<u8>) = Incoming::clear;
    let _: fn(&mut Incoming<u8>, usize) = Incoming::accept_fds;
    let _: fn(&Incoming<u8>) -> Option<Header> = Incoming::header;
    let _: fn(&Incoming<u8>) -> &[u8] = Incoming::payload;
    let _: fn(&mut Incoming<u8>) -> &mut Vec<u8> = Incoming::fds;
    let _: fn(&Incoming<u8>) -> usize = Incoming::fd_count;
    let _: fn(&Incoming<u8>) -> usize = Incoming::wanted;
    let _: fn(&Incoming<u8>) -> usize = Incoming::kept;
    let _: fn(&Incoming<u8>) -> bool = Incoming::is_empty;
    let _: fn(&Incoming<u8>) -> bool = Incoming::is_complete;
    let _: fn(&Incoming<u8>) -> bool = Incoming::is_too_long;
    let mut incoming = Incoming::new();
    incoming.take_fds([1_u8]);
    let taken: Result<(), Violation> = incoming.take(&mut &[0; 16][..]);
    assert_eq!(taken, Err(Violation::Size(0)));
}

#[test]
fn functions_of_requests_keep_their_signatures() {
    type Request<'a> = Result<(Ticket, &'a [u8]), NotSent>;
    let _: fn(&mut Requests, u64, usize, ClientLimits) -> Request<'_> = Requests::read;
    let _: for<'a> fn(&'a mut Requests, u64, &[u8], ClientLimits) -> Request<'a> = Requests::write;
    let _: fn(&mut Requests, Ticket) = Requests::forget;
    let _: fn(&Requests) -> usize = Requests::pending;
    let mut requests = Requests::default();
    let header = Header::default();
    let payload = &[][..];
    match requests.complete(&Answer { header, payload }) {
        Ok(Completed { ticket, result }) => {
            let _: (Ticket, Result<&[u8], Errno>) = (ticket, result);
        }
        Err(unexpected) => assert_eq!(unexpected, Unexpected::Id(0)),
    }
    let ClientLimits { fds, transfer } = ClientLimits::default();
    assert_eq!((fds, transfer, MAX_PENDING), (1, 1 << 20, 64));
}

#[test]
fn functions_of_ranges_keep_their_signatures() {
    type Found<'a> = Option<(DmaRange, &'a u8)>;
    let _: fn(&Ranges<u8>, DmaRange) -> Result<(), RangeFault> = Ranges::check_new;
    let _: fn(&mut Ranges<u8>, DmaRange, u8) -> Result<(), RangeFault> = Ranges::insert;
    let _: fn(&Ranges<u8>, DmaRange) -> Result<(), RangeFault> = Ranges::check_whole;
    let _: fn(&mut Ranges<u8>, DmaRange) -> Result<Vec<u8>, RangeFault> = Ranges::remove;
    let _: fn(&Ranges<u8>, u64) -> Found<'_> = Ranges::find;
    assert_eq!(Ranges::<u8>::default().iter().count(), 0);
    let _: fn(&Ranges<u8>) -> usize = Ranges::len;
    let _: fn(&Ranges<u8>) -> bool = Ranges::is_empty;
    let _: fn(RangeFault) -> Errno = RangeFault::errno;
    let _: fn(RangeFault) -> Refusal = Refusal::from;
    let _: fn(u64, u64) -> Option<DmaRange> = DmaRange::new;
    let _: fn(u64, u64) -> Option<DmaRange> = DmaRange::up_to_end;
    let _: fn(DmaRange) -> Option<u64> = DmaRange::size;
    let DmaRange { first, last } = DmaRange::ALL;
    assert_eq!(DmaRange { first, last }, DmaRange::ALL);
}

#[test]
fn structures_of_a_device_can_be_made_and_taken_apart() {
    const TRAPPED: Region<u8> = Region::trapped(16);
    let _: fn(&Region<u8>, u64, u64) -> bool = Region::holds;
    let Shared {
        file,
        offset,
        areas,
    } = Region::shared(16, 1_u8, vec![Area { offset: 0, size: 8 }])
        .shared
        .unwrap();
    let shared = Some(Shared {
        file,
        offset,
        areas,
    });
    let made = Region {
        size: TRAPPED.size,
        read: TRAPPED.read,
        write: Region::<u8>::EMPTY.write,
        shared,
    };
    assert!(made.read && !made.write);
    let Interrupts { count, flags } = Interrupts::default();
    assert_eq!(Interrupts { count, flags }, Interrupts::default());
    let map = DmaMap {
        range: DmaRange::ALL,
        read: true,
        write: true,
        file: Some((1_u8, 0_u64)),
    };
    assert!(map.read);
    let request = SetInterrupts {
        index: 0,
        start: 0,
        count: 1,
        action: device::Action::Trigger,
        data: Data::Connect(vec![1_u8]),
    };
    // All of them: a device must carry out each.
    match request.action {
        device::Action::Mask | device::Action::Unmask | device::Action::Trigger => {}
    }
    match request.data {
        Data::Chosen(chosen) => drop::<Vec<bool>>(chosen),
        Data::Connect(files) => drop::<Vec<u8>>(files),
        Data::DisableAll | Data::Each | Data::Disconnect => {}
    }
}

#[test]
fn layout_of_messages_keeps_its_names() {
    let _: fn(&[u8]) -> Option<Header> = Header::parse;
    let _: fn(Header) -> [u8; wire::HEADER_SIZE] = Header::to_bytes;
    let _: fn(&mut Fields<'static>) -> Option<u16> = Fields::u16;
    let _: fn(&mut Fields<'static>) -> Option<u32> = Fields::u32;
    let _: fn(&mut Fields<'static>) -> Option<u64> = Fields::u64;
    let _: fn(Fields<'static>) -> &'static [u8] = Fields::rest;
    let _: fn(&mut Builder) -> &mut Builder = Builder::start;
    let _: fn(&mut Builder, u16) -> &mut Builder = Builder::u16;
    let _: fn(&mut Builder, u32) -> &mut Builder = Builder::u32;
    let _: fn(&mut Builder, u64) -> &mut Builder = Builder::u64;
    let _: for<'a> fn(&'a mut Builder, &[u8]) -> &'a mut Builder = Builder::bytes;
    let _: fn(&mut Builder, usize) -> &mut [u8] = Builder::space;
    let _: fn(&mut Builder, Header) -> &[u8] = Builder::finish;
    let header = Header {
        id: 0,
        command: command::VERSION,
        size: 0,
        flags: wire::TYPE_COMMAND | wire::FLAG_NO_REPLY,
        error: 0,
    };
    assert_eq!(command::Name(header.command).to_string(), "VERSION");
    let numbers = [
        wire::TYPE_MASK,
        wire::TYPE_REPLY,
        wire::FLAG_ERROR,
        wire::DMA_MAP_FLAG_MMAP,
        wire::DMA_MAP_FLAG_FILE_IO,
    ];
    assert_eq!(numbers, [0xf, 1, 1 << 5, 1 << 2, 1 << 3]);
    let limits = [
        wire::MAX_TRANSFER,
        wire::MAX_MESSAGE,
        wire::MAX_FDS,
        wire::KERNEL_MAX_FDS,
        wire::MAX_DMA_MAPS,
        wire::PAGE_SIZE as usize,
    ];
    assert_eq!(limits, [1 << 20, (1 << 20) + 32, 16, 253, 65_535, 4096]);
    let commands = [
        command::VERSION,
        command::DMA_MAP,
        command::DMA_UNMAP,
        command::DEVICE_GET_INFO,
        command::DEVICE_GET_REGION_INFO,
        command::DEVICE_GET_REGION_IO_FDS,
        command::DEVICE_GET_IRQ_INFO,
        command::DEVICE_SET_IRQS,
        command::REGION_READ,
        command::REGION_WRITE,
        command::DMA_READ,
        command::DMA_WRITE,
        command::DEVICE_RESET,
        command::DIRTY_PAGES,
        command::REGION_WRITE_MULTI,
        command::DEVICE_FEATURE,
        command::MIG_DATA_READ,
        command::MIG_DATA_WRITE,
    ];
    assert!(commands.into_iter().eq(1..=18));
}

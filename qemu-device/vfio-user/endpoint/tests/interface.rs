// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Uses the interface of version 0.1 as crates elsewhere may. A change that breaks them does not
//! compile here. A new item gets a line; a line is changed only with the second number of the
//! version. Errors and their texts are compared by `make package`.

use std::fmt::Arguments;
use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use ringbar_endpoint::config_space::{self, Bar, ConfigEffects, ConfigSpace, Identity, Messages};
use ringbar_endpoint::dma::{Access, DmaMap, Rights, Unreachable};
use ringbar_endpoint::function::{Next, Trapped};
use ringbar_endpoint::interrupts::Vectors;
use ringbar_endpoint::memory::{SharedMemory, VolatileSlice};
use ringbar_endpoint::passing::{self, Received};
use ringbar_endpoint::protocol::device::{Area, DmaRange, Interrupts, SetInterrupts};
use ringbar_endpoint::protocol::{Device, Errno};
use ringbar_endpoint::region_files::{self, Handed, RegionFiles};
use ringbar_endpoint::shape::{Backing, BarShape};
use ringbar_endpoint::socket::{Socket, SocketError};
use ringbar_endpoint::{client_log, Bus, ClientMemory, Connection, Endpoint, Error, Function};
use ringbar_endpoint::{Lost, Shape, ShapeFault, Work, Worker};

/// A function as users write it: a new method without a default would break them.
struct Mine;

impl Function for Mine {
    fn read(&mut self, _: u32, _: u64, _: &mut [u8], _: &mut Bus) {}
    fn write(&mut self, _: u32, _: u64, _: &[u8], _: &mut Bus) {}
    fn reset(&mut self, _: &mut Bus) {}
    fn set_bus_master(&mut self, _: bool, _: &mut Bus) {}
    fn note(&self, access: &Trapped<'_>) {
        let Trapped {
            write,
            region,
            offset,
            data,
        } = *access;
        let _: (bool, u32, u64, &[u8]) = (write, region, offset, data);
    }
}

impl Work for Mine {
    fn work(&mut self, _: &mut Bus) -> Next {
        [Next::Now, Next::Yield, Next::At(Instant::now()), Next::Wait][3]
    }
    fn has_work(&self) -> bool {
        false
    }
}

#[test]
fn functions_of_endpoints_keep_their_signatures() {
    fn served(_: &mut impl Device<Fd = OwnedFd>) {}
    let _: fn(ShapeFault) -> Error = Error::Shape;
    let _: fn(Mine, Shape) -> Result<Endpoint<Mine>, Error> = Endpoint::new;
    let _: fn(&Endpoint<Mine>) -> &Mine = Endpoint::function;
    let _: fn(Endpoint<Mine>) -> Result<Worker<Mine>, Error> = Worker::start;
    let _: fn(&mut Endpoint<Mine>) = served;
    let _: fn(&mut Worker<Mine>) = served;
    let _: fn(&Bus, u64, &mut [u8]) -> Result<(), Unreachable> = Bus::read;
    let _: fn(&Bus, u64, &[u8]) -> Result<(), Unreachable> = Bus::write;
    let _: fn(&Bus) -> Option<&DmaMap> = Bus::memory;
    let _: fn(&mut Bus, usize) = Bus::interrupt;
    let shape = Shape {
        identity: Identity {
            vendor: 1,
            device: 2,
            class: 3,
            revision: 4,
        },
        bars: vec![BarShape {
            index: 0,
            backing: Backing::Trapped(4096),
        }],
        messages: Messages::Msi { vectors: 1 },
    };
    let mut endpoint = Endpoint::new(Mine, shape).unwrap();
    let one: u8 = endpoint.run(|_: &mut Mine, _: &mut Bus| 1);
    let worker = Worker::start(endpoint).unwrap();
    let two: u8 = worker.with(|_: &mut Endpoint<Mine>| 2);
    assert_eq!((one, two), (1, 2));
}

#[test]
fn functions_of_connections_keep_their_signatures() {
    type Thread = io::Result<JoinHandle<u8>>;
    type Job = fn(ClientMemory) -> u8;
    let _: fn(UnixStream) -> Connection = Connection::new;
    let _: fn(&Connection, &str, Job) -> Thread = Connection::spawn;
    let _: fn(Connection, &mut Endpoint<Mine>) -> Result<(), Lost> = Connection::serve;
    let _: fn(&ClientMemory, u64, &mut [u8]) -> Result<(), Errno> = ClientMemory::read;
    let _: fn(&ClientMemory, u64, &[u8]) -> Result<(), Errno> = ClientMemory::write;
    let _: fn(&str, log::Level, Arguments<'_>) = client_log::note;
}

#[test]
fn functions_of_sockets_keep_their_signatures() {
    type Sent = Result<usize, Errno>;
    let _: fn(&UnixStream, &mut [u8]) -> Result<Received, Errno> = passing::receive;
    let _: fn(&UnixStream, &[IoSlice<'_>], &[BorrowedFd<'_>]) -> Sent = passing::send;
    let (mine, other) = UnixStream::pair().unwrap();
    drop(other);
    let Received {
        length,
        fds,
        incomplete,
    } = passing::receive(&mine, &mut [0]).unwrap();
    assert_eq!((length, fds.len(), incomplete), (0, 0, false));
}

#[test]
fn functions_of_region_files_keep_their_signatures() {
    type Memory = Result<SharedMemory, Error>;
    let _: fn() -> RegionFiles = RegionFiles::default;
    let _: fn() -> RegionFiles = RegionFiles::kept;
    let _: fn(&Path) -> Result<RegionFiles, Error> = RegionFiles::from_broker;
    let _: fn(&RegionFiles, u32, &'static str, usize) -> Memory = RegionFiles::memory;
    let _: fn(&UnixStream, &[Handed<BorrowedFd<'_>>]) -> io::Result<()> = region_files::send;
    let _: fn(&UnixStream) -> io::Result<Vec<Handed<OwnedFd>>> = region_files::receive;
    let Handed { region, file } = Handed { region: 1, file: 2 };
    assert_eq!((region, file), (1, 2));
}

#[test]
fn functions_of_listening_sockets_keep_their_signatures() {
    let _: fn(&Path) -> Result<Socket, SocketError> = Socket::bind;
    let _: fn(&Socket) -> Result<(), SocketError> = Socket::listen;
    let _: fn(&Socket) -> io::Result<UnixStream> = Socket::accept;
    let _: fn(&Socket) -> io::Result<()> = Socket::set_nonblocking;
    let _: fn(&Socket) -> &Path = Socket::path;
    let _: fn(&mut Socket) = Socket::leave_file;
    let _: fn(&Socket) -> BorrowedFd<'_> = AsFd::as_fd;
}

#[test]
fn functions_of_memory_keep_their_signatures() {
    type Place = Option<(File, u64)>;
    type Slice<'a> = Option<VolatileSlice<'a>>;
    type Copied = Result<(), Unreachable>;
    let _: fn(&'static str, usize) -> Result<SharedMemory, Error> = SharedMemory::new;
    let _: fn(&SharedMemory) -> &File = SharedMemory::file;
    let _: fn(&SharedMemory) -> usize = SharedMemory::size;
    let _: fn(&SharedMemory, u64, usize) -> Slice<'_> = SharedMemory::slice;
    let _: fn(&SharedMemory, usize) -> Option<u32> = SharedMemory::load;
    let _: fn(&SharedMemory, usize, u32) -> Option<()> = SharedMemory::store;
    let _: fn() -> DmaMap = DmaMap::new;
    let _: fn(&mut DmaMap, DmaRange, Rights, Place) -> Result<(), Error> = DmaMap::map;
    let _: fn(&mut DmaMap, DmaRange) -> Result<usize, Error> = DmaMap::unmap;
    let _: fn(&DmaMap) -> usize = DmaMap::len;
    let _: fn(&DmaMap) -> bool = DmaMap::is_empty;
    let _: fn(&DmaMap) -> usize = DmaMap::files;
    let _: fn(&DmaMap, u64, u64, Access) -> bool = DmaMap::reaches;
    let _: fn(&DmaMap, u64, u64, Access) -> Option<u64> = DmaMap::gap;
    let _: fn(&DmaMap, u64, usize, Access) -> Slice<'_> = DmaMap::stretch;
    let _: fn(&DmaMap, u64, usize, Access) -> Slice<'_> = DmaMap::stretch_back;
    let _: fn(&DmaMap, u64, &mut [u8]) -> Copied = DmaMap::read;
    let _: fn(&DmaMap, u64, &[u8]) -> Copied = DmaMap::write;
    let _: fn(&DmaMap, u64, VolatileSlice<'_>) -> Copied = DmaMap::copy_out;
    let _: fn(&DmaMap, VolatileSlice<'_>, u64) -> Copied = DmaMap::copy_in;
    let _: fn(&DmaMap, u64, u64, usize) -> Copied = DmaMap::copy;
    let Rights { read, write } = Rights::READ_WRITE;
    assert_eq!(Rights { read, write }, Rights::READ_WRITE);
    match Access::Read {
        Access::Read | Access::Write => {}
    }
}

#[test]
fn functions_of_interrupts_and_configuration_space_keep_their_signatures() {
    let _: fn(u32, u16) -> Vectors = Vectors::new;
    let _: fn(&Vectors) -> Vec<Interrupts> = Vectors::types;
    let _: fn(&mut Vectors, SetInterrupts<OwnedFd>) -> Result<(), Errno> = Vectors::set;
    let _: fn(&mut Vectors, usize) = Vectors::raise;
    let _: fn(&mut Vectors, bool) = Vectors::set_msix;
    let _: fn(&Vectors, usize, &mut [u8]) = Vectors::read_pending;
    let _: fn(Identity, &[Bar], Messages) -> ConfigSpace = ConfigSpace::new;
    let _: fn(&ConfigSpace, u64, &mut [u8]) = ConfigSpace::read;
    let _: fn(&mut ConfigSpace, u64, &[u8]) -> ConfigEffects = ConfigSpace::write;
    let _: fn(&mut ConfigSpace) = ConfigSpace::reset;
    let _: fn(&ConfigSpace) -> bool = ConfigSpace::bus_master;
    let ConfigEffects {
        bus_master,
        function_reset,
    } = ConfigEffects::default();
    assert_eq!((bus_master, function_reset), (None, false));
    let offsets = [
        config_space::COMMAND,
        config_space::BARS,
        config_space::CAPABILITIES,
        config_space::EXPRESS,
        config_space::DEVICE_CONTROL,
        config_space::POWER,
        config_space::POWER_CONTROL,
        config_space::INTERRUPTS,
        config_space::SIZE,
    ];
    assert!(offsets.is_sorted());
    let bits = [
        config_space::COMMAND_MEMORY,
        config_space::COMMAND_BUS_MASTER,
        config_space::FUNCTION_RESET,
        config_space::MSI_VECTORS,
    ];
    assert_eq!(
        (bits, config_space::REGION),
        ([1 << 1, 1 << 2, 1 << 15, 32], 7)
    );
}

#[test]
fn parts_of_a_shape_can_be_made() {
    let memory = Arc::new(SharedMemory::new("interface", 4096).unwrap());
    let area = Area {
        offset: 0,
        size: 4096,
    };
    let backings = [
        Backing::Trapped(16),
        Backing::Memory(Arc::clone(&memory)),
        Backing::Parts(memory, vec![area]),
        Backing::Messages(4096),
    ];
    let bar = Bar {
        index: 0,
        size: 16,
        wide: false,
    };
    let messages = Messages::MsiX {
        vectors: 1,
        bar: bar.index,
        table: 0,
        pending: 2048,
    };
    assert!(backings.len() == 4 && messages != Messages::Msi { vectors: 1 });
}

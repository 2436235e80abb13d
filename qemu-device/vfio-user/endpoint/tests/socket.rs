// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A device over a real socket, with a client that sends exactly the bytes of a test.

use std::fs::File;
use std::io::{IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{channel, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ringbar_endpoint::{ClientMemory, Connection, Lost};
use ringbar_vfio_user::device::{Area, Data, DmaMap, DmaRange, Interrupts, Region, SetInterrupts};
use ringbar_vfio_user::requests::MAX_PENDING;
use ringbar_vfio_user::testing::{
    dma_map, message, region_info, region_read, region_write, set_interrupts, version, with_header,
    VERSION_TEXT,
};
use ringbar_vfio_user::wire::{command, Header, FLAG_ERROR, FLAG_NO_REPLY, TYPE_REPLY};
use ringbar_vfio_user::{Device, Errno, Refusal, Violation};
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::fs::{memfd_create, MemfdFlags};
use rustix::io::{fcntl_getfd, FdFlags};
use rustix::net::{
    sendmsg, socket, AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    SocketType,
};

/// A region of 4 KiB of which half can be mapped, and four interrupts. Passes its calls on to the
/// test.
struct Plain {
    regions: Vec<Region<OwnedFd>>,
    given: Sender<Vec<OwnedFd>>,
    memory: [u8; 4096],
}

impl Device for Plain {
    type Fd = OwnedFd;

    fn regions(&self) -> &[Region<OwnedFd>] {
        &self.regions
    }

    fn interrupts(&self) -> &[Interrupts] {
        &[Interrupts {
            count: 16,
            flags: 1,
        }]
    }

    fn read(&mut self, _region: u32, offset: u64, data: &mut [u8]) -> Result<(), Errno> {
        let offset = offset as usize;
        data.copy_from_slice(&self.memory[offset..offset + data.len()]);
        Ok(())
    }

    fn write(&mut self, _region: u32, offset: u64, data: &[u8]) -> Result<(), Errno> {
        let offset = offset as usize;
        self.memory[offset..offset + data.len()].copy_from_slice(data);
        Ok(())
    }

    fn dma_map(&mut self, map: DmaMap<OwnedFd>) -> Result<(), Refusal> {
        let files = map.file.into_iter().map(|(file, _)| file).collect();
        Ok(self.given.send(files).map_err(|_| Errno::IO)?)
    }

    fn dma_unmap(&mut self, _range: DmaRange) -> Result<(), Refusal> {
        Ok(())
    }

    fn set_interrupts(&mut self, request: SetInterrupts<OwnedFd>) -> Result<(), Errno> {
        match request.data {
            Data::Connect(eventfds) => self.given.send(eventfds).map_err(|_| Errno::IO),
            _ => Ok(()),
        }
    }

    fn reset(&mut self) -> Result<(), Errno> {
        Ok(())
    }
}

/// Time after which an event counts as never coming.
const PATIENCE: Duration = Duration::from_secs(60);

/// A client, and its server on a thread.
struct Peer {
    socket: UnixStream,
    given: Receiver<Vec<OwnedFd>>,
    server: JoinHandle<Result<(), Lost>>,
}

impl Peer {
    fn start() -> Self {
        Self::with_worker(|_| ())
    }

    /// Makes a client that has negotiated, and a thread of the device beside it.
    fn with_worker(work: impl FnOnce(ClientMemory) + Clone + Send + 'static) -> Self {
        Self::with(None, 1, work)
    }

    /// Makes a client that must take each message within a time.
    fn with_send_time(limit: Duration) -> Self {
        Self::with(Some(limit), 1, |_| ())
    }

    fn with(
        send_time: Option<Duration>,
        workers: usize,
        work: impl FnOnce(ClientMemory) + Clone + Send + 'static,
    ) -> Self {
        let (socket, other) = UnixStream::pair().unwrap();
        other.set_write_timeout(send_time).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let (sender, given) = channel();
        let file = OwnedFd::from(memory_file(b"shared memory"));
        let area = Area {
            offset: 0x800,
            size: 0x800,
        };
        let mut device = Plain {
            regions: vec![Region::shared(4096, file, vec![area])],
            given: sender,
            memory: [0; 4096],
        };
        let server = thread::spawn(move || {
            let connection = Connection::new(other);
            let workers: Vec<_> = (0..workers)
                .map(|_| connection.spawn("worker", work.clone()).unwrap())
                .collect();
            let result = connection.serve(&mut device);
            for worker in workers {
                worker.join().unwrap();
            }
            result
        });
        let mut peer = Self {
            socket,
            given,
            server,
        };
        peer.send(&version(VERSION_TEXT));
        assert_eq!(peer.reply().0.flags, TYPE_REPLY);
        peer
    }

    fn send(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).unwrap();
    }

    fn send_with(&self, bytes: &[u8], files: &[BorrowedFd<'_>]) -> rustix::io::Result<usize> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        assert!(control.push(SendAncillaryMessage::ScmRights(files)));
        sendmsg(
            &self.socket,
            &[IoSlice::new(bytes)],
            &mut control,
            SendFlags::NOSIGNAL,
        )
    }

    /// Returns the next message: a reply, or a request of the server.
    fn reply(&mut self) -> (Header, Vec<u8>) {
        let mut header = [0; 16];
        self.socket.read_exact(&mut header).unwrap();
        let header = Header::parse(&header).unwrap();
        let mut payload = vec![0; header.size as usize - 16];
        self.socket.read_exact(&mut payload).unwrap();
        (header, payload)
    }

    fn error_of_reply(&mut self) -> u32 {
        self.reply().0.error
    }

    /// Ends the client's sending. Returns the server's outcome.
    fn end(self) -> Result<(), Lost> {
        self.socket.shutdown(Shutdown::Both).unwrap();
        end(self.server)
    }
}

/// Returns the server's outcome. Fails the test if the server does not end.
fn end(server: JoinHandle<Result<(), Lost>>) -> Result<(), Lost> {
    let start = Instant::now();
    while !server.is_finished() {
        assert!(start.elapsed() < PATIENCE, "the server does not end");
        thread::sleep(Duration::from_millis(1));
    }
    server.join().unwrap()
}

fn memory_file(bytes: &[u8]) -> File {
    let file = File::from(memfd_create("test", MemfdFlags::CLOEXEC).unwrap());
    file.write_all_at(bytes, 0).unwrap();
    file
}

fn inode(fd: &OwnedFd) -> u64 {
    File::from(fd.try_clone().unwrap())
        .metadata()
        .unwrap()
        .ino()
}

/// Returns the 16 bytes of a DMA message before its data.
fn dma_fields(address: u64, count: u64) -> Vec<u8> {
    [address, count].map(u64::to_ne_bytes).concat()
}

#[test]
fn written_bytes_are_read() {
    let mut peer = Peer::start();

    peer.send(&region_write(0, 8, &[1, 2, 3, 4]));
    assert_eq!(peer.error_of_reply(), 0);
    peer.send(&region_read(0, 8, 4));

    assert_eq!(peer.reply().1[16..], [1, 2, 3, 4]);
    assert!(peer.end().is_ok());
}

#[test]
fn reply_is_one_piece() {
    use rustix::net::{recv, RecvFlags};
    let mut peer = Peer::start();
    peer.send(&region_read(0, 0, 4096));
    let mut buffer = [MaybeUninit::uninit(); 8192];

    let ((bytes, _), _) = recv(&peer.socket, &mut buffer[..], RecvFlags::empty()).unwrap();

    assert_eq!(bytes.len(), 16 + 16 + 4096);
}

#[test]
fn file_of_a_region_arrives() {
    let mut peer = Peer::start();
    peer.send(&region_info(4096, 0));

    let (files, length) = receive_files(&peer.socket);

    assert_eq!((files.len(), length), (1, 16 + 64));
    let mut text = [0; 13];
    File::from(files.into_iter().next().unwrap())
        .read_exact_at(&mut text, 0)
        .unwrap();
    assert_eq!(&text, b"shared memory");
}

fn receive_files(socket: &UnixStream) -> (Vec<OwnedFd>, usize) {
    use rustix::net::{recvmsg, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
    let mut space = [MaybeUninit::uninit(); 256];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut bytes = [0; 4096];
    let message = recvmsg(
        socket,
        &mut [std::io::IoSliceMut::new(&mut bytes)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )
    .unwrap();
    let files = control
        .drain()
        .flat_map(|part| match part {
            RecvAncillaryMessage::ScmRights(files) => files.collect(),
            _ => Vec::new(),
        })
        .collect();
    (files, message.bytes)
}

#[test]
fn files_of_the_client_arrive_in_order_and_are_not_inherited() {
    let mut peer = Peer::start();
    let files: Vec<OwnedFd> = (0..16).map(|_| memory_file(b"").into()).collect();
    let lent: Vec<BorrowedFd<'_>> = files.iter().map(AsFd::as_fd).collect();

    let set = set_interrupts(0x24, 0, 0, 16, &[]);
    peer.send_with(&set, &lent).unwrap();

    assert_eq!(peer.error_of_reply(), 0);
    let given = peer.given.recv_timeout(PATIENCE).unwrap();
    let inodes = |fds: &[OwnedFd]| fds.iter().map(inode).collect::<Vec<_>>();
    assert_eq!(inodes(&given), inodes(&files));
    assert!(given
        .iter()
        .all(|fd| fcntl_getfd(fd).unwrap().contains(FdFlags::CLOEXEC)));
}

#[test]
fn each_file_goes_to_its_own_message_however_they_queue_up() {
    let mut peer = Peer::start();
    let files: Vec<OwnedFd> = (0..8).map(|_| memory_file(b"").into()).collect();

    // The server may have begun none of these or any of them when the last one is sent.
    for (index, file) in (0..).zip(&files) {
        let mut without = dma_map(1, 0, index * 0x4000, 0x1000);
        without[8..12].copy_from_slice(&FLAG_NO_REPLY.to_ne_bytes());
        peer.send(&without);
        let with = dma_map(1, 0, index * 0x4000 + 0x1000, 0x1000);
        peer.send_with(&with, &[file.as_fd()]).unwrap();
    }

    for file in &files {
        assert_eq!(peer.error_of_reply(), 0);
        assert!(peer.given.recv_timeout(PATIENCE).unwrap().is_empty());
        let given = peer.given.recv_timeout(PATIENCE).unwrap();
        assert_eq!(inode(&given[0]), inode(file));
    }
}

#[test]
fn as_many_files_as_the_kernel_lets_through_are_refused_and_closed() {
    let mut peer = Peer::start();
    let (reading, writing) = std::io::pipe().unwrap();
    let lent = vec![writing.as_fd(); 253];

    for _ in 0..20 {
        let set = set_interrupts(0x24, 0, 0, 16, &[]);
        peer.send_with(&set, &lent).unwrap();
        assert_eq!(peer.error_of_reply(), 22);
    }

    drop(writing);
    // The pipe ends only if no process holds its other end any more.
    let mut polled = [PollFd::new(&reading, PollFlags::IN)];
    let patience = Timespec::try_from(PATIENCE).unwrap();
    assert_eq!(poll(&mut polled, Some(&patience)).unwrap(), 1, "still open");
    assert_eq!((&reading).read(&mut [0]).unwrap(), 0);
}

#[test]
fn socket_that_comes_with_a_message_counts_as_not_sent() {
    let mut peer = Peer::start();
    let (socket, _other) = UnixStream::pair().unwrap();
    let file = memory_file(b"");

    let set = set_interrupts(0x24, 0, 0, 2, &[]);
    peer.send_with(&set, &[file.as_fd(), socket.as_fd()])
        .unwrap();

    assert_eq!(peer.error_of_reply(), 22);
    assert!(peer.given.try_recv().is_err());
}

#[test]
fn client_that_goes_and_lent_its_socket_in_mid_message_ends_the_server() {
    let peer = Peer::start();
    let part = &dma_map(1, 0, 0, 0x1000)[..20];
    peer.send_with(part, &[peer.socket.as_fd()]).unwrap();
    let Peer { socket, server, .. } = peer;
    drop(socket);

    assert!(end(server).is_ok());
}

#[test]
fn client_that_takes_nothing_until_the_time_limit_is_dropped() {
    let mut peer = Peer::with_send_time(Duration::from_millis(10));
    peer.socket.set_write_timeout(Some(PATIENCE)).unwrap();

    while peer.socket.write_all(&region_read(0, 0, 4096)).is_ok() {}

    let result = end(peer.server);
    assert!(matches!(result, Err(Lost::NotTaken)), "{result:?}");
}

#[test]
fn client_that_goes_ends_the_server_without_an_error() {
    assert!(Peer::start().end().is_ok());
}

#[test]
fn client_that_goes_in_mid_message_ends_the_server_without_an_error() {
    let mut peer = Peer::start();
    peer.send(&region_read(0, 0, 4)[..20]);

    assert!(peer.end().is_ok());
}

#[test]
fn client_that_goes_with_replies_unread_ends_the_server_without_an_error() {
    let mut peer = Peer::start();
    for _ in 0..100 {
        peer.send(&region_read(0, 0, 4096));
    }
    let Peer { socket, server, .. } = peer;
    drop(socket);

    assert!(end(server).is_ok());
}

#[test]
fn violation_closes_the_connection() {
    let mut peer = Peer::start();
    let header = Header {
        size: 3,
        ..Header::default()
    };
    peer.send(&header.to_bytes());

    assert_eq!(peer.socket.read(&mut [0]).unwrap(), 0);
    let result = end(peer.server);
    assert!(matches!(result, Err(Lost::Violation(Violation::Size(3)))));
}

#[test]
fn any_number_of_refusals_leaves_the_stream_in_step() {
    let mut peer = Peer::start();

    for command in 0..2000 {
        peer.send(&message(100 + command, &[0xff; 32]));
        let (header, payload) = peer.reply();
        assert_eq!(header.flags, TYPE_REPLY | FLAG_ERROR);
        assert_eq!((header.error, payload.len()), (95, 0));
    }

    assert!(peer.end().is_ok());
}

#[test]
fn worker_reads_memory_of_the_client() {
    let (sender, result) = channel();
    let mut peer = Peer::with_worker(move |memory| {
        let mut data = [0; 4];
        let result = wait_for_client(|| memory.read(0x1000, &mut data));
        sender.send(result.map(|()| data)).unwrap();
    });

    let (asked, payload) = peer.reply();
    assert_eq!((asked.command, asked.flags), (command::DMA_READ, 0));
    assert_eq!(payload, dma_fields(0x1000, 4));
    let answer = Header {
        flags: TYPE_REPLY,
        ..asked
    };
    let payload = [dma_fields(0x1000, 4), vec![1, 2, 3, 4]].concat();
    peer.send(&with_header(answer, &payload));

    assert_eq!(result.recv_timeout(PATIENCE).unwrap(), Ok([1, 2, 3, 4]));
    assert!(peer.end().is_ok());
}

/// Repeats an access of a worker until the client has negotiated.
fn wait_for_client(mut access: impl FnMut() -> Result<(), Errno>) -> Result<(), Errno> {
    loop {
        match access() {
            Err(Errno::NOTCONN) => thread::yield_now(),
            other => return other,
        }
    }
}

#[test]
fn client_may_ask_while_a_worker_waits() {
    let (sender, result) = channel();
    let mut peer = Peer::with_worker(move |memory| {
        let result = wait_for_client(|| memory.write(0x2000, &[7; 8]));
        sender.send(result).unwrap();
    });
    let (asked, _) = peer.reply();

    peer.send(&region_read(0, 0, 4));
    assert_eq!(peer.reply().0.command, command::REGION_READ);
    let answer = Header {
        flags: TYPE_REPLY,
        ..asked
    };
    peer.send(&with_header(answer, &dma_fields(0x2000, 8)));

    assert_eq!(result.recv_timeout(PATIENCE).unwrap(), Ok(()));
}

#[test]
fn long_access_is_cut_into_transfers() {
    let (sender, result) = channel();
    let mut peer = Peer::with_worker(move |memory| {
        let data = vec![9; (1 << 20) + 16];
        sender
            .send(wait_for_client(|| memory.write(0x1000, &data)))
            .unwrap();
    });

    for (address, count) in [(0x1000, 1 << 20), (0x10_1000, 16)] {
        let (asked, payload) = peer.reply();
        assert_eq!(payload[..16], dma_fields(address, count));
        assert_eq!(payload.len(), 16 + count as usize);
        let answer = Header {
            flags: TYPE_REPLY,
            ..asked
        };
        peer.send(&with_header(answer, &dma_fields(address, count)));
    }

    assert_eq!(result.recv_timeout(PATIENCE).unwrap(), Ok(()));
}

#[test]
fn long_read_is_cut_into_answers_that_qemu_sends_whole() {
    let (sender, result) = channel();
    let mut peer = Peer::with_worker(move |memory| {
        let mut data = vec![0; (64 << 10) + 16];
        sender
            .send(wait_for_client(|| memory.read(0x1000, &mut data)))
            .unwrap();
    });

    for (address, count) in [(0x1000, 64 << 10), (0x1_1000, 16)] {
        let (asked, payload) = peer.reply();
        assert_eq!(payload, dma_fields(address, count));
        let answer = Header {
            flags: TYPE_REPLY,
            ..asked
        };
        let data = vec![5; count as usize];
        peer.send(&with_header(
            answer,
            &[dma_fields(address, count), data].concat(),
        ));
    }

    assert_eq!(result.recv_timeout(PATIENCE).unwrap(), Ok(()));
}

#[test]
fn error_of_the_client_reaches_the_worker() {
    let (sender, result) = channel();
    let mut peer = Peer::with_worker(move |memory| {
        sender
            .send(wait_for_client(|| memory.read(0, &mut [0; 4])))
            .unwrap();
    });
    let (asked, _) = peer.reply();
    let answer = Header {
        flags: TYPE_REPLY | FLAG_ERROR,
        error: 14,
        ..asked
    };
    peer.send(&with_header(answer, &[]));

    assert_eq!(result.recv_timeout(PATIENCE).unwrap(), Err(Errno::FAULT));
}

#[test]
fn client_that_goes_wakes_the_worker() {
    let (sender, result) = channel();
    let mut peer = Peer::with_worker(move |memory| {
        sender
            .send(wait_for_client(|| memory.read(0, &mut [0; 4])))
            .unwrap();
    });
    peer.reply();

    assert!(peer.end().is_ok());
    assert_eq!(result.recv_timeout(PATIENCE).unwrap(), Err(Errno::PIPE));
}

#[test]
fn client_that_goes_wakes_workers_that_wait_for_their_turn() {
    let (sender, result) = channel();
    let mut peer = Peer::with(None, MAX_PENDING + 1, move |memory| {
        sender
            .send(wait_for_client(|| memory.read(0, &mut [0; 4])))
            .unwrap();
    });
    for _ in 0..MAX_PENDING {
        peer.reply();
    }

    assert!(peer.end().is_ok());
    for _ in 0..=MAX_PENDING {
        assert_eq!(result.recv_timeout(PATIENCE).unwrap(), Err(Errno::PIPE));
    }
}

#[test]
fn request_that_is_sent_in_part_only_ends_the_connection() {
    let (sender, result) = channel();
    let peer = Peer::with(Some(Duration::from_millis(10)), 1, move |memory| {
        let data = vec![9; 1 << 20];
        sender
            .send(wait_for_client(|| memory.write(0x1000, &data)))
            .unwrap();
    });

    assert_eq!(result.recv_timeout(PATIENCE).unwrap(), Err(Errno::PIPE));
    assert!(end(peer.server).is_ok());
}

#[test]
fn unrequested_answer_changes_nothing() {
    let mut peer = Peer::start();
    let answer = Header {
        id: 3,
        command: command::DMA_READ,
        flags: TYPE_REPLY,
        ..Header::default()
    };
    peer.send(&with_header(answer, &[0; 100]));

    peer.send(&region_read(0, 0, 4));

    assert_eq!(peer.error_of_reply(), 0);
}

#[test]
fn socket_that_fails_is_an_error_and_no_hang_up() {
    let unconnected = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    let (given, _received) = channel();
    let mut device = Plain {
        regions: Vec::new(),
        given,
        memory: [0; 4096],
    };

    let ended = Connection::new(unconnected.into()).serve(&mut device);

    assert!(matches!(ended, Err(Lost::Socket(_))), "{ended:?}");
}

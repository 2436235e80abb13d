// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The server of the example `sum`, which knows nothing of a broker, is replaced by another one.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use ringbar_endpoint::config_space::{COMMAND, COMMAND_BUS_MASTER};
use ringbar_endpoint::{Connection, Lost};
use ringbar_example_sum::Sum;
use ringbar_vfio_user::testing::{dma_map, region_read, region_write, set_interrupts};
use rustix::event::{eventfd, EventfdFlags};
use rustix::fs::{fcntl_add_seals, ftruncate, memfd_create, MemfdFlags, SealFlags};

use crate::{Bench, PATIENCE};

const CONFIG: u32 = 7;
const MSI: u32 = 1;
const CONNECT: u32 = 0x24;
const BASE: u64 = 0x1_0000_0000;
const SIZE: u64 = 1 << 20;
const ADDRESS_LOW: u64 = 0x00;
const ADDRESS_HIGH: u64 = 0x04;
const LENGTH: u64 = 0x08;
const START: u64 = 0x0c;
const SUM: u64 = 0x10;
const STATUS: u64 = 0x14;
/// Statuses of a run.
const NONE_YET: u32 = 0;
const DONE: u32 = 1;

/// A server that serves one client.
struct Server {
    thread: JoinHandle<Result<(), Lost>>,
    socket: UnixStream,
}

impl Server {
    /// Starts a server for the next client, and waits for it.
    fn accept(listener: &UnixListener) -> Self {
        let (client, _address) = listener.accept().unwrap();
        let socket = client.try_clone().unwrap();
        let serve = move || Connection::new(client).serve(&mut Sum::endpoint().unwrap());
        Self {
            thread: thread::spawn(serve),
            socket,
        }
    }

    /// Ends the server.
    fn end(self) {
        self.socket.shutdown(Shutdown::Both).unwrap();
        self.thread.join().unwrap().unwrap();
    }
}

/// A guest whose memory is mapped, with the interrupt connected.
struct Guest {
    bench: Bench,
    memory: File,
    interrupt: File,
}

impl Guest {
    fn start(mut bench: Bench) -> Self {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let memory = File::from(memfd_create("guest", flags).unwrap());
        ftruncate(&memory, SIZE).unwrap();
        fcntl_add_seals(&memory, SealFlags::SHRINK).unwrap();
        let interrupt = File::from(eventfd(0, EventfdFlags::NONBLOCK).unwrap());
        bench.client.negotiate();
        for (request, fd) in [
            (dma_map(3, 0, BASE, SIZE), &memory),
            (set_interrupts(CONNECT, MSI, 0, 1, &[]), &interrupt),
        ] {
            assert!(!bench.client.call(&request, &[fd.as_fd()]).is_error());
        }
        let command = COMMAND_BUS_MASTER.to_le_bytes();
        let request = region_write(CONFIG, COMMAND as u64, &command);
        assert!(!bench.client.call(&request, &[]).is_error());
        Self {
            bench,
            memory,
            interrupt,
        }
    }

    fn get(&mut self, region: u32, offset: u64) -> u32 {
        let reply = self.bench.client.call(&region_read(region, offset, 4), &[]);
        u32::from_le_bytes(reply.payload[16..].try_into().unwrap())
    }

    /// Has the device add up bytes. Returns status and sum.
    fn add_up(&mut self, address: u64, length: u32) -> (u32, u32) {
        for (offset, value) in [
            (ADDRESS_LOW, address as u32),
            (ADDRESS_HIGH, (address >> 32) as u32),
            (LENGTH, length),
            (START, 1),
        ] {
            let request = region_write(0, offset, &value.to_le_bytes());
            self.bench.client.call(&request, &[]);
        }
        (self.get(0, STATUS), self.get(0, SUM))
    }

    /// Returns the number of interrupts since the last call.
    fn interrupts(&self) -> u64 {
        let mut count = [0; 8];
        match (&self.interrupt).read_exact(&mut count) {
            Ok(()) => u64::from_ne_bytes(count),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                0
            }
        }
    }

    /// Waits until a server answers.
    fn wait_for_server(&mut self) {
        let start = Instant::now();
        while self.get(CONFIG, 0) == u32::MAX {
            assert!(start.elapsed() < PATIENCE, "no server takes over");
            thread::yield_now();
        }
    }
}

#[test]
fn another_server_of_the_example_takes_over_memory_interrupt_and_configuration() {
    let (bench, listener) = Bench::without_server(PATIENCE);
    let first = thread::spawn(move || (Server::accept(&listener), listener));
    let mut guest = Guest::start(bench);
    let (first, listener) = first.join().unwrap();
    guest.memory.write_all_at(&[1; 1000], 0x1005).unwrap();
    assert_eq!(guest.add_up(BASE + 0x1000, 0x1000), (DONE, 1000));
    assert_eq!(guest.interrupts(), 1);

    first.end();
    let second = thread::spawn(move || Server::accept(&listener));
    guest.wait_for_server();
    assert_eq!(guest.get(0, STATUS), NONE_YET);
    guest.memory.write_all_at(&[2; 1000], 0x1005).unwrap();

    assert_eq!(guest.add_up(BASE + 0x1000, 0x1000), (DONE, 2000));
    assert_eq!(guest.interrupts(), 1);
    drop(guest);
    second.join().unwrap().thread.join().unwrap().unwrap();
}

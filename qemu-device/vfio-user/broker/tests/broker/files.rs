// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Descriptors on their way through the broker.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixListener;

use ringbar_broker::Message;
use ringbar_vfio_user::testing::{dma_map, dma_unmap, region_info, set_interrupts};
use ringbar_vfio_user::wire::command;
use rustix::event::{eventfd, EventfdFlags};
use rustix::fs::{ftruncate, memfd_create, MemfdFlags};
use rustix::pipe::pipe;

use crate::client::{receive, send};
use crate::server::{success, Puppet, Server};
use crate::{Bench, PATIENCE};

/// Makes a file with this byte at its start.
fn memory(byte: u8) -> File {
    let file = File::from(memfd_create("broker-test", MemfdFlags::CLOEXEC).unwrap());
    ftruncate(&file, 0x1000).unwrap();
    file.write_all_at(&[byte], 0).unwrap();
    file
}

/// Returns the first byte of the only file of a message.
fn byte(message: &Message<OwnedFd>) -> u8 {
    let [fd] = &message.fds[..] else {
        panic!("not one descriptor: {message:?}");
    };
    let mut byte = [0];
    let file = File::from(fd.try_clone().unwrap());
    file.read_exact_at(&mut byte, 0).unwrap();
    byte[0]
}

/// Passes a request with these files to the puppet, which answers it.
fn pass(bench: &mut Bench, puppet: &Puppet, bytes: &[u8], files: &[OwnedFd]) -> Message<OwnedFd> {
    let fds: Vec<_> = files.iter().map(AsFd::as_fd).collect();
    let request = bench.client.send(bytes, &fds, false);
    let arrived = puppet.serve();
    bench.client.answer_to(&request);
    arrived
}

/// Lets the puppet go and the next one come, and returns the requests of the record: `count`.
fn replayed(puppet: Puppet, listener: &UnixListener, count: usize) -> Vec<Message<OwnedFd>> {
    drop(puppet);
    let next = Puppet::accept(listener);
    (0..count).map(|_| next.serve()).collect()
}

#[test]
fn file_of_a_map_reaches_the_server_and_each_later_one() {
    let (mut bench, listener, puppet) = Bench::with_puppet(PATIENCE);

    let map = dma_map(3, 0, 0, 0x1000);
    let arrived = pass(&mut bench, &puppet, &map, &[memory(42).into()]);

    assert_eq!(byte(&arrived), 42);
    let record = replayed(puppet, &listener, 2);
    assert_eq!(record[1].payload, arrived.payload);
    assert_eq!(byte(&record[1]), 42);
}

/// Vectors that are connected at once: more than QEMU ever does.
const VECTORS: usize = 65;

#[test]
fn eventfds_reach_the_server_and_each_later_one() {
    let (mut bench, listener, puppet) = Bench::with_puppet(PATIENCE);
    let eventfds: Vec<OwnedFd> = (0..VECTORS)
        .map(|_| eventfd(0, EventfdFlags::CLOEXEC).unwrap())
        .collect();
    let connect = set_interrupts(0x24, 2, 0, VECTORS as u32, &[]);

    let arrived = pass(&mut bench, &puppet, &connect, &eventfds);

    assert_eq!(arrived.fds.len(), VECTORS);
    let record = replayed(puppet, &listener, 1 + VECTORS);
    // The last vector's own eventfd comes with the last message.
    rustix::io::write(&record[VECTORS].fds[0], &7_u64.to_ne_bytes()).unwrap();
    let mut count = [0; 8];
    rustix::io::read(&eventfds[VECTORS - 1], &mut count).unwrap();
    assert_eq!(u64::from_ne_bytes(count), 7);
}

#[test]
fn file_of_a_map_is_closed_when_it_is_unmapped() {
    let (mut bench, _listener, puppet) = Bench::with_puppet(PATIENCE);
    let (reader, writer) = pipe().unwrap();
    let map = dma_map(3, 0, 0, 0x1000);
    drop(pass(&mut bench, &puppet, &map, &[writer]));

    pass(&mut bench, &puppet, &dma_unmap(0, 0, 0x1000), &[]);

    // The end, as no process has the other side any more.
    assert_eq!(rustix::io::read(&reader, &mut [0]), Ok(0));
}

#[test]
fn region_file_reaches_the_client_and_no_other_one_is_taken_later() {
    let (mut bench, listener, puppet) = Bench::with_puppet(PATIENCE);
    let request = bench.client.send(&region_info(32, 0), &[], false);
    let asked = puppet.request();
    let mine = memory(42);
    send(&puppet.0, &success(&asked), &[mine.as_fd()]);

    assert_eq!(byte(&bench.client.answer_to(&request)), 42);
    drop(puppet);
    for (file, takes_over) in [(memory(42), false), (mine, true)] {
        let next = Puppet::accept(&listener);
        assert_eq!(next.serve().header.command, command::VERSION);
        send(&next.0, &success(&next.request()), &[file.as_fd()]);
        if takes_over {
            next.work();
            bench.client.wait_for_server();
        } else {
            next.assert_left();
        }
    }
}

#[test]
fn server_with_too_many_descriptors_is_left() {
    let (mut bench, listener, puppet) = Bench::with_puppet(PATIENCE);
    let request = bench.client.send(&region_info(32, 0), &[], false);
    let asked = puppet.request();
    let files = [memory(1), memory(2)];
    send(
        &puppet.0,
        &success(&asked),
        &[files[0].as_fd(), files[1].as_fd()],
    );

    let reply = bench.client.answer_to(&request);

    assert!(reply.is_error());
    assert_eq!(reply.fds.len(), 0);
    assert!(receive(&puppet.0).is_none());
    drop(puppet);
    let _server = Server::run(listener);
    bench.client.wait_for_server();
}

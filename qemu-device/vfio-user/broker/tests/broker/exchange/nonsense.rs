// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A server that answers nonsense is dropped.

use super::*;

/// Asserts that a read of 4 bytes with this answer drops the server, and is answered all the same.
#[track_caller]
fn assert_nonsense(change: impl FnOnce(&mut Message<File>), expected: ServerFault) {
    let mut bench = Bench::negotiated();
    let request = bench.ask(&region_read(0, 0, 4), &[]);
    bench.take_requests();
    let mut reply = success(&request);
    change(&mut reply);

    let result = bench.exchange.take_from_server(reply, bench.now);

    assert_eq!(result, Err(expected));
    bench.kill();
    let replies = bench.take_replies();
    assert_eq!(replies.len(), 1);
    assert_eq!(replies[0].header.id, request.header.id);
}

#[test]
fn reply_to_no_request_drops_the_server() {
    assert_nonsense(|reply| reply.header.id = 1, ServerFault::Unasked(1));
}

#[test]
fn reply_to_another_command_drops_the_server() {
    let fault = ServerFault::Command {
        answer: command::DMA_MAP,
        request: command::REGION_READ,
    };
    assert_nonsense(|reply| reply.header.command = command::DMA_MAP, fault);
}

#[test]
fn reply_longer_than_the_clients_room_drops_the_server() {
    let fault = ServerFault::Room {
        command: command::REGION_READ,
        size: 37,
        room: 36,
    };
    assert_nonsense(|reply| reply.payload = vec![0; 21].into(), fault);
}

#[test]
fn reply_with_descriptors_that_were_not_asked_for_drops_the_server() {
    let fault = ServerFault::Fds {
        command: command::REGION_READ,
        count: 1,
        limit: 0,
    };
    assert_nonsense(|reply| reply.fds = vec![file(1)], fault);
}

#[test]
fn second_reply_drops_the_server() {
    let mut bench = Bench::negotiated();
    let request = bench.ask(&region_read(0, 0, 4), &[]);
    bench.serve();

    let result = bench
        .exchange
        .take_from_server(success(&request), bench.now);

    assert_eq!(result, Err(ServerFault::Unasked(request.header.id)));
    assert_eq!(bench.take_replies().len(), 1);
}

#[test]
fn server_that_asks_other_things_than_memory_is_dropped() {
    let mut bench = Bench::negotiated();
    let request = message(&region_read(0, 0, 4), vec![]);

    let result = bench.exchange.take_from_server(request, bench.now);

    assert_eq!(result, Err(ServerFault::Request(command::REGION_READ)));
    assert_eq!(bench.take_replies(), []);
}

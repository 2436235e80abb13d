// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Servers that die, hang and talk nonsense. The client's stream stays in step.

use std::cell::RefCell;
use std::io::{ErrorKind, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::thread;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use ringbar_broker::fault::ClientFault;
use ringbar_broker::Message;
use ringbar_vfio_user::testing::{
    self, dma_map, dma_unmap, interrupt_info, region_info, region_read, region_write,
    set_interrupts, version, words, VERSION_TEXT,
};
use ringbar_vfio_user::wire::{command, Header, FLAG_NO_REPLY, MAX_MESSAGE, TYPE_REPLY};

use crate::client::{receive, send, SPECIAL};
use crate::common::{message, ALIVE};
use crate::server::{success, Plan, Puppet, Server};
use crate::{Bench, PATIENCE};

/// Time in which no test waits for an answer: these servers end, so no limit is needed.
const LONG: Duration = PATIENCE;
/// Limit of the tests that wait for it.
const SHORT: Duration = Duration::from_millis(100);

/// Returns a request of each command, and the length of the answer in dead mode: an error for all
/// that was never asked before.
fn requests() -> Vec<(Vec<u8>, usize)> {
    vec![
        (region_read(0, 0, 8), 40),
        (region_write(0, 0, &[1, 2, 3, 4]), 32),
        (region_write(7, 4, &[7, 0]), 32),
        (dma_map(3, 0, 0, 0x1000), 16),
        (dma_unmap(0, 0, 0x1000), 40),
        (set_interrupts(0x21, 2, 0, 0, &[]), 16),
        (
            testing::message(command::DEVICE_GET_INFO, &words(&[16, 0, 0, 0])),
            16,
        ),
        (region_info(32, 0), 16),
        (interrupt_info(16, 2), 16),
        (testing::message(command::DEVICE_RESET, &[]), 16),
        (testing::message(command::REGION_WRITE_MULTI, &[0; 32]), 24),
        (testing::message(command::DEVICE_FEATURE, &[0; 8]), 16),
    ]
}

/// Lets the server carry out a plan for a request, checks the answer, and waits for the next server.
#[track_caller]
fn assert_survives(
    bench: &mut Bench,
    request: &[u8],
    length: usize,
    plan: &dyn Fn(&Message<OwnedFd>) -> Option<Plan>,
    server: &Server,
) -> bool {
    let Some(plan) = plan(&message(request, Vec::new())) else {
        return false;
    };
    server.plan(plan);
    let reply = bench.client.call_special(request);
    assert_eq!(reply.size(), length, "{reply:?}");
    bench.client.wait_for_server();
    // The next one of these maps is no overlap.
    bench.client.call(&dma_unmap(2, 0, 0), &[]);
    true
}

/// Lets servers end at each byte, for each command.
fn assert_survives_each_byte(plan: impl Fn(&Message<OwnedFd>, usize) -> Option<Plan>) {
    let (mut bench, server) = Bench::start(LONG);
    bench.client.negotiate();
    let mut deaths = 0;
    for (request, length) in requests() {
        let mut byte = 0;
        while assert_survives(
            &mut bench,
            &request,
            length,
            &|message| plan(message, byte),
            &server,
        ) {
            byte += 1;
        }
        deaths += byte;
    }
    assert!(deaths > 300, "{deaths}");
}

#[test]
fn server_that_ends_at_any_byte_of_any_answer_is_replaced() {
    assert_survives_each_byte(|request, byte| {
        (byte < success(request).size()).then_some(Plan::EndAfterReply(byte))
    });
}

#[test]
fn server_that_ends_at_any_byte_of_any_request_is_replaced() {
    assert_survives_each_byte(|request, byte| {
        (byte < request.size()).then_some(Plan::EndAfterRequest(byte + 1))
    });
}

/// Returns bytes of a server: headers that are almost right, and others.
fn nonsense() -> impl Strategy<Value = Vec<u8>> {
    let header = (
        prop_oneof![Just(SPECIAL | 1), any::<u16>()],
        prop_oneof![Just(command::REGION_READ), 0..20_u16, any::<u16>()],
        prop_oneof![0..64_u32, Just(MAX_MESSAGE as u32 + 1), any::<u32>()],
        prop_oneof![Just(TYPE_REPLY), 0..64_u32, any::<u32>()],
    )
        .prop_map(|(id, command, size, flags)| {
            let header = Header {
                id,
                command,
                size,
                flags,
                error: 0,
            };
            header.to_bytes().to_vec()
        });
    let piece = prop_oneof![header, proptest::collection::vec(any::<u8>(), 0..80)];
    proptest::collection::vec(piece, 1..5).prop_map(|pieces| pieces.concat())
}

#[test]
fn random_bytes_of_a_server_never_put_the_client_out_of_step() {
    let (mut bench, server) = Bench::start(LONG);
    bench.client.negotiate();
    let config = ProptestConfig {
        cases: 200,
        // All cases have one client: what comes after a failure shows nothing.
        max_shrink_iters: 0,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let bench = RefCell::new(&mut bench);

    TestRunner::new(config)
        .run(&nonsense(), |bytes| {
            let client = &mut bench.borrow_mut().client;
            server.plan(Plan::Speak(bytes));
            let request = client.send(&region_read(0, 0, 8), &[], true);
            // Requests of the server, such as DMA_READ, may come first.
            let reply = loop {
                let next = receive(&client.socket).expect("the end");
                if next.is_reply() {
                    break next;
                }
            };
            prop_assert_eq!(reply.header.id, request.header.id);
            prop_assert_eq!(reply.header.command, request.header.command);
            client.wait_for_server();
            Ok(())
        })
        .unwrap();
}

#[test]
fn server_that_takes_too_long_is_left_and_its_late_answer_dropped() {
    let (mut bench, listener, puppet) = Bench::with_puppet(SHORT);
    let request = bench.client.send(&region_read(0, 0, 1), &[], false);
    let late = success(&puppet.request());

    let reply = bench.client.answer_to(&request);
    assert_eq!(reply.payload[16..], [0xff]);
    // As after SIGCONT. The connection is closed already, so this goes nowhere.
    let words = [&late.header.to_bytes()[..], &late.payload].concat();
    let _gone = (&puppet.0).write_all(&words);

    puppet.assert_left();
    drop(puppet);
    let _server = Server::run(listener);
    bench.client.wait_for_server();
}

#[test]
fn next_server_waits_until_the_one_that_was_left_has_ended() {
    let (mut bench, listener, puppet) = Bench::with_puppet(SHORT);
    listener.set_nonblocking(true).unwrap();

    // The first answer comes when the puppet is left, the others at once: there are many looks for
    // a server meanwhile.
    for _ in 0..200 {
        let reply = bench.client.call(&region_read(0, 0, 1), &[]);
        assert_eq!(reply.payload[16..], [0xff]);
        thread::sleep(Duration::from_millis(1));
    }
    let early = listener.accept().map(drop).map_err(|error| error.kind());
    drop(puppet);
    listener.set_nonblocking(false).unwrap();
    let _server = Server::run(listener);

    assert_eq!(early, Err(ErrorKind::WouldBlock));
    bench.client.wait_for_server();
}

#[test]
fn server_that_stops_in_the_middle_of_an_answer_is_left() {
    let (mut bench, listener, puppet) = Bench::with_puppet(SHORT);
    let request = bench.client.send(&region_read(0, 0, 8), &[], false);
    let late = success(&puppet.request());
    (&puppet.0).write_all(&late.header.to_bytes()).unwrap();

    let reply = bench.client.answer_to(&request);

    assert_eq!(reply.payload[16..], [0xff; 8]);
    drop(puppet);
    let _server = Server::run(listener);
    bench.client.wait_for_server();
}

#[test]
fn server_that_stops_over_the_record_is_left_and_the_client_served_meanwhile() {
    let (mut bench, listener, puppet) = Bench::with_puppet(SHORT);
    drop(puppet);
    let stopped = Puppet::accept(&listener);
    assert_eq!(stopped.request().header.command, command::VERSION);

    let reply = bench.client.call(&region_read(0, 0, 1), &[]);

    assert_eq!(reply.payload[16..], [0xff]);
    stopped.assert_left();
    drop(stopped);
    let _server = Server::run(listener);
    bench.client.wait_for_server();
}

#[test]
fn quiet_request_that_a_dead_server_owes_nothing_for_is_not_answered() {
    let (mut bench, server) = Bench::start(LONG);
    bench.client.negotiate();
    let mut quiet: Message<OwnedFd> = message(&region_write(0, 0, &[1]), Vec::new());
    quiet.header.flags |= FLAG_NO_REPLY;
    server.plan(Plan::EndAfterRequest(1));

    send(&bench.client.socket, &quiet, &[]);

    // The next answer is that to the next request.
    bench.client.wait_for_server();
}

#[test]
fn client_that_goes_ends_the_broker_well_and_the_server_is_left() {
    let (bench, _listener, puppet) = Bench::with_puppet(LONG);

    drop(bench.client);

    puppet.assert_left();
    assert_eq!(bench.broker.join().unwrap(), Ok(()));
}

#[test]
fn client_that_ends_its_own_half_gets_the_answers_that_are_due() {
    let (mut bench, _listener, puppet) = Bench::with_puppet(LONG);
    let request = bench.client.send(&region_read(0, 0, 1), &[], false);
    bench.client.socket.shutdown(Shutdown::Write).unwrap();

    puppet.serve();

    assert_eq!(bench.client.answer_to(&request).payload[16..], [ALIVE]);
    assert_eq!(bench.broker.join().unwrap(), Ok(()));
}

#[test]
fn client_that_sends_no_message_is_dropped() {
    let (bench, _listener, _puppet) = Bench::with_puppet(LONG);

    (&bench.client.socket).write_all(&[0xff; 16]).unwrap();

    let result = bench.broker.join().unwrap();
    assert!(matches!(result, Err(ClientFault::Violation(_))));
}

#[test]
fn client_without_a_server_is_waited_with() {
    let (mut bench, listener) = Bench::without_server(LONG);
    let request = bench.client.send(&version(VERSION_TEXT), &[], false);

    let _server = Server::run(listener);

    assert!(!bench.client.answer_to(&request).is_error());
}

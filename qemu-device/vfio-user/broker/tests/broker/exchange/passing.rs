// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Messages that pass between the client and a server that works.

use super::*;

#[test]
fn request_and_reply_pass_unchanged() {
    let mut bench = Bench::negotiated();
    let request = bench.ask(&dma_map(3, 0, 0, 0x1000), &[file(1)]);

    assert_eq!(bench.take_requests(), slice::from_ref(&request));
    let mut reply = success(&request);
    reply.header.flags |= 0x40;
    bench
        .exchange
        .take_from_server(reply.clone(), bench.now)
        .unwrap();
    assert_eq!(bench.take_replies(), [reply]);
}

#[test]
fn region_file_passes_to_the_client() {
    let mut bench = Bench::negotiated();
    let request = bench.ask(&region_info(32, 0), &[]);
    let mut reply = success(&request);
    reply.fds = vec![file(3)];

    bench
        .exchange
        .take_from_server(reply.clone(), bench.now)
        .unwrap();

    assert_eq!(bench.take_replies(), [reply]);
}

#[test]
fn replies_pass_in_the_order_of_the_server() {
    let mut bench = Bench::negotiated();
    let first = bench.ask(&region_read(0, 0, 4), &[]);
    let second = bench.ask(&region_read(0, 4, 4), &[]);

    for request in [&second, &first] {
        let taken = bench.exchange.take_from_server(success(request), bench.now);
        assert_eq!(taken, Ok(()));
    }

    assert_eq!(bench.take_replies(), [success(&second), success(&first)]);
}

#[test]
fn client_is_not_read_before_the_first_server_is_there() {
    let mut bench = Bench::new();
    assert!(!bench.exchange.reads_client());

    bench.exchange.server_came(bench.now);

    assert!(bench.exchange.reads_client());
}

#[test]
fn client_that_has_agreed_is_read_without_a_server() {
    let mut bench = Bench::negotiated();

    bench.kill();

    assert!(bench.exchange.reads_client());
}

#[test]
fn server_that_leaves_before_the_version_is_the_end_of_the_client() {
    let mut bench = Bench::new();
    bench.exchange.server_came(bench.now);
    bench.ask(&version("{}"), &[]);

    let result = bench.exchange.server_gone(ServerFault::Closed);

    assert_eq!(result, Err(ClientFault::NoVersion(ServerFault::Closed)));
}

#[test]
fn server_that_leaves_before_the_client_has_spoken_is_waited_for() {
    let mut bench = Bench::new();
    bench.exchange.server_came(bench.now);

    assert_eq!(bench.exchange.server_gone(ServerFault::Closed), Ok(()));
    assert!(!bench.exchange.reads_client());
}

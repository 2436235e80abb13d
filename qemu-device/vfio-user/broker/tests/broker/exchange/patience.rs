// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A server that does not answer in time is dropped.

use super::*;

#[test]
fn requests_of_the_server_do_not_give_it_more_time() {
    let mut bench = Bench::negotiated();
    bench.ask(&region_read(0, 0, 4), &[]);
    bench.take_requests();
    bench.now += LIMIT;
    bench
        .exchange
        .take_from_server(dma_read(5), bench.now)
        .unwrap();
    bench.take_replies();

    assert!(bench.exchange.tick(bench.now).is_err());
}

#[test]
fn answer_in_time_keeps_the_server() {
    let mut bench = Bench::negotiated();
    let request = bench.ask(&region_read(0, 0, 4), &[]);
    bench.take_requests();
    bench.now += LIMIT - Duration::from_nanos(1);

    assert_eq!(bench.exchange.tick(bench.now), Ok(()));
    bench
        .exchange
        .take_from_server(success(&request), bench.now)
        .unwrap();
    bench.take_replies();
    bench.now += LIMIT * 10;
    assert_eq!(bench.exchange.tick(bench.now), Ok(()));
    assert_eq!(bench.exchange.deadline(), None);
}

#[test]
fn server_that_does_not_answer_in_time_is_named_with_the_command() {
    let mut bench = Bench::negotiated();
    bench.ask(&region_read(0, 0, 4), &[]);
    bench.take_requests();
    bench.now += LIMIT;

    let fault = bench.exchange.tick(bench.now).unwrap_err();

    assert_eq!(fault.to_string(), "no answer to REGION_READ within 1000 ms");
}

#[test]
fn server_that_takes_no_message_in_time_is_dropped() {
    let mut bench = Bench::negotiated();
    let mut quiet = message(&region_write(0, 0, &[1]), vec![]);
    quiet.header.flags |= FLAG_NO_REPLY;
    bench.exchange.take_from_client(quiet, bench.now).unwrap();
    bench.now += LIMIT;

    assert_eq!(
        bench.exchange.tick(bench.now),
        Err(ServerFault::NotTaken(LIMIT))
    );
}

#[test]
fn server_has_its_whole_time_for_each_of_several_requests() {
    let mut bench = Bench::negotiated();
    let first = bench.ask(&region_read(0, 0, 4), &[]);
    bench.ask(&region_read(0, 0, 4), &[]);
    bench.take_requests();
    bench.now += LIMIT / 2;
    bench
        .exchange
        .take_from_server(success(&first), bench.now)
        .unwrap();
    bench.take_replies();
    bench.now += LIMIT * 3 / 4;

    assert_eq!(bench.exchange.tick(bench.now), Ok(()));
}

#[test]
fn server_is_not_blamed_while_the_client_takes_nothing() {
    let mut bench = Bench::negotiated();
    bench.ask(&region_read(0, 0, 4), &[]);
    bench.serve();
    bench.exchange.client_blocks();
    bench.ask(&region_read(0, 0, 4), &[]);
    bench.take_requests();
    bench.now += LIMIT * 2;

    assert_eq!(bench.exchange.tick(bench.now), Ok(()));
    bench.take_replies();
    assert_eq!(bench.exchange.deadline(), Some(bench.now + LIMIT));
}

#[test]
fn new_server_that_stops_over_the_record_is_dropped() {
    let mut bench = Bench::negotiated();
    bench.kill();
    bench.exchange.server_came(bench.now);
    bench.take_requests();
    bench.now += LIMIT;

    let fault = bench.exchange.tick(bench.now).unwrap_err();

    assert_eq!(fault.to_string(), "no answer to VERSION within 1000 ms");
}

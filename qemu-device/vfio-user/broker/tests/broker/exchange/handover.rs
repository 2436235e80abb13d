// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A server leaves, and another one takes over.

use super::*;

#[test]
fn requests_that_the_server_owed_are_answered_in_order_when_it_leaves() {
    let mut bench = Bench::negotiated();
    let read = bench.ask(&region_read(0, 0, 4), &[]);
    let map = bench.ask(&dma_map(3, 0, 0, 0x1000), &[]);
    bench.take_requests();

    bench.kill();

    let all_ones = [&read.payload, &[0xff; 4][..]].concat();
    assert_eq!(
        bench.take_replies(),
        [read.reply(&all_ones), map.reply(&[])]
    );
}

#[test]
fn request_without_reply_is_answered_by_neither() {
    let mut bench = Bench::negotiated();
    let mut quiet = message(&region_write(0, 0, &[1]), vec![]);
    quiet.header.flags |= FLAG_NO_REPLY;
    bench
        .exchange
        .take_from_client(quiet.clone(), bench.now)
        .unwrap();
    assert_eq!(bench.take_requests(), [quiet.clone()]);

    bench.kill();
    bench.exchange.take_from_client(quiet, bench.now).unwrap();

    assert_eq!(bench.take_replies(), []);
}

#[test]
fn messages_that_the_old_server_did_not_take_are_not_for_the_new_one() {
    let mut bench = Bench::negotiated();
    bench.ask(&region_write(0, 0, &[1]), &[]);
    bench.kill();

    let told = bench.replace();

    assert_eq!(contents(&told).len(), 1, "{told:?}");
    assert_eq!(told[0].header.command, command::VERSION);
}

#[test]
fn new_server_gets_the_record_and_then_the_client() {
    let mut bench = Bench::negotiated();
    let map = bench.ask(&dma_map(3, 0, 0, 0x1000), &[file(1)]);
    let write = bench.ask(&region_write(7, 4, &[7, 0]), &[]);
    let irqs = bench.ask(&set_interrupts(CONNECT, 2, 0, 1, &[]), &[file(2)]);
    let info = bench.ask(&region_info(32, 0), &[]);
    bench.serve();
    bench.kill();
    // Changed while there is no server.
    let other_map = bench.ask(&dma_map(3, 0, 0x1000, 0x1000), &[file(1)]);
    bench.take_replies();

    let told = bench.replace();

    let version = message(&version(VERSION_TEXT), vec![]);
    assert_eq!(
        contents(&told),
        contents(&[version, info, map, other_map, write, irqs])
    );
    let read = bench.ask(&region_read(0, 0, 1), &[]);
    bench.serve();
    let alive = [&read.payload, &[ALIVE][..]].concat();
    assert_eq!(bench.take_replies(), [read.reply(&alive)]);
}

#[test]
fn replies_to_the_record_are_not_for_the_client() {
    let mut bench = Bench::negotiated();
    bench.kill();

    bench.replace();

    assert_eq!(bench.take_replies(), []);
}

#[test]
fn client_is_answered_while_a_new_server_is_told_the_record_and_its_changes_follow() {
    let mut bench = Bench::negotiated();
    let map = bench.ask(&dma_map(3, 0, 0, 0x1000), &[file(1)]);
    bench.serve();
    bench.kill();
    bench.take_replies();
    bench.exchange.server_came(bench.now);

    let read = bench.ask(&region_read(0, 0, 1), &[]);
    let unmap = bench.ask(&dma_unmap(0, 0, 0x1000), &[]);
    bench.ask(&region_write(0, 0, &[1]), &[]);

    let all_ones = [&read.payload, &[0xff][..]].concat();
    assert_eq!(bench.take_replies()[0], read.reply(&all_ones));
    let told = bench.serve();
    assert_eq!(contents(&told)[1..], contents(&[map, unmap]));
    assert!(bench.exchange.is_live());
}

#[test]
fn change_that_was_refused_meanwhile_is_not_for_the_new_server() {
    let mut bench = Bench::negotiated();
    let map = bench.ask(&dma_map(3, 0, 0, 0x1000), &[file(1)]);
    bench.serve();
    bench.kill();
    bench.exchange.server_came(bench.now);

    bench.ask(&dma_map(3, 0, 0, 0x1000), &[file(1)]);

    assert_eq!(contents(&bench.serve())[1..], contents(&[map]));
}

#[test]
fn server_of_another_device_is_refused_before_it_gets_memory() {
    let mut bench = Bench::negotiated();
    bench.ask(&interrupt_info(16, 2), &[]);
    bench.ask(&dma_map(3, 0, 0, 0x1000), &[file(1)]);
    bench.serve();
    bench.kill();
    bench.exchange.server_came(bench.now);
    let [version] = &bench.take_requests()[..] else {
        panic!("not one message at a time");
    };
    bench
        .exchange
        .take_from_server(success(version), bench.now)
        .unwrap();
    let question = bench.take_requests().remove(0);

    let other = question.reply(&words(&[16, 1, 2, 3]));
    let result = bench.exchange.take_from_server(other, bench.now);

    let fault = ServerFault::Differs {
        command: command::DEVICE_GET_IRQ_INFO,
        index: 2,
    };
    assert_eq!(result, Err(fault));
}

/// Returns the result of a new server with this region file, after a first one with file 3.
fn server_with_region_file(new: File) -> Result<(), ServerFault> {
    let mut bench = Bench::negotiated();
    let question = bench.ask(&region_info(32, 1), &[]);
    let mut answer = success(&question);
    answer.fds = vec![file(3)];
    bench.take_requests();
    bench.exchange.take_from_server(answer, bench.now).unwrap();
    bench.kill();
    bench.exchange.server_came(bench.now);
    let version = bench.take_requests().remove(0);
    bench
        .exchange
        .take_from_server(success(&version), bench.now)?;
    let question = bench.take_requests().remove(0);
    let mut answer = success(&question);
    answer.fds = vec![new];
    bench.exchange.take_from_server(answer, bench.now)
}

#[test]
fn server_with_another_region_file_is_refused() {
    assert_eq!(
        server_with_region_file(file(4)),
        Err(ServerFault::OtherFile(1))
    );
}

#[test]
fn server_with_the_same_region_file_takes_over() {
    let again = File { number: 4, file: 3 };

    assert_eq!(server_with_region_file(again), Ok(()));
}

/// Returns the result of a new server that refuses the message with this number of the record:
/// VERSION and a map.
fn server_that_refuses(number: usize) -> Result<bool, ServerFault> {
    let mut bench = Bench::negotiated();
    bench.ask(&dma_map(3, 0, 0, 0x1000), &[file(1)]);
    bench.serve();
    bench.kill();
    bench.exchange.server_came(bench.now);
    for index in 0..2 {
        let request = bench.take_requests().remove(0);
        let reply = match index == number {
            true => request.refusal(Errno::INVAL),
            false => success(&request),
        };
        bench.exchange.take_from_server(reply, bench.now)?;
    }
    Ok(bench.exchange.is_live())
}

#[test]
fn server_that_refuses_the_version_is_dropped() {
    assert_eq!(
        server_that_refuses(0),
        Err(ServerFault::Version(Errno::INVAL.raw_os_error() as u32))
    );
}

#[test]
fn server_that_refuses_a_map_takes_over_without_it() {
    assert_eq!(server_that_refuses(1), Ok(true));
}

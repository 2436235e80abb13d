// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Requests of the server for memory, and how much may wait in either direction.

use super::*;

#[test]
fn request_of_the_server_and_its_answer_pass() {
    let mut bench = Bench::negotiated();
    bench
        .exchange
        .take_from_server(dma_read(5), bench.now)
        .unwrap();
    assert_eq!(bench.take_replies(), [dma_read(5)]);

    let answer = dma_read(5).reply(&[0; 24]);
    bench
        .exchange
        .take_from_client(answer.clone(), bench.now)
        .unwrap();

    assert_eq!(bench.take_requests(), [answer]);
}

#[test]
fn answer_for_a_server_that_is_gone_is_not_for_the_next() {
    let mut bench = Bench::negotiated();
    bench
        .exchange
        .take_from_server(dma_read(5), bench.now)
        .unwrap();
    bench.kill();
    bench.replace();
    bench
        .exchange
        .take_from_server(dma_read(5), bench.now)
        .unwrap();

    let [old, new] = [1, 2].map(|byte| dma_read(5).reply(&[byte; 24]));
    bench.exchange.take_from_client(old, bench.now).unwrap();
    bench
        .exchange
        .take_from_client(new.clone(), bench.now)
        .unwrap();

    assert_eq!(bench.take_requests(), [new]);
}

#[test]
fn answer_that_no_server_waits_for_is_dropped() {
    let mut bench = Bench::negotiated();

    bench
        .exchange
        .take_from_client(dma_read(5).reply(&[]), bench.now)
        .unwrap();

    assert_eq!(bench.take_requests(), []);
    assert_eq!(bench.take_replies(), []);
}

#[test]
fn requests_of_a_server_beyond_the_limit_are_refused_to_it() {
    let mut bench = Bench::negotiated();
    for id in 0..MAX_ASKED as u16 {
        bench
            .exchange
            .take_from_server(dma_read(id), bench.now)
            .unwrap();
    }
    assert_eq!(bench.take_replies().len(), MAX_ASKED);

    bench
        .exchange
        .take_from_server(dma_read(500), bench.now)
        .unwrap();

    assert_eq!(bench.take_replies(), []);
    assert_eq!(bench.take_requests(), [dma_read(500).refusal(Errno::BUSY)]);
}

#[test]
fn client_is_not_read_while_a_server_owes_many_answers() {
    let mut bench = Bench::negotiated();
    for _ in 0..MAX_OWED {
        assert!(bench.exchange.reads_client());
        bench.ask(&region_read(0, 0, 4), &[]);
        bench.take_requests();
    }

    assert!(!bench.exchange.reads_client());
}

#[test]
fn client_is_not_read_while_much_waits_for_it() {
    let mut bench = Bench::negotiated();
    bench.kill();
    for _ in 0..=MAX_WAITING / MAX_TRANSFER {
        bench.ask(&region_read(0, 0, MAX_TRANSFER as u32), &[]);
    }

    assert!(!bench.exchange.reads_client());
    bench.take_replies();
    assert!(bench.exchange.reads_client());
}

#[test]
fn server_is_not_read_while_much_waits_for_the_client() {
    let mut bench = Bench::negotiated();
    let mut write = dma_read(5);
    write.header.command = command::DMA_WRITE;
    write.header.flags |= FLAG_NO_REPLY;
    write.payload = vec![0; MAX_TRANSFER].into();
    for _ in 0..=MAX_WAITING / MAX_TRANSFER {
        bench
            .exchange
            .take_from_server(write.clone(), bench.now)
            .unwrap();
    }

    assert!(!bench.exchange.reads_server());
    bench.take_replies();
    assert!(bench.exchange.reads_server());
}

#[test]
fn client_is_told_of_a_limit_before_the_server_carries_the_request_out() {
    let mut bench = Bench::negotiated();
    let fds: Vec<File> = (0..16).map(file).collect();
    for block in 0..132 {
        bench.ask(&set_interrupts(CONNECT, 2, block * 16, 16, &[]), &fds);
        bench.serve();
    }
    bench.take_replies();

    let request = bench.ask(&set_interrupts(CONNECT, 2, 4000, 16, &[]), &fds);

    assert_eq!(bench.take_requests(), []);
    assert_eq!(bench.take_replies(), [request.refusal(Errno::NOSPC)]);
}

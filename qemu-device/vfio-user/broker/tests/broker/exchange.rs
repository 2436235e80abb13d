// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! One client and its servers: messages that pass, answers, requests for a new server.

use std::slice;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use ringbar_broker::exchange::{MAX_ASKED, MAX_OWED, MAX_WAITING};
use ringbar_broker::fault::{ClientFault, ServerFault};
use ringbar_broker::{Exchange, Message};
use ringbar_vfio_user::testing::{
    self, dma_map, dma_unmap, interrupt_info, region_info, region_read, region_write,
    set_interrupts, version, words, VERSION_TEXT,
};
use ringbar_vfio_user::wire::{command, FLAG_NO_REPLY, MAX_TRANSFER};
use ringbar_vfio_user::Errno;

use crate::common::{file, message, payload_of_success, File, ALIVE};

const LIMIT: Duration = Duration::from_secs(1);
const CONNECT: u32 = 0x24;

/// An exchange with its time.
struct Bench {
    exchange: Exchange<File>,
    now: Instant,
    next_id: u16,
}

impl Bench {
    /// Makes an exchange without a server.
    fn new() -> Self {
        Self {
            exchange: Exchange::new(LIMIT),
            now: Instant::now(),
            next_id: 100,
        }
    }

    /// Makes an exchange that has agreed on a version with its first server.
    fn negotiated() -> Self {
        let mut bench = Self::new();
        bench.exchange.server_came(bench.now);
        bench.ask(&version(VERSION_TEXT), &[]);
        bench.serve();
        bench.take_replies();
        bench
    }

    /// Sends a request of the client with a number of its own. Returns the request.
    fn ask(&mut self, bytes: &[u8], fds: &[File]) -> Message<File> {
        let mut request = message(bytes, fds.to_vec());
        request.header.id = self.next_id;
        self.next_id += 1;
        let taken = self.exchange.take_from_client(request.clone(), self.now);
        assert_eq!(taken, Ok(()));
        request
    }

    /// Takes all messages for the client.
    fn take_replies(&mut self) -> Vec<Message<File>> {
        let mut taken = Vec::new();
        while let Some(message) = self.exchange.for_client() {
            taken.push(message.clone());
            self.exchange.client_took(self.now);
        }
        taken
    }

    /// Takes all messages for the server.
    fn take_requests(&mut self) -> Vec<Message<File>> {
        let mut taken = Vec::new();
        while let Some(message) = self.exchange.for_server() {
            taken.push(message.clone());
            self.exchange.server_took(self.now);
        }
        taken
    }

    /// Answers all requests as a server that works, until there are no more. Returns them.
    fn serve(&mut self) -> Vec<Message<File>> {
        let mut served = Vec::new();
        loop {
            let requests = self.take_requests();
            if requests.is_empty() {
                return served;
            }
            for request in requests {
                if request.wants_reply() {
                    let taken = self.exchange.take_from_server(success(&request), self.now);
                    assert_eq!(taken, Ok(()));
                }
                served.push(request);
            }
        }
    }

    /// Lets the server go.
    fn kill(&mut self) {
        self.exchange.server_gone(ServerFault::Closed).unwrap();
    }

    /// Lets a new server come and take over. Returns what it was told.
    fn replace(&mut self) -> Vec<Message<File>> {
        self.exchange.server_came(self.now);
        let told = self.serve();
        assert!(self.exchange.is_live());
        told
    }
}

/// Returns the reply of a server that works.
fn success(request: &Message<File>) -> Message<File> {
    request.reply(&payload_of_success(
        request.header.command,
        &request.payload,
    ))
}

/// Returns command and payload of messages: all but their numbers.
fn contents(messages: &[Message<File>]) -> Vec<(u16, Vec<u8>, Vec<File>)> {
    messages
        .iter()
        .map(|message| {
            (
                message.header.command,
                message.payload.to_vec(),
                message.fds.clone(),
            )
        })
        .collect()
}

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

/// Makes a request of a server.
fn dma_read(id: u16) -> Message<File> {
    let mut request = message(
        &testing::message(
            command::DMA_READ,
            &[0_u64, 8].map(u64::to_ne_bytes).concat(),
        ),
        vec![],
    );
    request.header.id = id;
    request
}

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

/// Step of a random run.
#[derive(Clone, Debug)]
enum Step {
    /// The client asks one of these.
    Ask(usize),
    /// The server answers the oldest request, with this byte of the answer's header or payload
    /// changed.
    Answer(Option<(usize, u8)>),
    /// The server says something of its own.
    Speak(Vec<u8>),
    Leave,
    Come,
    Wait,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..12_usize).prop_map(Step::Ask),
        6 => Just(Step::Answer(None)),
        2 => (0..40_usize, any::<u8>()).prop_map(|change| Step::Answer(Some(change))),
        1 => proptest::collection::vec(any::<u8>(), 16..64).prop_map(Step::Speak),
        1 => Just(Step::Leave),
        2 => Just(Step::Come),
        1 => Just(Step::Wait),
    ]
}

/// Returns a request of each kind.
fn requests() -> Vec<Vec<u8>> {
    vec![
        region_read(0, 0, 4),
        region_write(0, 0, &[1, 2, 3, 4]),
        region_write(7, 4, &[7, 0]),
        dma_map(3, 0, 0, 0x1000),
        dma_map(3, 0, 0x1000, 0x1000),
        dma_unmap(0, 0, 0x2000),
        set_interrupts(CONNECT, 2, 0, 1, &[]),
        set_interrupts(0x21, 2, 0, 0, &[]),
        region_info(32, 0),
        interrupt_info(16, 2),
        testing::message(command::DEVICE_RESET, &[]),
        testing::message(command::DEVICE_FEATURE, &[0; 8]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the server does, each request gets one answer, with its number and command, and no
    /// longer than the client's room.
    #[test]
    fn each_request_gets_exactly_one_answer(steps in proptest::collection::vec(step(), 1..120)) {
        let mut bench = Bench::negotiated();
        let (mut asked, mut answered) = (Vec::new(), Vec::new());
        let mut told = Vec::new();
        for step in steps {
            let fault = match step {
                Step::Ask(kind) => {
                    if bench.exchange.reads_client() {
                        let bytes = &requests()[kind];
                        let fds: &[File] = match kind { 3 | 4 => &[file(1)], 6 => &[file(2)], _ => &[] };
                        let request = bench.ask(bytes, fds);
                        asked.push((request.header.id, request.header.command));
                    }
                    None
                }
                Step::Answer(change) => {
                    told.extend(bench.take_requests());
                    if told.is_empty() || bench.exchange.is_dead() {
                        None
                    } else {
                        let mut reply = success(&told.remove(0));
                        if let Some((place, bits)) = change {
                            reply = changed(&reply, place, bits);
                        }
                        bench.exchange.take_from_server(reply, bench.now).err()
                    }
                }
                Step::Speak(bytes) if !bench.exchange.is_dead() => {
                    bench.exchange.take_from_server(message(&bytes, vec![]), bench.now).err()
                }
                Step::Leave => Some(ServerFault::Closed),
                Step::Come if bench.exchange.is_dead() => {
                    told.clear();
                    bench.exchange.server_came(bench.now);
                    None
                }
                Step::Wait => {
                    bench.now += LIMIT;
                    bench.exchange.tick(bench.now).err()
                }
                Step::Speak(_) | Step::Come => None,
            };
            if let Some(fault) = fault {
                bench.exchange.server_gone(fault).unwrap();
                told.clear();
            }
            answered.extend(bench.take_replies());
        }
        bench.kill();
        answered.extend(bench.take_replies());

        // All else are requests of the server.
        answered.retain(Message::is_reply);
        for reply in &answered {
            prop_assert!(reply.size() <= 48, "{reply:?}");
        }
        let mut answered: Vec<_> = answered.iter().map(|reply| (reply.header.id, reply.header.command)).collect();
        answered.sort_unstable();
        prop_assert_eq!(answered, asked);
    }
}

/// Returns a message with some bits of a byte changed.
fn changed(old: &Message<File>, place: usize, bits: u8) -> Message<File> {
    let mut bytes = [&old.header.to_bytes()[..], &old.payload].concat();
    if let Some(byte) = bytes.get_mut(place) {
        *byte ^= bits;
    }
    message(&bytes, old.fds.clone())
}

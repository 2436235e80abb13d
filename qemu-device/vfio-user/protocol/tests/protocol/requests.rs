// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Reading and writing memory of the client by message.

use ringbar_vfio_user::requests::{Completed, NotSent, Requests, Unexpected, MAX_PENDING};
use ringbar_vfio_user::session::{Action, Answer, ClientLimits};
use ringbar_vfio_user::testing::{with_header, Seen, TestSession};
use ringbar_vfio_user::wire::{command, Header, FLAG_ERROR, MAX_MESSAGE, MAX_TRANSFER, TYPE_REPLY};
use ringbar_vfio_user::Errno;

const LIMITS: ClientLimits = ClientLimits {
    fds: 16,
    transfer: 1 << 20,
};

fn fields(address: u64, count: u64) -> Vec<u8> {
    [address, count].map(u64::to_ne_bytes).concat()
}

/// Makes the client's answer to the request `sent`.
fn answer(sent: &[u8], flags: u32, error: u32) -> Header {
    Header {
        flags: TYPE_REPLY | flags,
        error,
        ..Header::parse(sent).unwrap()
    }
}

/// Returns the result of a request that read 4 bytes at 0x1000.
fn read_result(flags: u32, error: u32, payload: &[u8]) -> Result<Vec<u8>, Errno> {
    let mut requests = Requests::default();
    let (ticket, sent) = requests.read(0x1000, 4, LIMITS).unwrap();
    let header = answer(sent, flags, error);
    let completed = requests.complete(&Answer { header, payload }).unwrap();
    assert_eq!(completed.ticket, ticket);
    completed.result.map(<[u8]>::to_vec)
}

/// Returns the result of a request that wrote 4 bytes at 0x1000.
fn write_result(payload: &[u8]) -> Result<(), Errno> {
    let mut requests = Requests::default();
    let (_, sent) = requests.write(0x1000, &[1, 2, 3, 4], LIMITS).unwrap();
    let header = answer(sent, 0, 0);
    let completed = requests.complete(&Answer { header, payload }).unwrap();
    completed.result.map(|data| assert!(data.is_empty()))
}

#[test]
fn read_has_address_and_count_of_64_bits() {
    let mut requests = Requests::default();

    let (_, sent) = requests.read(0x1_2345_6000, 16, LIMITS).unwrap();

    let header = Header::parse(sent).unwrap();
    assert_eq!((header.command, header.flags), (command::DMA_READ, 0));
    assert_eq!(header.size, 32);
    assert_eq!(sent[16..], fields(0x1_2345_6000, 16));
}

#[test]
fn write_has_its_data_behind_address_and_count() {
    let mut requests = Requests::default();

    let (_, sent) = requests.write(0x2000, &[9, 8, 7], LIMITS).unwrap();

    let header = Header::parse(sent).unwrap();
    assert_eq!((header.command, header.size), (command::DMA_WRITE, 35));
    assert_eq!(sent[16..], [fields(0x2000, 3), vec![9, 8, 7]].concat());
}

#[test]
fn answer_brings_the_bytes_to_the_request() {
    let payload = [fields(0x1000, 4), vec![5, 6, 7, 8]].concat();

    assert_eq!(read_result(0, 0, &payload), Ok(vec![5, 6, 7, 8]));
}

#[test]
fn answer_to_a_write_may_have_a_count_of_32_or_64_bits() {
    assert_eq!(write_result(&fields(0x1000, 4)), Ok(()));
    assert_eq!(write_result(&fields(0x1000, 4)[..12]), Ok(()));
}

#[test]
fn error_of_the_client_ends_the_request() {
    assert_eq!(read_result(FLAG_ERROR, 14, &[]), Err(Errno::FAULT));
}

#[test]
fn error_without_a_number_is_an_error() {
    for number in [0, 4096, u32::MAX] {
        assert_eq!(read_result(FLAG_ERROR, number, &[]), Err(Errno::IO));
    }
}

#[test]
fn answer_that_does_not_fit_ends_the_request_with_an_error() {
    let good = [fields(0x1000, 4), vec![0; 4]].concat();
    for bad in [
        &[][..],
        &good[..19],
        &[&good[..], &[0]].concat(),
        &[fields(0x1008, 4), vec![0; 4]].concat(),
        &[fields(0x1000, 3), vec![0; 4]].concat(),
        &[fields(0x1000, 3), vec![0; 3]].concat(),
    ] {
        assert_eq!(read_result(0, 0, bad), Err(Errno::PROTO), "{bad:?}");
    }
    for bad in [
        &[][..],
        &fields(0x1000, 5),
        &fields(0, 4),
        &fields(0x1000, 4)[..8],
    ] {
        assert_eq!(write_result(bad), Err(Errno::PROTO), "{bad:?}");
    }
}

#[test]
fn answers_may_come_in_any_order() {
    let mut requests = Requests::default();
    let mut sent = Vec::new();
    for address in [0x1000, 0x2000, 0x3000] {
        let (ticket, bytes) = requests.read(address, 1, LIMITS).unwrap();
        sent.push((ticket, address, answer(bytes, 0, 0)));
    }

    for (ticket, address, header) in sent.into_iter().rev() {
        let payload = [fields(address, 1), vec![address as u8]].concat();
        let answer = Answer {
            header,
            payload: &payload,
        };
        let result = Ok(&payload[16..]);
        assert_eq!(requests.complete(&answer), Ok(Completed { ticket, result }));
    }
    assert_eq!(requests.pending(), 0);
}

#[test]
fn answer_without_a_request_is_unexpected() {
    let mut requests = Requests::default();
    let (ticket, sent) = requests.read(0, 1, LIMITS).unwrap();
    let header = answer(sent, FLAG_ERROR, 5);
    let answer = Answer {
        header,
        payload: &[],
    };
    requests.forget(ticket);

    assert_eq!(requests.complete(&answer), Err(Unexpected::Id(header.id)));
}

#[test]
fn answer_to_another_command_is_unexpected_and_the_request_waits_on() {
    let mut requests = Requests::default();
    let (_, sent) = requests.read(0, 1, LIMITS).unwrap();
    let header = Header {
        command: command::DMA_WRITE,
        ..answer(sent, 0, 0)
    };

    let result = requests.complete(&Answer {
        header,
        payload: &[],
    });

    assert!(matches!(result, Err(Unexpected::Command { .. })));
    assert_eq!(requests.pending(), 1);
}

#[test]
fn transfer_over_the_limit_of_either_side_is_not_sent() {
    let mut requests = Requests::default();
    let small = ClientLimits {
        fds: 1,
        transfer: 4096,
    };
    let endless = ClientLimits {
        fds: 1,
        transfer: u64::MAX,
    };

    assert!(requests.read(0, 4096, small).is_ok());
    assert!(matches!(
        requests.read(0, 4097, small),
        Err(NotSent::Transfer { .. })
    ));
    let (_, sent) = requests.write(0, &vec![0; MAX_TRANSFER], endless).unwrap();
    assert_eq!(sent.len(), MAX_MESSAGE);
    assert!(requests.read(0, MAX_TRANSFER + 1, endless).is_err());
    assert!(requests.read(0, 0, endless).is_err());
    assert_eq!(requests.pending(), 2);
}

#[test]
fn requests_beyond_the_limit_are_not_sent() {
    let mut requests = Requests::default();
    let mut ids: Vec<u16> = (0..MAX_PENDING)
        .map(|_| {
            Header::parse(requests.read(0, 1, LIMITS).unwrap().1)
                .unwrap()
                .id
        })
        .collect();

    assert_eq!(requests.read(0, 1, LIMITS).unwrap_err(), NotSent::Busy);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), MAX_PENDING);
}

#[test]
#[cfg_attr(miri, ignore = "65536 messages take Miri an hour")]
fn number_of_a_waiting_request_is_not_used_twice() {
    let mut requests = Requests::default();
    let (_, sent) = requests.read(0, 1, LIMITS).unwrap();
    let waiting = Header::parse(sent).unwrap().id;

    for _ in 0..=u16::MAX {
        let (ticket, sent) = requests.read(0, 1, LIMITS).unwrap();
        assert_ne!(Header::parse(sent).unwrap().id, waiting);
        requests.forget(ticket);
    }
}

#[test]
fn answer_comes_out_of_the_session_between_commands() {
    let mut test = TestSession::negotiated();
    let (_, sent) = test.requests.read(0x1000, 4, LIMITS).unwrap();
    let header = answer(sent, 0, 0);
    let payload = [fields(0x1000, 4), vec![1, 2, 3, 4]].concat();

    test.send(&with_header(header, &payload), 0).unwrap();

    let header = Header { size: 36, ..header };
    assert_eq!(test.seen, [Seen::Answered(header, payload)]);
}

#[test]
fn answer_of_the_longest_read_comes_whole() {
    let mut test = TestSession::negotiated();
    let header = Header {
        flags: TYPE_REPLY,
        command: command::DMA_READ,
        ..Header::default()
    };
    let payload = vec![1; 16 + MAX_TRANSFER];

    test.send(&with_header(header, &payload), 0).unwrap();

    assert!(matches!(&test.seen[..], [Seen::Answered(_, bytes)] if *bytes == payload));
}

#[test]
fn descriptors_with_an_answer_are_closed() {
    let mut test = TestSession::negotiated();
    let live = test.bank.live();
    let header = Header {
        flags: TYPE_REPLY,
        ..Header::default()
    };

    let mut seen = 0;
    test.session
        .receive(
            &with_header(header, &[]),
            test.bank.open_many(0, 3),
            &mut test.device,
            &mut |action| seen += usize::from(matches!(action, Action::Answer(_))),
        )
        .unwrap();

    assert_eq!((seen, test.bank.live()), (1, live));
}

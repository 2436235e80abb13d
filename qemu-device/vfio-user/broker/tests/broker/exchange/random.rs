// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Random steps of client and servers.

use super::*;

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

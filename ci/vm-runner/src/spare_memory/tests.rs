// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Tests of the requests about memory.

use super::*;

fn answered(text: &str) -> Vec<Action> {
    vec![Action::Answer(text.to_owned())]
}

#[track_caller]
fn assert_command(actions: &[Action], words: &[&str]) {
    let [Action::Command(line)] = actions else {
        panic!("{actions:?}");
    };
    for word in words {
        assert!(line.contains(word), "{line}");
    }
}

fn asked(request: Request) -> (SpareMemory, Vec<Action>) {
    let mut memory = SpareMemory::new(true);
    let actions = memory.request(request, Instant::now());
    (memory, actions)
}

fn done(memory: &SpareMemory) -> Message {
    Message::Answer(memory.command, Ok(()))
}

fn no(memory: &SpareMemory) -> Message {
    Message::Answer(memory.command, Err("no".to_owned()))
}

#[track_caller]
fn assert_refused(line: &str, reason: &str) {
    let error = parse(line).expect("a request").expect_err("refused");
    assert!(error.contains(reason), "{error}");
}

#[test]
fn requests_are_read_with_their_numbers() {
    let lines = [
        ("dimm_add 1 256", Request::DimmAdd(1, 256)),
        ("dimm_del 7", Request::DimmDel(7)),
        ("memory_size 1024", Request::Size(1024)),
        ("memory_plugged", Request::Plugged),
        ("balloon 256", Request::Balloon(256)),
    ];

    for (line, request) in lines {
        assert_eq!(parse(line), Some(Ok(request)));
    }
}

#[test]
fn request_of_another_kind_is_left_to_others() {
    assert_eq!(parse("device_del 0"), None);
    assert_eq!(parse(""), None);
}

#[test]
fn wrong_number_is_refused_with_the_limit() {
    assert_refused("dimm_add 8 128", "this machine has 8");
    assert_refused("dimm_add 0 64", "from 128 to 1024");
    assert_refused("dimm_add 0 192", "no multiple of 128");
    assert_refused("memory_size 1025", "from 0 to 1024");
    assert_refused("balloon -1", "from 128");
}

#[test]
fn missing_word_is_refused_with_the_requests() {
    assert_refused("dimm_add 0", "dimm_add SLOT MIB");
    assert_refused("memory_plugged 1", "memory_plugged, ");
}

#[test]
fn dimm_comes_after_its_backend() {
    let (mut memory, backend) = asked(Request::DimmAdd(2, 128));
    let dimm = memory.message(&done(&memory));
    let end = memory.message(&done(&memory));

    assert_command(
        &backend,
        &["object-add", "dimm2-memory", "134217728", "\"share\":true"],
    );
    assert_command(
        &dimm,
        &["device_add", "pc-dimm", "\"dimm2\"", "dimm2-memory"],
    );
    assert_eq!(end, answered("ok"));
    assert!(!memory.is_busy());
}

#[test]
fn backend_of_a_refused_dimm_goes() {
    let (mut memory, _) = asked(Request::DimmAdd(2, 128));
    memory.message(&done(&memory));

    let undo = memory.message(&no(&memory));
    let end = memory.message(&done(&memory));

    assert_command(&undo, &["object-del", "dimm2-memory"]);
    assert_eq!(end, answered("error: QEMU refused: no"));
}

#[test]
fn dimm_has_left_when_qemu_says_so_and_its_backend_goes() {
    let (mut memory, del) = asked(Request::DimmDel(2));
    let accepted = memory.message(&done(&memory));
    let other = memory.message(&Message::Deleted("dimm1".to_owned()));
    let backend = memory.message(&Message::Deleted("dimm2".to_owned()));
    let end = memory.message(&done(&memory));

    assert_command(&del, &["device_del", "dimm2"]);
    assert!(accepted.is_empty() && other.is_empty());
    assert_command(&backend, &["object-del", "dimm2-memory"]);
    assert_eq!(end, answered("ok"));
}

#[test]
fn dimm_that_the_guest_keeps_is_an_error_that_says_so() {
    let (mut memory, _) = asked(Request::DimmDel(2));
    memory.message(&done(&memory));

    let end = memory.message(&Message::Kept("dimm2".to_owned()));

    let text = "error: the guest keeps the DIMM: it could not free all of it";
    assert_eq!(end, answered(text));
}

#[test]
fn size_is_asked_for_and_read_in_mib() {
    let (_, set) = asked(Request::Size(3));
    let (mut memory, get) = asked(Request::Plugged);
    let end = memory.message(&Message::Number(FIRST + 1, 5 << 20));

    assert_command(&set, &["qom-set", "spare0", "requested-size", "3145728"]);
    assert_command(&get, &["qom-get", "\"size\""]);
    assert_eq!(end, answered("ok 5"));
}

#[test]
fn balloon_leaves_the_guest_its_share() {
    let (mut memory, actions) = asked(Request::Balloon(256));
    let end = memory.message(&done(&memory));

    assert_command(&actions, &["\"execute\":\"balloon\"", "268435456"]);
    assert_eq!(end, answered("ok"));
}

#[test]
fn machine_without_room_refuses_all() {
    let mut memory = SpareMemory::new(false);

    let end = memory.request(Request::Plugged, Instant::now());

    assert_eq!(end, answered(&refusal(NONE)));
    assert!(!memory.is_busy());
}

#[test]
fn request_that_takes_too_long_is_refused_once() {
    let now = Instant::now();
    let mut memory = SpareMemory::new(true);
    memory.request(Request::DimmDel(0), now);

    assert!(memory.tick(now).is_empty());
    let late = memory.tick(now + LIMIT);
    let text = "error: the guest neither gave the DIMM back nor refused within 120 s";
    assert_eq!(late, answered(text));
    assert!(memory.tick(now + LIMIT).is_empty());
}

#[test]
fn machine_has_room_for_dimms_and_virtio_mem() {
    let memory = "512M".parse().expect("a size");

    assert_eq!(sizes(memory), "512M,slots=8,maxmem=4608M");
}

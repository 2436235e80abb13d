// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `ringbarctl` as a person or a script calls it: its answers and its errors.

use ringbar_spec::regs::SCRATCH;
use ringbar_test_vectors::crc32c;
use ringbar_tests::witness::claim;
use ringbar_tests::{case, expect_register, open, pattern_bytes, run, seed, NODE};
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Output, Stdio};

const PROGRAM: &str = "/bin/ringbarctl";
/// More than a piece, and not a whole number of words.
const SIZE: usize = (1 << 20) + 5;
/// A user without any privileges.
const NOBODY: u32 = 65534;

fn main() -> ExitCode {
    run()
}

fn call(arguments: &[&str]) -> Output {
    call_with_input(arguments, b"")
}

fn call_with_input(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(PROGRAM)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let written = child.stdin.take().expect("a pipe").write_all(input);
    written.expect("the program reads its input");
    child.wait_with_output().expect("the program ends")
}

/// Returns the answer of the program to `--json`.
#[track_caller]
fn ask(arguments: &[&str]) -> Value {
    let output = call(&[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stderr, b"", "{output:?}");
    serde_json::from_slice(&output.stdout).expect("one JSON value")
}

/// Returns error and advice of the program with `--json`. Fails if its exit status is another.
#[track_caller]
fn ask_in_vain(arguments: &[&str], status: i32) -> (String, String) {
    let output = call(&[arguments, &["--json"]].concat());
    assert_eq!(output.status.code(), Some(status), "{output:?}");
    told(&output)
}

/// Returns the text of an error, and its advice.
#[track_caller]
fn told(output: &Output) -> (String, String) {
    let answer: Value = serde_json::from_slice(&output.stdout).expect("one JSON value");
    let text = |field: &str| answer[field].as_str().unwrap_or_default().to_owned();
    (text("error"), text("advice"))
}

#[case]
fn help_names_every_command() {
    let output = call(&["--help"]);
    assert!(output.status.success());
    let help = String::from_utf8(output.stdout).unwrap();
    for command in [
        "info", "regions", "peek", "poke", "copy", "fill", "crc", "watch", "bench",
    ] {
        assert!(
            help.contains(&format!("\n  {command} ")),
            "{command}: {help}"
        );
        let own = call(&[command, "--help"]);
        assert!(own.status.success(), "{command}");
    }
}

#[case]
fn info_shows_the_drivers_values() {
    let info = open().info().unwrap();
    let answer = ask(&["info"]);
    assert_eq!(answer["node"], NODE);
    assert_eq!(answer["queues"], info.queues);
    assert_eq!(answer["vectors"], info.vectors);
    assert_eq!(answer["device_memory"], info.device_memory_size);
    assert_eq!(answer["id"], "1af4:10f0");
    assert_eq!(answer["operations"][1], "COPY");
}

#[case]
fn regions_of_the_device_memory_fill_it() {
    let answer = ask(&["regions"]);
    let regions = answer["regions"].as_array().expect("a list");
    let parts = regions.iter().filter(|region| region["bar"] == 2);
    let size: u64 = parts.map(|part| part["size"].as_u64().unwrap()).sum();
    assert_eq!(size, open().info().unwrap().device_memory_size);
}

#[case]
fn poked_value_is_peeked() {
    for value in [0x1122_3344_5566_7788_u64, u64::MAX, 0] {
        let done = call(&["poke", "scratch", &format!("{value:#x}")]);
        assert!(done.status.success(), "{done:?}");
        let answer = ask(&["peek", "0x18"]);
        let register = &answer["registers"][0];
        assert_eq!(register["name"], "SCRATCH");
        assert_eq!(register["value"], value);
        let registers = open().map_public_registers().unwrap();
        let scratch = SCRATCH::INFO.offset;
        expect_register(scratch, registers.read::<u64>(scratch), value);
    }
}

#[case]
fn peek_without_a_place_shows_all_public_registers() {
    let text = String::from_utf8(call(&["peek"]).stdout).unwrap();
    assert!(text.starts_with("0x000  IDENT "), "{text}");
    assert!(text.contains(" ready=1"), "{text}");
    assert!(text.contains("LENGTH_LIMIT"), "{text}");
}

#[case]
fn poke_of_a_read_only_register_reports_the_refusal() {
    claim("touches reserved");
    let (error, _) = ask_in_vain(&["poke", "IDENT", "1"], 1);
    assert_eq!(error, "the device refused the access to 0x0: READ_ONLY");
    let (error, _) = ask_in_vain(&["peek", "0x800"], 1);
    assert!(error.ends_with("0x800: RESERVED_REGISTER"), "{error}");
}

#[case]
fn admin_register_is_a_command_line_error() {
    let output = call(&["peek", "QUEUE_STOP"]);
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("the driver's alone"), "{told}");
}

#[case]
fn copied_file_is_the_same_through_every_memory() {
    let bytes = pattern_bytes(seed(), SIZE);
    fs::write("/tmp/in", &bytes).unwrap();
    for memory in ["buffer", "write-combining", "uncached", "lazy"] {
        for arguments in [["--to", memory], ["--from", memory]] {
            fs::write("/tmp/out", "old").unwrap();
            let answer = ask(&[&["copy", "/tmp/in", "/tmp/out"][..], &arguments].concat());
            assert_eq!(answer["bytes"], SIZE);
            assert_eq!(answer["descriptors"], 2);
            assert!(fs::read("/tmp/out").unwrap() == bytes, "{arguments:?}");
        }
    }
}

#[case]
fn answer_does_not_mix_with_the_bytes() {
    let output = call_with_input(&["copy", "-", "-"], b"from here to there");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stdout, b"from here to there");
    assert!(output.stderr.starts_with(b"copy of 18 bytes from buffer"));
}

#[case]
fn filled_file_repeats_the_value() {
    let length = SIZE.to_string();
    let line = ["fill", "/tmp/filled", "--value", "0x0807060504030201"];
    let answer = ask(&[&line[..], &["--length", &length, "--to", "lazy"]].concat());
    assert_eq!(answer["bytes"], SIZE);
    let found = fs::read("/tmp/filled").unwrap();
    assert_eq!(found.len(), SIZE);
    let mut expected = (1..=8).cycle();
    assert!(found.iter().all(|byte| expected.next() == Some(*byte)));
}

#[case]
fn checksum_of_the_digits_has_the_known_value() {
    let output = call_with_input(&["crc", "-", "--json"], b"123456789");
    assert!(output.status.success(), "{output:?}");
    let answer: Value = serde_json::from_slice(&output.stdout).expect("one JSON value");
    assert_eq!(answer["crc32c"], 0xe306_9283_u32);
    assert_eq!(answer["bytes"], 9);
}

#[case]
fn checksum_goes_on_from_piece_to_piece() {
    let bytes = pattern_bytes(seed(), SIZE);
    fs::write("/tmp/in", &bytes).unwrap();
    let answer = ask(&["crc", "/tmp/in"]);
    assert_eq!(answer["descriptors"], 2);
    assert_eq!(answer["crc32c"], crc32c(0, &bytes));
}

#[case]
fn missing_file_is_named() {
    let (error, _) = ask_in_vain(&["crc", "/tmp/nothing"], 1);
    assert!(
        error.starts_with("cannot read /tmp/nothing: No such file"),
        "{error}"
    );
}

#[case]
fn missing_device_is_named_with_advice() {
    let (error, advice) = ask_in_vain(&["info", "--device", "/dev/ringbar99"], 1);
    assert!(error.contains("/dev/ringbar99"), "{error}");
    assert!(advice.contains("ls /dev/ringbar*"), "{advice}");
}

#[case]
fn user_without_rights_gets_advice() {
    let output = Command::new(PROGRAM)
        .args(["info", "--json"])
        .uid(NOBODY)
        .output();
    let output = output.expect("the program runs");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let (_, advice) = told(&output);
    assert!(advice.contains("try as root"), "{advice}");
}

#[case]
fn bench_measures_guest_rows_and_leaves_out_host_rows() {
    let output = call(&["bench", "load", "idle-wakeups", "--pairs", "1", "--json"]);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("one JSON object per line"));
    let lines: Vec<Value> = lines.collect();
    assert_eq!(lines[0]["row"]["name"], "load");
    assert_eq!(lines[0]["row"]["pairs"], 1);
    let reason = lines[1]["left_out"]["reason"].as_str().expect("a reason");
    assert!(reason.contains("make bench"), "{reason}");
    assert_eq!(lines.len(), 2);
}

#[case]
fn watch_counts_objects_in_use() {
    let queues = || ask(&["watch", "--count", "1"])["queues"].as_u64();
    let before = queues().expect("debugfs is there");
    let device = open();
    let _queue = device.create_queue(2).unwrap();
    assert_eq!(queues(), Some(before + 1));

    let output = call(&["watch", "--count", "2", "--interval", "0.01", "--json"]);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let times = text.lines().map(|line| {
        let line: Value = serde_json::from_str(line).expect("one JSON object per line");
        line["uptime_ns"].as_u64().expect("root sees the registers")
    });
    let times: Vec<_> = times.collect();
    assert_eq!(times.len(), 2);
    assert!(times[0] < times[1]);
}

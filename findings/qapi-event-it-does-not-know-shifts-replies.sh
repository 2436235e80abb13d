#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# qapi 0.15.0 (crates.io): its types are those of QEMU 9. QEMU 10.1 and newer announce by an event
# that a vhost-user backend has connected. While `execute` waits for its reply, such an event ends the
# call with an error. The reply stays in the stream, and the next `execute` returns it as its own, as
# the client gives its commands no `id`. From then on each command gets the reply of the one before.
# Expected: the event is skipped or kept, as those that the crate knows.
#
# What it means for a runner of virtual machines: after an upgrade of QEMU, answers of queries belong
# to other questions, and a program that goes on after the one error does not notice.
# shellcheck source=findings/lib.sh
source "$(dirname "$(realpath "$0")")/lib.sh"

found=$(rust_program 'qapi = { version = "=0.15.0", features = ["qmp"] }' <<'END'
use qapi::{qmp, Qmp};
use std::io::{BufRead, BufReader, Result, Write};
use std::os::unix::net::UnixStream;
use std::thread;

const GREETING: &str = r#"{"QMP": {"version": {"qemu": {"micro": 3, "minor": 1, "major": 11}, "package": ""}, "capabilities": []}}"#;
const EVENT: &str = r#"{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "NETDEV_VHOST_USER_CONNECTED", "data": {"netdev-id": "net0", "chardev-id": "char0"}}"#;

/// Answers the commands of a client as QEMU does. The event comes before the second answer.
fn answer(stream: UnixStream) -> Result<()> {
    let mut to = stream.try_clone()?;
    writeln!(to, "{GREETING}")?;
    for (number, command) in BufReader::new(stream).lines().enumerate() {
        command?;
        if number == 1 {
            writeln!(to, "{EVENT}")?;
        }
        match number {
            0 => writeln!(to, r#"{{"return": {{}}}}"#)?,
            _ => writeln!(to, r#"{{"return": {{"name": "answer {number}"}}}}"#)?,
        }
    }
    Ok(())
}

fn main() -> Result<()> {
    let (ours, theirs) = UnixStream::pair()?;
    let qemu = thread::spawn(|| answer(theirs));
    let mut client = Qmp::from_stream(&ours);
    client.handshake()?;
    for question in 1..=3 {
        let name = client.execute(&qmp::query_name {}).map(|info| info.name);
        match name {
            Ok(name) => println!("question {question}: {}", name.unwrap_or_default()),
            Err(_) => println!("question {question}: error"),
        }
    }
    ours.shutdown(std::net::Shutdown::Both)?;
    let _ = qemu.join();
    Ok(())
}
END
)
seen 'answers to three questions' 'question 1: error; question 2: answer 1; question 3: answer 2' "$(paste -sd ';' <<<"$found" | sed 's/;/; /g')"
finish

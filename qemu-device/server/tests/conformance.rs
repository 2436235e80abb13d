// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The server keeps every rule of the conformance kit. One process serves all cases, and ends with
//! no more descriptors, and little more memory, than it began with.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use ringbar_broker::serve::{self, Surroundings, Times};
use ringbar_broker::socket;
use ringbar_conformance::cases;
use ringbar_conformance::judge::Judge;
use ringbar_conformance::target::{ServerCommand, Target};

/// Time after which a server that does not reply counts as hung.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Random messages per case that sends them. The program of the kit sends more.
const MESSAGES: u64 = 3000;
/// The same behind a broker, which gets random messages in its own tests.
const FEW_MESSAGES: u64 = 200;

/// Most that the server's memory may grow by.
const GROWTH: u64 = 64 << 20;

/// Rules about parts that this server does not have.
const NOT_APPLICABLE: &[&str] = &[
    "irqs/mask-and-unmask-of-a-maskable-type-are-accepted",
    "other/reset-of-a-device-without-reset-is-refused",
    "region/read-of-an-unreadable-region-is-refused",
    "region/write-to-an-unwritable-region-is-refused",
    "write-multi/200-writes-are-accepted-if-offered",
    "write-multi/one-write-is-accepted-if-offered",
];

/// Rules about the process that listens. Behind a broker, that is the process of the test.
const ABOUT_THE_PROCESS: &[&str] = &[
    "fds/kept-ones-are-closed-on-exec",
    "fds/open-in-the-server-are-as-many-after-as-before",
    "robustness/memory-stays-bounded",
];

/// Judges a server with these options.
#[track_caller]
fn assert_conformant(options: &str) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let server = env!("CARGO_BIN_EXE_ringbar-server");
    let command = ServerCommand {
        line: format!("'{server}' --socket '{}' {options}", socket.display()),
        log: None,
    };
    let target = Target::new(socket, TIMEOUT, Some(command));
    let mut judge = Judge::new(target, 1, MESSAGES).unwrap();
    let before = judge.usage().unwrap().expect("the server's own process");
    let (broken, skipped) = judge.run_all(&cases::select(&[], &[]));

    assert!(broken.is_empty(), "rules broken:\n{}", broken.join("\n"));
    let expected: BTreeSet<String> = NOT_APPLICABLE.iter().map(|name| (*name).into()).collect();
    assert_eq!(skipped, expected);
    let after = judge.usage().unwrap().expect("the server's own process");
    assert_eq!(judge.starts(), 1, "the server was started again");
    assert_eq!(after.open_files, before.open_files, "descriptors");
    let growth = after.peak_memory - before.peak_memory;
    println!(
        "memory grew by {growth} bytes, {} descriptors",
        after.open_files
    );
    assert!(growth <= GROWTH, "memory grew by {growth} bytes");
}

#[test]
fn server_behind_a_broker_keeps_every_rule() {
    let folder = tempfile::tempdir().unwrap();
    let [client, path] = ["client", "server"].map(|name| folder.path().join(name));
    let listener = socket::listen(&client).unwrap();
    let server = env!("CARGO_BIN_EXE_ringbar-server");
    let mut server = Command::new(server)
        .arg("--socket")
        .arg(&path)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Ends with the process: it waits for clients for ever.
    thread::spawn(move || {
        let around = Surroundings {
            server: &path,
            files: None,
            times: Times {
                // A slow machine must not make the server a dead one.
                limit: TIMEOUT,
                pause: Duration::from_millis(1),
            },
        };
        serve::run(&listener, around, false)
    });

    let target = Target::new(client, TIMEOUT, None);
    let result = Judge::new(target, 1, FEW_MESSAGES)
        .map(|mut judge| judge.run_all(&cases::select(&[], &[])));
    server.kill().unwrap();
    server.wait().unwrap();

    let (broken, skipped) = result.unwrap();
    assert!(broken.is_empty(), "rules broken:\n{}", broken.join("\n"));
    let expected = NOT_APPLICABLE.iter().chain(ABOUT_THE_PROCESS);
    let expected: BTreeSet<String> = expected.map(|name| (*name).into()).collect();
    assert_eq!(skipped, expected);
}

#[test]
fn server_with_msix_keeps_every_rule() {
    assert_conformant("--interrupts msix --queues 4");
}

#[test]
fn server_with_msi_and_one_queue_keeps_every_rule() {
    assert_conformant("--interrupts msi --queues 1");
}

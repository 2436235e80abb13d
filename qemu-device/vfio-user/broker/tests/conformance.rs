// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A server keeps every rule of the conformance kit behind a broker that it keeps without one.

use std::collections::BTreeSet;
use std::os::unix::net::UnixListener;
use std::thread;
use std::time::Duration;

use ringbar_conformance::cases;
use ringbar_conformance::judge::Judge;
use ringbar_conformance::target::{ServerCommand, Target};
use ringbar_endpoint::Connection;
use ringbar_example_sum::Sum;

/// Time after which a server that does not reply counts as hung.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Random messages per case that sends them. The program of the kit sends more.
const MESSAGES: u64 = 200;

/// Rules about the process that listens. The server alone is a thread of this one.
const ABOUT_THE_PROCESS: &[&str] = &[
    "fds/kept-ones-are-closed-on-exec",
    "fds/open-in-the-server-are-as-many-after-as-before",
    "robustness/memory-stays-bounded",
];

/// Returns the rules broken, and the cases skipped.
fn verdict(target: Target) -> (Vec<String>, BTreeSet<String>) {
    let mut judge = Judge::new(target, 1, MESSAGES).unwrap();
    let verdict = judge.run_all(&cases::select(&[], &[]));
    assert!(judge.starts() <= 1, "it was started again");
    verdict
}

#[test]
fn verdict_behind_a_broker_in_its_sandbox_is_that_of_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let [direct, behind] = ["direct", "behind"].map(|name| folder.path().join(name));
    let listener = UnixListener::bind(&direct).unwrap();
    // Ends with the process: it waits for clients for ever.
    thread::spawn(move || {
        for client in listener.incoming() {
            // A client that breaks a rule is dropped, and the next one served.
            let _dropped = Connection::new(client.unwrap()).serve(&mut Sum::endpoint().unwrap());
        }
    });
    let command = ServerCommand {
        // A loaded machine must not make a slow server a dead one.
        line: format!(
            "'{}' --socket '{}' --server '{}' --answer-within 60000 --client-waits 60001 \
             --look-every 1",
            env!("CARGO_BIN_EXE_ringbar-broker"),
            behind.display(),
            direct.display()
        ),
        log: None,
    };

    let without = verdict(Target::new(direct, TIMEOUT, None));
    let with = verdict(Target::new(behind, TIMEOUT, Some(command)));

    assert_eq!(without.0, Vec::<String>::new());
    assert_eq!(with.0, without.0);
    // These are judged now, and kept.
    let about_the_process = ABOUT_THE_PROCESS.iter().map(|name| (*name).to_owned());
    let expected: BTreeSet<String> = with.1.into_iter().chain(about_the_process).collect();
    assert_eq!(expected, without.1);
}

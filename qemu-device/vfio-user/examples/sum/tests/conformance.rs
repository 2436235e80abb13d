// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The server keeps every rule of the conformance kit, and one process serves all of its clients,
//! also after those that it had to drop.

use std::collections::BTreeSet;
use std::time::Duration;

use ringbar_conformance::cases;
use ringbar_conformance::judge::Judge;
use ringbar_conformance::target::{ServerCommand, Target};

const SERVER: &str = env!("CARGO_BIN_EXE_ringbar-example-sum");
/// Time after which a server that does not reply counts as hung.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Random messages per case that sends them. The program of the kit sends more.
const MESSAGES: u64 = 3000;

/// Rules about parts that this device does not have: BARs that a client maps, several vectors,
/// masks.
const NOT_APPLICABLE: &[&str] = &[
    "info/region-capabilities-are-left-out-if-there-is-no-room",
    "info/region-capabilities-come-if-there-is-just-room",
    "info/region-capabilities-are-a-list-inside-the-reply",
    "info/region-sparse-areas-are-pages-inside-the-region",
    "info/region-that-may-be-mapped-comes-with-one-file",
    "info/region-that-may-be-mapped-comes-with-its-file-at-the-first-question",
    "info/region-file-covers-the-mappable-areas",
    "info/region-file-cannot-shrink-under-the-client",
    "irqs/fewer-descriptors-than-count-are-refused",
    "irqs/bool-with-less-data-than-count-is-refused",
    "irqs/mask-and-unmask-of-a-maskable-type-are-accepted",
    "region/read-of-an-unreadable-region-is-refused",
    "region/write-to-an-unwritable-region-is-refused",
    "write-multi/one-write-is-accepted-if-offered",
    "write-multi/200-writes-are-accepted-if-offered",
    "other/reset-of-a-device-without-reset-is-refused",
];

#[test]
fn one_process_keeps_every_rule() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let command = ServerCommand {
        line: format!("'{SERVER}' --socket '{}'", socket.display()),
        log: None,
    };
    let target = Target::new(socket, TIMEOUT, Some(command));
    let mut judge = Judge::new(target, 1, MESSAGES).unwrap();
    let (broken, skipped) = judge.run_all(&cases::select(&[], &[]));

    assert!(broken.is_empty(), "rules broken:\n{}", broken.join("\n"));
    let expected: BTreeSet<String> = NOT_APPLICABLE.iter().map(|name| (*name).into()).collect();
    assert_eq!(skipped, expected);
    assert_eq!(judge.starts(), 1, "the server was started again");
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What becomes of a process's queues, windows and mappings when the process changes: `vfork`,
//! `exec`, shared memory, files in other hands, core files, advice, seals, Landlock.
//!
//! `guest-driver/README.md` has the table of the expected results, "When a process changes".

mod advised;
mod confined;
mod dumped;
mod estate;
mod executed;
mod handed_over;
mod link;
mod sealed;
mod shared;

use ringbar_client::Error;
use ringbar_tests::debugfs::{RINGBAR, UNUSED};
use ringbar_tests::{arguments, run, until};
use rustix::io::Errno;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(words) = arguments::role() else {
        return run();
    };
    match words.split_first() {
        Some((role, words)) if role == executed::HEIR => executed::inherit(words),
        Some((role, words)) if role == executed::SUCCESSOR => executed::succeed_to(words),
        Some((role, _)) if role == executed::STRANGER => executed::find_nothing(),
        Some((role, _)) if role == dumped::READER => dumped::read(),
        _ => panic!("{words:?}: no such role"),
    }
    ExitCode::SUCCESS
}

/// Waits until no file has objects or mappings.
#[track_caller]
fn all_is_freed() {
    until("the objects are freed", || RINGBAR.usage() == UNUSED);
    assert_eq!(RINGBAR.count(), 0, "mappings");
}

#[track_caller]
fn refused<T>(result: Result<T, Error>, errno: Errno) {
    let error = result.err().expect("the call is refused");
    assert_eq!(error.errno(), Some(errno), "{error}");
}

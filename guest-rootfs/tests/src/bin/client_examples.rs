// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The examples of the client library run to their end.

#[path = "../../../client/examples/copy.rs"]
mod copy;
#[path = "../../../client/examples/epoll.rs"]
mod epoll;
#[path = "../../../client/examples/eventfd.rs"]
mod eventfd;
#[path = "../../../client/examples/polling.rs"]
mod polling;

use ringbar_tests::{case, run};
use std::process::ExitCode;

fn main() -> ExitCode {
    run()
}

#[case]
fn copy() {
    copy::main().unwrap();
}

#[case]
fn epoll() {
    epoll::main().unwrap();
}

#[case]
fn eventfd() {
    eventfd::main().unwrap();
}

#[case]
fn polling() {
    polling::main().unwrap();
}

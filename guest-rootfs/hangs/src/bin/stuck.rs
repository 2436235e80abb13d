// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Opens the device's node and closes it. In the kernel module that is built with the
//! fault `stuck` (`guest-driver/sabotage.rs`), the close never returns.

use ringbar_client::Device;
use ringbar_tests::{case, run, NODE};
use std::process::ExitCode;

fn main() -> ExitCode {
    run()
}

#[case]
fn closes_a_file() {
    drop(Device::open(NODE).expect("the device can be opened"));
}

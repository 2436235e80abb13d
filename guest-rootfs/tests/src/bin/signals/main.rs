// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Calls among signals: each is carried out once, lasts as long as its time-out, and ends at once
//! when its process is killed.

mod batch;
mod killed;
mod raw;
mod reset;
mod transfer;
mod turn;
mod wait;

use ringbar_tests::run;
use std::process::ExitCode;

fn main() -> ExitCode {
    run()
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Sleeps for ever, as one does who waits for what never comes.

use ringbar_tests::run;
use std::process::ExitCode;

fn main() -> ExitCode {
    run(&[("begins", || ()), ("sleeps", sleep)])
}

fn sleep() {
    loop {
        std::thread::park();
    }
}

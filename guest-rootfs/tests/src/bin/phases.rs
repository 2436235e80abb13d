// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Unbinds and binds the driver while nobody uses the device, for the witness: what it touches then is listed in
//! `guest-driver/README.md`.

use ringbar_tests::witness::{claim, during};
use ringbar_tests::{case, run, PciFunction};
use std::process::ExitCode;

fn main() -> ExitCode {
    run()
}

#[case]
fn idle_driver_leaves_and_comes_back() {
    let function = PciFunction::under_test();
    let unbound = during("remove", || {
        touches_all();
        function.unbind()
    });
    during("probe", || {
        touches_all();
        drop(unbound);
    });
}

/// Nothing is listed that is not touched.
fn touches_all() {
    claim("touches all");
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Unbinds and binds the driver while no process uses the device, for the witness.
//! `guest-driver/README.md` lists the accesses of these phases.

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

/// Claims that the driver touches every listed register.
fn touches_all() {
    claim("touches all");
}

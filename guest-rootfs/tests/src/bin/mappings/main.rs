// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Every kind of mapping against every rule. The expected results are in the table of
//! `guest-driver/README.md`, which the build includes in this program.

mod kind;
mod regions;
mod table;

use ringbar_tests::rules::{self, Driver};
use ringbar_tests::{case, debugfs, run};
use std::process::ExitCode;

fn main() -> ExitCode {
    run()
}

/// The rules of the mapping layer, for each kind.
#[case(rules::each_kind)]
fn mappings() -> Driver {
    kind::driver()
}

#[case]
fn table_and_program_have_the_same_kinds() {
    let known: Vec<_> = kind::KINDS.iter().map(|(name, _)| *name).collect();
    let rows: Vec<_> = table::rows().into_iter().map(|row| row.kind).collect();
    assert_eq!(rows, known);
}

#[case]
fn policy_device_has_the_bits_of_uncached() {
    assert_eq!(
        debugfs::RINGBAR.policy_bits("device"),
        debugfs::RINGBAR.policy_bits("uncached")
    );
    assert_ne!(
        debugfs::RINGBAR.policy_bits("device"),
        debugfs::RINGBAR.policy_bits("cached")
    );
}

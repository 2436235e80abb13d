// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Every kind of mapping against every rule. The expected results are in the table of
//! `guest-driver/README.md`, which the build includes in this program.

mod kind;
mod regions;
mod table;

use ringbar_tests::rules::{self, Driver};
use ringbar_tests::{case, debugfs, run};
use std::collections::BTreeSet;
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
    let known: Vec<_> = kind::kinds().map(|(name, _)| name).collect();
    let rows: Vec<_> = table::rows().into_iter().map(|row| row.kind).collect();
    assert_eq!(rows, known);
}

#[case]
fn policy_device_has_the_bits_of_uncached_on_x86_alone() {
    assert_eq!(
        debugfs::RINGBAR.policy_bits("device") == debugfs::RINGBAR.policy_bits("uncached"),
        cfg!(target_arch = "x86_64")
    );
}

#[case]
fn other_policies_have_bits_of_their_own() {
    let policies = ["cached", "write-combining", "uncached"];
    let bits: BTreeSet<_> = policies
        .into_iter()
        .chain(cfg!(target_arch = "aarch64").then_some("device"))
        .map(|policy| debugfs::RINGBAR.policy_bits(policy))
        .collect();

    let expected = if cfg!(target_arch = "aarch64") { 4 } else { 3 };
    assert_eq!(bits.len(), expected, "{bits:?}");
}

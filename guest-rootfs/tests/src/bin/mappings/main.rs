// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Every kind of mapping against every rule. What is expected of a kind stands in the table of
//! `guest-driver/README.md`, which this program is built with.

mod child;
mod core_file;
mod kind;
mod page_table;
mod raw;
mod rules;
mod smaps;
mod table;

use ringbar_tests::{debugfs, run_all, Case};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut cases = vec![
        Case::new("table_and_program_have_the_same_kinds", || {
            let known: Vec<_> = kind::KINDS.iter().map(|kind| kind.name).collect();
            let rows: Vec<_> = table::rows().into_iter().map(|row| row.kind).collect();
            assert_eq!(rows, known);
        }),
        Case::new("policy_device_has_the_bits_of_uncached", || {
            assert_eq!(
                debugfs::policy_bits("device"),
                debugfs::policy_bits("uncached")
            );
            assert_ne!(
                debugfs::policy_bits("device"),
                debugfs::policy_bits("cached")
            );
        }),
        Case::new(
            "public_registers_need_cap_sys_rawio",
            rules::public_registers_need_capability,
        ),
        Case::skippable(
            "root_of_a_user_namespace_cannot_map_the_public_registers",
            rules::root_of_a_user_namespace_is_refused,
        ),
        Case::new(
            "no_page_of_bar_0_but_ones_own_can_be_mapped",
            rules::foreign_pages_are_refused,
        ),
        Case::new(
            "region_of_another_file_cannot_be_mapped",
            rules::foreign_regions_are_refused,
        ),
        Case::new("memory_is_zeroed_when_handed_out", rules::memory_is_zeroed),
        Case::new(
            "children_that_ended_leave_nothing_while_the_file_is_open",
            rules::children_leave_nothing,
        ),
    ];
    for kind in kind::KINDS {
        for (rule, check) in rules::RULES {
            cases.push(Case::skippable(format!("{}: {rule}", kind.name), || {
                check(kind, &table::row(kind.name))
            }));
        }
    }
    run_all(cases)
}

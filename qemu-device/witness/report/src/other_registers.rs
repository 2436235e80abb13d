// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Accesses to the registers of another device than ringbar's, by register and author.

use std::collections::BTreeMap;

use maud::{html, Markup};
use ringbar_records::place::{Place, Space};

use crate::names::Site;
use crate::page::{left_out, who_class};
use crate::run::Run;

/// Accesses of one author to one register: its offset and name, whether they were writes, the code.
type Use<'a> = (u64, &'a str, bool, &'a Site);

/// Returns how often each author accessed each register.
fn uses(run: &Run) -> BTreeMap<Use<'_>, u64> {
    let mut uses = BTreeMap::new();
    for (moment, place, write, count) in run.accesses() {
        let Place {
            space,
            name,
            offset,
        } = place;
        if *space == Space::Register {
            let made: &mut u64 = uses
                .entry((*offset, name.as_str(), write, &moment.site))
                .or_default();
            *made = made.saturating_add(count);
        }
    }
    uses
}

/// Renders the table, with at most so many rows.
pub(crate) fn render(run: &Run, rows: usize) -> Markup {
    let uses = uses(run);
    html! {
        h2 id="who" { "Accesses, by register and actor" }
        p { "The names are those that the device's server prints with " code { "--registers" } "." }
        table {
            tr { th { "register" } th { "access" } th { "by" } th { "function" } th { "where" } th.n { "times" } }
            @for ((_, name, write, site), count) in uses.iter().take(rows) {
                tr {
                    td.c { (name) }
                    td { @if *write { "write" } @else { "read" } }
                    td class=(who_class(&site.owner)) { (site.owner) }
                    td.c { (site.function) }
                    td.c { (site.place) }
                    td.n { (count) }
                }
            }
        }
        (left_out(uses.len(), rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::tests::{access, moment};
    use crate::run::{Happening, Moment};
    use ringbar_records::record::Access;
    use ringbar_records::register_names::RegisterNames;

    /// Returns an access to a register that a server has named.
    fn named(offset: u64, write: bool, owner: &str) -> Moment {
        let names = RegisterNames::parse("0 0x0c START\n0 0x10 SUM\n").expect("names");
        let access = Access {
            place: names.place(0, offset, true),
            ..access(offset, write, 1)
        };
        Moment {
            site: Site {
                owner: owner.to_owned(),
                ..Site::default()
            },
            ..moment(Happening::Access(access))
        }
    }

    #[test]
    fn accesses_are_counted_by_register_and_author() {
        let run = Run {
            moments: vec![
                named(0x10, false, "driver"),
                named(0x0c, true, "driver"),
                named(0x10, false, "sum"),
                named(0x10, false, "driver"),
            ],
            ..Run::default()
        };

        let uses = uses(&run);

        let uses: Vec<_> = uses
            .iter()
            .map(|((_, name, write, site), count)| (*name, *write, site.owner.as_str(), *count))
            .collect();
        assert_eq!(
            uses,
            [
                ("START", true, "driver", 1),
                ("SUM", false, "driver", 2),
                ("SUM", false, "sum", 1)
            ]
        );
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Comparison of the guest's accesses to registers with those that the device knows.

use std::collections::BTreeMap;

use ringbar_records::record::{Access, What};

use crate::run::{Happening, Moment, Run};
use crate::split::{pieces, Piece};
use crate::witness::{claim_of, in_registers, in_words, MOST};

/// The guest's accesses of one kind, and the device's.
#[derive(Default)]
struct Balance<'a> {
    made: u64,
    heard: u64,
    /// First access of the guest, with its moment.
    first: Option<(&'a Moment, &'a Access)>,
}

/// Compares the trapped accesses to registers with the accesses that the device reports.
///
/// They are compared piece by piece, because QEMU splits accesses. They are counted, not compared in
/// order. Accesses of two vCPUs within microseconds may be recorded in either order.
pub(crate) fn check_device(run: &Run) -> Vec<String> {
    let is_event = |moment: &Moment| matches!(moment.what, Happening::Event(_));
    if !run.moments.iter().any(is_event) {
        return vec![
            "the device wrote no event, so its work was not recorded; server.log may have the reason"
                .to_owned(),
        ];
    }
    let armed = run.armed.unwrap_or_default();
    let mut balances = BTreeMap::<String, Balance<'_>>::new();
    for moment in run.moments.iter().filter(|moment| moment.time() >= armed) {
        match &moment.what {
            Happening::Event(event) => {
                if let Some(heard) = heard(&event.what) {
                    balances.entry(heard).or_default().heard += 1;
                }
            }
            Happening::Access(access) if access.trapped && in_registers(&access.place) => {
                for piece in pieces(access) {
                    let Piece {
                        offset,
                        width,
                        value,
                    } = piece;
                    let words = in_words(access.write, offset, width, value);
                    let balance = balances.entry(words).or_default();
                    balance.made = balance.made.saturating_add(access.count);
                    balance.first.get_or_insert((moment, access));
                }
            }
            Happening::Access(_) | Happening::Sum(_) => {}
        }
    }
    let differ = balances.iter();
    let differ = differ.filter(|(_, balance)| balance.made != balance.heard);
    let differ = differ.take(MOST);
    differ
        .map(|(words, balance)| imbalance(words, balance))
        .collect()
}

/// Returns the complaint about accesses that the device knows more or less often.
fn imbalance(words: &str, balance: &Balance<'_>) -> String {
    let Balance { made, heard, first } = balance;
    let who = first.map_or_else(String::new, |(moment, access)| {
        let whole = claim_of(access);
        let part = if whole == words {
            String::new()
        } else {
            format!("a part of `{whole}`, ")
        };
        format!(" ({part}{})", moment.site.function)
    });
    format!("the guest made `{words}` {made} times{who}; the device recorded {heard}")
}

/// Returns an access that the device answered, in the words of a claim.
fn heard(what: &What) -> Option<String> {
    match what {
        What::Register {
            place,
            width,
            write,
            value,
        } if in_registers(place) => Some(in_words(*write, place.offset, *width, *value)),
        _ => None,
    }
}

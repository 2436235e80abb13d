// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The rules, by group.

mod disconnect;
mod dma;
mod drip;
mod fds;
mod header;
mod info;
mod irqs;
mod other;
mod region;
mod replies;
mod robustness;
mod samples;
mod version;
mod write_multi;

use crate::case::{Case, Group};
use crate::judge::Selected;

/// Returns the cases of a group.
pub(crate) const fn of(group: Group) -> &'static [Case] {
    match group {
        Group::Header => header::CASES,
        Group::Version => version::CASES,
        Group::Dma => dma::CASES,
        Group::Info => info::CASES,
        Group::Irqs => irqs::CASES,
        Group::Region => region::CASES,
        Group::WriteMulti => write_multi::CASES,
        Group::Other => other::CASES,
        Group::Fds => fds::CASES,
        Group::Replies => replies::CASES,
        Group::Drip => drip::CASES,
        Group::Disconnect => disconnect::CASES,
        Group::Robustness => robustness::CASES,
    }
}

/// Returns the cases of the groups whose names contain one of the texts. Without groups, all groups
/// count; without texts, all names do.
///
/// ```
/// use ringbar_conformance::case::Group;
/// use ringbar_conformance::cases::select;
///
/// let all = select(&[], &[]);
/// let some = select(&[Group::Dma], &["unmap".to_owned()]);
/// assert!(some.len() < all.len());
/// assert!(some.iter().all(|selected| selected.name().starts_with("dma/")));
/// ```
pub fn select(groups: &[Group], texts: &[String]) -> Vec<Selected> {
    Group::ALL
        .iter()
        .filter(|group| groups.is_empty() || groups.contains(group))
        .flat_map(|&group| of(group).iter().map(move |case| Selected { group, case }))
        .filter(|selected| {
            let name = selected.name();
            texts.is_empty() || texts.iter().any(|text| name.contains(text.as_str()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn there_are_at_least_150_cases_and_names_are_unique() {
        let all = select(&[], &[]);
        let names: BTreeSet<String> = all.iter().map(Selected::name).collect();

        assert_eq!(names.len(), all.len());
        assert!(names.len() >= 150, "{}", names.len());
    }

    #[test]
    fn names_are_in_small_letters_with_dashes() {
        for selected in select(&[], &[]) {
            let name = selected.case.name;
            let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(name.chars().all(fits), "{name}");
        }
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A complaint of the witness, and the choice of complaints for the terminal.

use std::collections::BTreeMap;
use std::fmt;

/// Most complaints in the terminal. Otherwise they would push failed cases out of sight.
const SHOWN: usize = 5;

/// A difference between the run and a claim of a test or document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Complaint {
    /// Case with the complaint, if it is about one.
    pub(crate) place: Option<String>,
    /// Description.
    pub(crate) text: String,
}

impl Complaint {
    /// Returns a complaint about the whole run.
    pub(crate) fn of_the_run(text: impl Into<String>) -> Self {
        Self {
            place: None,
            text: text.into(),
        }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{place}: {}", self.text),
            None => write!(f, "{}", self.text),
        }
    }
}

/// Returns the complaints for the terminal, in their order. Each case gets its first one before
/// another case gets its second.
pub(crate) fn shown(complaints: &[Complaint]) -> Vec<&Complaint> {
    let mut rounds = BTreeMap::<&Option<String>, usize>::new();
    let mut ranked: Vec<(usize, usize)> = (0..)
        .zip(complaints)
        .map(|(number, complaint)| {
            let round = rounds.entry(&complaint.place).or_default();
            *round = round.saturating_add(1);
            (*round, number)
        })
        .collect();
    ranked.sort_unstable();
    ranked.truncate(SHOWN);
    ranked.sort_unstable_by_key(|(_, number)| *number);
    let found = ranked.iter();
    found
        .filter_map(|(_, number)| complaints.get(*number))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(texts: &[(&str, &str)]) -> Vec<Complaint> {
        let complaint = |(place, text): &(&str, &str)| Complaint {
            place: Some((*place).to_owned()),
            text: (*text).to_owned(),
        };
        texts.iter().map(complaint).collect()
    }

    fn told(complaints: &[Complaint]) -> Vec<String> {
        shown(complaints).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn few_complaints_are_all_shown() {
        let few = complaints(&[("a", "1"), ("b", "2")]);

        assert_eq!(told(&few), ["a: 1", "b: 2"]);
    }

    #[test]
    fn case_with_many_complaints_does_not_hide_the_others() {
        let mut many = complaints(&[("a", "1"); 9]);
        many.extend(complaints(&[("b", "2"), ("b", "3"), ("c", "4")]));
        many.push(Complaint::of_the_run("5"));

        assert_eq!(told(&many), ["a: 1", "a: 1", "b: 2", "c: 4", "5"]);
    }

    #[test]
    fn no_more_than_five_are_shown() {
        assert_eq!(told(&complaints(&[("a", "1"); 30])).len(), 5);
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A complaint of the witness, and the order of complaints for people.

use std::collections::BTreeMap;
use std::fmt;

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

/// Returns all complaints, such that the first ones show as much as possible: each case gets its
/// first one before another case gets its second.
pub(crate) fn in_turns(complaints: &[Complaint]) -> Vec<&Complaint> {
    let mut turns = BTreeMap::<&Option<String>, usize>::new();
    let mut ranked: Vec<(usize, &Complaint)> = complaints
        .iter()
        .map(|complaint| {
            let turn = turns.entry(&complaint.place).or_default();
            *turn = turn.saturating_add(1);
            (*turn, complaint)
        })
        .collect();
    // Stable: complaints of one turn stay in the order of the run.
    ranked.sort_by_key(|(turn, _)| *turn);
    ranked.into_iter().map(|(_, complaint)| complaint).collect()
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
        in_turns(complaints)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn complaints_of_different_cases_keep_their_order() {
        let few = complaints(&[("b", "1"), ("a", "2")]);

        assert_eq!(told(&few), ["b: 1", "a: 2"]);
    }

    #[test]
    fn case_with_many_complaints_does_not_hide_the_others() {
        let mut many = complaints(&[("a", "1"), ("a", "2"), ("a", "3")]);
        many.extend(complaints(&[("b", "4"), ("b", "5"), ("c", "6")]));
        many.push(Complaint::of_the_run("7"));

        let told = told(&many);

        assert_eq!(told, ["a: 1", "b: 4", "c: 6", "7", "a: 2", "b: 5", "a: 3"]);
    }
}

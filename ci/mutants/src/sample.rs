// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The mutants to run, in an order that depends on the seed and their names alone.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::mutant::Mutant;

/// Returns up to `most` mutants, drawn by the seed. A larger sample begins with the smaller one. If a
/// source changes, the mutants that stay keep their order: otherwise each new line would draw a
/// sample without results.
pub(crate) fn draw(mut mutants: Vec<Mutant>, seed: u64, most: usize) -> Vec<Mutant> {
    mutants.sort_by_cached_key(|mutant| {
        let mut hasher = DefaultHasher::new();
        (seed, mutant.key()).hash(&mut hasher);
        hasher.finish()
    });
    mutants.truncate(most);
    mutants
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutant;

    /// Returns mutants with these lines.
    fn mutants(lines: &[usize]) -> Vec<Mutant> {
        let entries: Vec<String> = lines
            .iter()
            .map(|line| {
                format!(
                    r#"{{"name": "a.rs:{line}:1: change {line}", "file": "a.rs", "replacement": "",
                        "span": {{"start": {{"line": {line}, "column": 1}}, "end": {{"line": {line}, "column": 2}}}}}}"#
                )
            })
            .collect();
        mutant::read(&format!("[{}]", entries.join(","))).expect("a list")
    }

    /// Returns the names of a sample.
    fn names(lines: &[usize], seed: u64, most: usize) -> Vec<String> {
        draw(mutants(lines), seed, most)
            .iter()
            .map(Mutant::key)
            .collect()
    }

    #[test]
    fn same_seed_draws_the_same_mutants() {
        let lines: Vec<usize> = (1..100).collect();
        assert_eq!(names(&lines, 7, 10), names(&lines, 7, 10));
        assert_ne!(names(&lines, 7, 10), names(&lines, 8, 10));
    }

    #[test]
    fn larger_sample_begins_with_the_smaller_one() {
        let lines: Vec<usize> = (1..100).collect();
        assert_eq!(names(&lines, 7, 30)[..10], names(&lines, 7, 10));
    }

    #[test]
    fn mutant_that_goes_changes_the_order_of_no_other() {
        let all: Vec<usize> = (1..100).collect();
        let mut left = names(&all, 7, 100);
        left.retain(|name| !name.ends_with("change 50"));
        let others: Vec<usize> = all.into_iter().filter(|line| *line != 50).collect();
        assert_eq!(names(&others, 7, 100), left);
    }

    #[test]
    fn sample_has_each_mutant_once() {
        let mut drawn = names(&[1, 2, 3, 4, 5], 7, 300);
        drawn.sort();
        drawn.dedup();
        assert_eq!(drawn.len(), 5);
    }
}

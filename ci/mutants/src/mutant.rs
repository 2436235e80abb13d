// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Mutants, as cargo-mutants lists them, with names that stay when lines move.

use std::collections::HashMap;

use serde::Deserialize;

use crate::error::Error;

/// Comment that cargo-mutants puts behind its changes. Ours have it too.
const MARK: &str = "/* ~ changed by cargo-mutants ~ */";

/// A place in a file; both numbers begin with 1. The column counts characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(crate) struct Place {
    /// The line.
    pub(crate) line: usize,
    /// The column.
    pub(crate) column: usize,
}

/// A part of a file. The end is not part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Span {
    /// First character.
    pub(crate) start: Place,
    /// Character behind the last one.
    pub(crate) end: Place,
}

/// A mutant in cargo-mutants' list.
#[derive(Clone, Debug, Deserialize)]
struct Listed {
    name: String,
    file: String,
    span: Span,
    replacement: String,
}

/// One change of a source file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mutant {
    /// Path of the file in the checkout.
    pub(crate) file: String,
    /// The part that is replaced.
    pub(crate) span: Span,
    /// The text in its place.
    pub(crate) replacement: String,
    /// The change in words, without its place. Later ones of the same words in the file have their
    /// number: `replace < with == in check #2`.
    pub(crate) change: String,
    /// cargo-mutants' own name, with line and column.
    pub(crate) listed: String,
}

impl Mutant {
    /// Returns the name under which results and reasons are kept. It has no line.
    pub(crate) fn key(&self) -> String {
        format!("{}: {}", self.file, self.change)
    }

    /// Returns the name for people: the place and the change.
    pub(crate) fn shown(&self) -> String {
        format!("{}:{}: {}", self.file, self.span.start.line, self.change)
    }

    /// Returns the text of the file with the change. Fails if the file has no such place.
    pub(crate) fn apply(&self, text: &str) -> Result<String, Error> {
        let start = offset(text, self.span.start);
        let end = offset(text, self.span.end);
        let parts = start.zip(end).and_then(|(start, end)| {
            Some((text.get(..start)?, text.get(start..end)?, text.get(end..)?))
        });
        match parts {
            Some((before, _, after)) => Ok(format!("{before}{} {MARK}{after}", self.replacement)),
            None => Err(Error::Place {
                mutant: self.listed.clone(),
            }),
        }
    }
}

/// Returns the number of bytes before a place, or `None` if the text has no such place.
fn offset(text: &str, place: Place) -> Option<usize> {
    let mut before = 0_usize;
    let mut lines = text.split_inclusive('\n');
    for _ in 1..place.line {
        before = before.checked_add(lines.next()?.len())?;
    }
    let line = lines.next().unwrap_or_default();
    let column = place.column.checked_sub(1)?;
    let within = line
        .char_indices()
        .map(|(at, _)| at)
        .chain([line.len()])
        .nth(column)?;
    before.checked_add(within)
}

/// Reads cargo-mutants' list, in the order of files and lines, each change once.
pub(crate) fn read(list: &str) -> Result<Vec<Mutant>, Error> {
    let mut listed: Vec<Listed> = serde_json::from_str(list).map_err(Error::List)?;
    listed.sort_by(|a, b| {
        (&a.file, a.span.start, a.span.end, &a.name).cmp(&(
            &b.file,
            b.span.start,
            b.span.end,
            &b.name,
        ))
    });
    listed.dedup_by(|a, b| a.name == b.name);
    let mut seen: HashMap<String, u32> = HashMap::new();
    let mutants = listed.into_iter().map(|listed| {
        let file = listed.file.clone();
        let words = change(&listed);
        let number = seen.entry(format!("{file}: {words}")).or_default();
        *number = number.saturating_add(1);
        let change = if *number == 1 {
            words
        } else {
            format!("{words} #{number}")
        };
        Mutant {
            file,
            span: listed.span,
            replacement: listed.replacement,
            change,
            listed: listed.name,
        }
    });
    Ok(mutants.collect())
}

/// Returns the change in words, without file, line and column, and in one line.
fn change(listed: &Listed) -> String {
    let Span { start, .. } = listed.span;
    let place = format!("{}:{}:{}: ", listed.file, start.line, start.column);
    let words = listed.name.strip_prefix(&place).unwrap_or(&listed.name);
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns an entry of a list.
    fn entry(line: usize, from: usize, to: usize, words: &str, replacement: &str) -> String {
        format!(
            r#"{{"name": "src/a.rs:{line}:{from}: {words}", "file": "src/a.rs", "replacement": "{replacement}",
                "span": {{"start": {{"line": {line}, "column": {from}}}, "end": {{"line": {line}, "column": {to}}}}}}}"#
        )
    }

    /// Reads a list of these entries.
    fn list(entries: &[String]) -> Vec<Mutant> {
        read(&format!("[{}]", entries.join(","))).expect("a list")
    }

    #[test]
    fn change_replaces_its_part_alone() {
        let mutant = &list(&[entry(2, 4, 5, "replace < with ==", "==")])[0];
        let text = mutant.apply("one\nä b<c\nthree\n").expect("a place");
        assert_eq!(text, format!("one\nä b== {MARK}c\nthree\n"));
    }

    #[test]
    fn place_that_the_file_lacks_is_refused() {
        let mutant = &list(&[entry(2, 4, 9, "replace < with ==", "==")])[0];
        assert!(matches!(
            mutant.apply("one\ntwo\n"),
            Err(Error::Place { .. })
        ));
        assert!(matches!(mutant.apply("one"), Err(Error::Place { .. })));
    }

    #[test]
    fn name_has_no_line_but_tells_equal_changes_apart() {
        let mutants = list(&[
            entry(9, 1, 2, "replace < with == in f", "=="),
            entry(3, 1, 2, "replace < with == in f", "=="),
        ]);
        let keys: Vec<String> = mutants.iter().map(Mutant::key).collect();
        assert_eq!(
            keys,
            [
                "src/a.rs: replace < with == in f",
                "src/a.rs: replace < with == in f #2"
            ]
        );
        assert_eq!(mutants[1].shown(), "src/a.rs:9: replace < with == in f #2");
    }

    #[test]
    fn mutant_listed_twice_counts_once() {
        let twice = [
            entry(3, 1, 2, "delete !", ""),
            entry(3, 1, 2, "delete !", ""),
        ];
        assert_eq!(list(&twice).len(), 1);
    }
}

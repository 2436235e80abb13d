// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The file of survivors that are as they should be: a change and its reason per line.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::error::Error;

/// Text between a change and its reason.
const BETWEEN: &str = " | ";

/// Reason per mutant.
#[derive(Debug, Default)]
pub(crate) struct Reasons {
    reasons: BTreeMap<String, String>,
}

impl Reasons {
    /// Reads the file. Lines that begin with `#` are comments.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(path).map_err(Error::file(path))?;
        Self::parse(&text, path)
    }

    /// Reads the text of the file at `path`.
    fn parse(text: &str, path: &Path) -> Result<Self, Error> {
        let mut reasons = BTreeMap::new();
        for (number, line) in (1..).zip(text.lines()) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            // The change may have bars too, as that of an operator. A reason has none.
            let parts = line.rsplit_once(BETWEEN);
            let Some((mutant, reason)) = parts.filter(|(_, reason)| !reason.trim().is_empty())
            else {
                return Err(Error::Reason {
                    path: path.to_owned(),
                    line: number,
                    text: line.to_owned(),
                });
            };
            reasons.insert(mutant.to_owned(), reason.to_owned());
        }
        Ok(Self { reasons })
    }

    /// Returns the reason for which a mutant may survive.
    pub(crate) fn get(&self, mutant: &str) -> Option<&str> {
        self.reasons.get(mutant).map(String::as_str)
    }

    /// Returns the mutants that have a reason.
    pub(crate) fn mutants(&self) -> impl Iterator<Item = &str> {
        self.reasons.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a text.
    fn parse(text: &str) -> Result<Reasons, Error> {
        Reasons::parse(text, Path::new("reasons"))
    }

    #[test]
    fn change_may_have_a_bar() {
        let reasons = parse("# comment\n\na.rs: replace | with ^ in f | the bits never overlap\n")
            .expect("reasons");
        assert_eq!(
            reasons.get("a.rs: replace | with ^ in f"),
            Some("the bits never overlap")
        );
        assert_eq!(reasons.mutants().count(), 1);
    }

    #[test]
    fn line_without_a_reason_is_refused_with_its_number() {
        for text in ["\na.rs: delete !", "\na.rs: delete ! | "] {
            assert!(
                matches!(parse(text), Err(Error::Reason { line: 2, .. })),
                "{text}"
            );
        }
    }
}

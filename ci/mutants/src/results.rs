// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Results so far, kept in one file per target: a JSON object per line, the last of a mutant counts.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// Result of one mutant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// A test failed, or the kernel complained.
    Caught,
    /// The tests did not end in time.
    Timeout,
    /// All tests passed.
    Missed,
    /// It does not compile.
    Unviable,
}

/// The sources of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sums {
    /// Sum of the code of the changed file, as it was without the change.
    pub(crate) file: u64,
    /// Sum of the target and its tests.
    pub(crate) tests: u64,
}

/// Line of the file of results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Name of the mutant, without a line.
    pub(crate) mutant: String,
    /// The result.
    pub(crate) verdict: Verdict,
    /// The test that noticed.
    pub(crate) by: Option<String>,
    /// Seconds that it took.
    pub(crate) seconds: f64,
    /// Its sources.
    pub(crate) sums: Sums,
}

impl Record {
    /// Returns whether the result still counts. If nothing noticed the change, a new test may do so:
    /// then it counts only while target and tests are the same.
    fn counts(&self, now: Sums) -> bool {
        self.sums.file == now.file
            && (matches!(self.verdict, Verdict::Caught | Verdict::Unviable)
                || self.sums.tests == now.tests)
    }
}

/// Results of a target.
#[derive(Debug)]
pub(crate) struct Results {
    path: PathBuf,
    records: HashMap<String, Record>,
}

impl Results {
    /// Reads the results so far. A line that was cut by a crash does not count.
    pub(crate) fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_default();
        let records = text
            .lines()
            .filter_map(|line| serde_json::from_str::<Record>(line).ok())
            .map(|record| (record.mutant.clone(), record))
            .collect();
        Self {
            path: path.to_owned(),
            records,
        }
    }

    /// Returns the result of a mutant, if it still counts.
    pub(crate) fn get(&self, mutant: &str, now: Sums) -> Option<&Record> {
        self.records.get(mutant).filter(|record| record.counts(now))
    }

    /// Adds a result, on disk too.
    pub(crate) fn add(&mut self, record: Record) -> Result<(), Error> {
        let write = || {
            let mut file = File::options().create(true).append(true).open(&self.path)?;
            // The line before may have been cut. An empty line is no harm.
            file.write_all(format!("\n{}\n", serde_json::to_string(&record)?).as_bytes())
        };
        write().map_err(Error::file(&self.path))?;
        self.records.insert(record.mutant.clone(), record);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Sums = Sums { file: 1, tests: 1 };

    /// Returns a result with the sums of now.
    fn record(mutant: &str, verdict: Verdict) -> Record {
        Record {
            mutant: mutant.to_owned(),
            verdict,
            by: None,
            seconds: 1.5,
            sums: NOW,
        }
    }

    #[test]
    fn next_run_finds_the_results_of_the_one_before() {
        let place = tempfile::tempdir().expect("a folder");
        let path = place.path().join("model.jsonl");
        let mut results = Results::read(&path);
        results.add(record("a", Verdict::Missed)).expect("a file");
        results.add(record("a", Verdict::Caught)).expect("a file");
        drop(results);
        let results = Results::read(&path);
        assert_eq!(results.get("a", NOW), Some(&record("a", Verdict::Caught)));
        assert_eq!(results.get("b", NOW), None);
    }

    #[test]
    fn line_that_was_cut_hides_no_other() {
        let place = tempfile::tempdir().expect("a folder");
        let path = place.path().join("model.jsonl");
        let mut results = Results::read(&path);
        results.add(record("a", Verdict::Caught)).expect("a file");
        let mut file = File::options().append(true).open(&path).expect("a file");
        file.write_all(br#"{"mutant": "cut"#).expect("a line");
        results.add(record("b", Verdict::Caught)).expect("a file");
        let results = Results::read(&path);
        assert!(results.get("a", NOW).is_some());
        assert!(results.get("b", NOW).is_some());
    }

    #[test]
    fn changed_file_makes_any_result_void() {
        for verdict in [
            Verdict::Caught,
            Verdict::Timeout,
            Verdict::Missed,
            Verdict::Unviable,
        ] {
            assert!(record("a", verdict).counts(NOW));
            assert!(
                !record("a", verdict).counts(Sums { file: 2, ..NOW }),
                "{verdict:?}"
            );
        }
    }

    #[test]
    fn changed_test_has_survivors_run_again_alone() {
        let then = Sums { tests: 2, ..NOW };
        assert!(record("a", Verdict::Caught).counts(then));
        assert!(record("a", Verdict::Unviable).counts(then));
        assert!(!record("a", Verdict::Missed).counts(then));
        assert!(!record("a", Verdict::Timeout).counts(then));
    }
}

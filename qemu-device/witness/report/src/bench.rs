// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Ratios of a benchmark: `bench.json`, as `../README.md` describes it.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

use crate::error::Error;

/// Figures of a benchmark.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Benchmark {
    pub(crate) ratios: Vec<Ratio>,
    #[serde(default)]
    pub(crate) left_out: Vec<LeftOut>,
    #[serde(default)]
    pub(crate) environment: BTreeMap<String, Value>,
}

/// A ratio over interleaved pairs.
#[derive(Debug, Deserialize)]
pub(crate) struct Ratio {
    pub(crate) name: String,
    pub(crate) what: String,
    pub(crate) unit: String,
    pub(crate) goal: Option<Goal>,
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) pairs: u64,
    pub(crate) numerator: Side,
    pub(crate) denominator: Side,
}

/// One half of a ratio.
#[derive(Debug, Deserialize)]
pub(crate) struct Side {
    pub(crate) what: String,
    pub(crate) unit: String,
    pub(crate) median: f64,
}

/// Goal for the median.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Goal {
    pub(crate) op: Op,
    pub(crate) value: f64,
}

/// Comparison with the goal.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) enum Op {
    #[serde(rename = "<=")]
    AtMost,
    #[serde(rename = ">=")]
    AtLeast,
}

/// A ratio that could not be measured.
#[derive(Debug, Deserialize)]
pub(crate) struct LeftOut {
    pub(crate) name: String,
    pub(crate) reason: String,
}

impl Ratio {
    /// Returns whether the goal is met, if there is one.
    pub(crate) fn is_met(&self) -> Option<bool> {
        self.goal.map(|goal| match goal.op {
            Op::AtMost => self.median <= goal.value,
            Op::AtLeast => self.median >= goal.value,
        })
    }
}

impl Op {
    /// Returns the comparison in words.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::AtMost => "at most",
            Self::AtLeast => "at least",
        }
    }
}

/// Reads those files that exist, as one benchmark.
pub(crate) fn read(paths: &[PathBuf]) -> Result<Option<Benchmark>, Error> {
    let mut all: Option<Benchmark> = None;
    for path in paths {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            text => text.map_err(|source| Error::file("read", path, source))?,
        };
        let bench: Benchmark = serde_json::from_str(&text).map_err(|source| Error::Results {
            path: path.clone(),
            source,
        })?;
        let all = all.get_or_insert_default();
        all.ratios.extend(bench.ratios);
        all.left_out.extend(bench.left_out);
        all.environment.extend(bench.environment);
    }
    Ok(all)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Returns the example in the README.
    pub(crate) fn example() -> Benchmark {
        let readme = include_str!("../README.md");
        let (_, rest) = readme.split_once("```json").expect("an example");
        let (example, _) = rest.split_once("```").expect("its end");
        serde_json::from_str(example).expect("a benchmark")
    }

    #[test]
    fn example_of_the_readme_is_parsed() {
        let met: Vec<_> = example().ratios.iter().map(Ratio::is_met).collect();

        assert_eq!(met, [Some(true), Some(false), None]);
    }

    #[test]
    fn missing_file_means_no_benchmark() {
        let read = read(&["/nowhere/bench.json".into()]);

        assert!(read.expect("no error").is_none());
    }
}

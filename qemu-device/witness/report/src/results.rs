// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The parts of the runner's `results.json` that the report shows.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::error::Error;

/// Last run of each configuration.
#[derive(Debug, Deserialize)]
pub(crate) struct Results {
    pub(crate) runs: Vec<TestRun>,
}

/// A run.
#[derive(Debug, Deserialize)]
pub(crate) struct TestRun {
    pub(crate) name: String,
    pub(crate) seconds: f64,
    pub(crate) good: bool,
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
    pub(crate) configuration: BTreeMap<String, Value>,
    pub(crate) guest: Vec<Fact>,
    pub(crate) programs: Vec<Test>,
    pub(crate) failures: Vec<Failure>,
    /// Command that repeats the run.
    pub(crate) again: String,
}

/// A property of the machine that the guest reported.
#[derive(Debug, Deserialize)]
pub(crate) struct Fact {
    pub(crate) key: String,
    pub(crate) value: String,
}

/// A program or a case.
#[derive(Debug, Deserialize)]
pub(crate) struct Test {
    pub(crate) name: String,
    pub(crate) outcome: String,
    #[serde(default)]
    pub(crate) reason: String,
    #[serde(default)]
    pub(crate) seconds: Option<f64>,
    #[serde(default)]
    pub(crate) diagnostics: Vec<String>,
    #[serde(default)]
    pub(crate) parts: Vec<Test>,
}

impl Test {
    /// Returns the lines for people among its diagnostics: those that begin with `| `.
    pub(crate) fn story(&self) -> impl Iterator<Item = &str> {
        let lines = self.diagnostics.iter();
        lines.filter_map(|line| line.strip_prefix("| "))
    }
}

/// A failure.
#[derive(Debug, Deserialize)]
pub(crate) struct Failure {
    pub(crate) message: String,
    #[serde(default)]
    pub(crate) details: Vec<String>,
}

/// Reads the file.
pub(crate) fn read(path: &Path) -> Result<Results, Error> {
    let text = fs::read_to_string(path).map_err(|source| Error::file("read", path, source))?;
    serde_json::from_str(&text).map_err(|source| Error::Results {
        path: path.to_owned(),
        source,
    })
}

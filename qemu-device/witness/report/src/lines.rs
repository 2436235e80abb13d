// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Lines of the driver that runs have reached.
//!
//! The plugin records executed instructions ([`record`]), and [`table`] has the lines of the module.
//! [`merge`] joins both over all runs. [`reasons`] compares unreached lines with the document that
//! explains them. [`text`] and [`page`] show the result.

mod merge;
mod page;
mod reasons;
mod record;
mod table;
mod text;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::options::Covering;
use crate::{paint, read, write};

use merge::Merged;
use reasons::Reasons;
use table::Table;

/// Share of lines that runs must reach, in percent.
const GOAL: usize = 90;

/// Outcome of a comparison of runs with the lines of the driver.
pub(crate) struct Outcome {
    /// Table and lists, for a terminal.
    pub(crate) text: String,
    /// Path of the page.
    pub(crate) page: PathBuf,
    /// Reasons for which the coverage is not sufficient.
    pub(crate) complaints: Vec<String>,
}

/// Joins what runs have reached, and writes `coverage.json` and `coverage.html`.
pub(crate) fn cover(options: &Covering) -> Result<Outcome, Error> {
    let mut tables: BTreeMap<PathBuf, Table> = BTreeMap::new();
    let mut merged = Merged::default();
    let mut first = None;
    for logs in &options.run {
        let module = module(logs)?;
        let is_first = *first.get_or_insert_with(|| module.clone()) == module;
        if !tables.contains_key(&module) {
            let table = Table::load(&module)?;
            merged.add_lines(&table);
            tables.insert(module.clone(), table);
        }
        if let Some(table) = tables.get(&module) {
            let reached = record::read(&logs.join(record::FILE), table)?;
            merged.add_run(table, &reached);
            if is_first {
                merged.add_jumps(table, &reached);
            }
        }
    }
    let reasons = Reasons::parse(&read(&options.reasons)?).map_err(|reason| Error::Document {
        path: options.reasons.clone(),
        reason,
    })?;
    let mut complaints = reasons.check(&merged, options.partial);
    let total = merged.total();
    if !options.partial && total.reached.saturating_mul(100) < total.lines.saturating_mul(GOAL) {
        complaints.push(format!(
            "runs reached {} of {} lines, less than {GOAL} %: write a test for some of the lines above",
            total.reached, total.lines
        ));
    }
    let sources = sources(&options.sources, &merged);
    let runs: Vec<_> = options.run.iter().map(|logs| name(logs)).collect();
    let report = text::Report::new(&merged, &sources, &reasons, &runs);
    write(&options.out.join("coverage.json"), &report.json()?)?;
    let page = options.out.join("coverage.html");
    write(&page, &page::render(&report))?;
    write(&options.out.join(crate::page::STYLE_FILE), paint::STYLE)?;
    Ok(Outcome {
        text: report.text(),
        page,
        complaints,
    })
}

/// Returns the module of a run, which `ci/vm.sh` has noted.
fn module(logs: &Path) -> Result<PathBuf, Error> {
    let note = read(&logs.join("code.txt"))?;
    Ok(note.lines().next().unwrap_or_default().into())
}

/// Returns the name of a run.
fn name(logs: &Path) -> String {
    let name = logs.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Returns the lines of the files. A missing file has none.
fn sources(folder: &Path, merged: &Merged) -> BTreeMap<String, Vec<String>> {
    let lines = |file: &String| {
        let text = fs::read_to_string(folder.join(file)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    };
    let files = merged.files.keys();
    files.map(|file| (file.clone(), lines(file))).collect()
}

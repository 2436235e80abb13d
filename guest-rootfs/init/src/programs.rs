// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Finds test programs, runs them and passes their KTAP on.

use crate::results::Results;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};

/// Where the test programs are.
pub(crate) const FOLDER: &str = "/tests";

/// Looks at what all the others have left behind.
const LAST: &str = "leaks";

/// Proves nothing and takes minutes: runs only when it is asked for.
const BENCHMARK: &str = "bench";

/// Which programs to run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    /// All that prove something.
    All,
    /// Those with these names, in this order.
    Named(Vec<String>),
    /// All that prove something, without these.
    Without(Vec<String>),
}

impl Selection {
    /// Understands `all`, or names with commas between them. With `-` before each of them, all but those run.
    pub(crate) fn parse(names: &str) -> Self {
        let without: Option<Vec<String>> = names
            .split(',')
            .map(|name| name.strip_prefix('-').map(str::to_owned))
            .collect();
        match (names, without) {
            ("" | "all", _) => Self::All,
            (_, Some(names)) => Self::Without(names),
            (names, None) => Self::Named(names.split(',').map(str::to_owned).collect()),
        }
    }

    /// Returns the names that the selection has, all of which must be there.
    fn names(&self) -> &[String] {
        match self {
            Self::All => &[],
            Self::Named(names) | Self::Without(names) => names,
        }
    }
}

/// Names of the programs to run.
pub(crate) fn choose(selection: &Selection) -> Result<Vec<String>, String> {
    let entries = fs::read_dir(FOLDER).map_err(|error| format!("cannot read {FOLDER}: {error}"))?;
    let mut present: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    sort(&mut present);
    let unknown = selection.names().iter().find(|it| !present.contains(it));
    if let Some(name) = unknown {
        return Err(format!(
            "there is no test program `{name}`; there are: {}",
            present.join(", ")
        ));
    }
    match selection {
        Selection::Named(names) => Ok(names.clone()),
        Selection::All | Selection::Without(_) => {
            drop_benchmark(&mut present);
            present.retain(|name| !selection.names().contains(name));
            Ok(present)
        }
    }
}

/// Leaves those that prove something.
fn drop_benchmark(programs: &mut Vec<String>) {
    programs.retain(|name| name != BENCHMARK);
}

/// By name, but for the last one.
fn sort(programs: &mut [String]) {
    programs.sort_by(|a, b| (a == LAST, a).cmp(&(b == LAST, b)));
}

/// Runs a program; its cases and its own result go to `results`.
pub(crate) fn run(results: &mut Results, number: usize, name: &str) {
    results.line(&format!("# Subtest: {name}"));
    let verdict = match spawn_and_follow(results, name) {
        Ok(status) if status.success() => "ok",
        Ok(status) => {
            results.line(&format!("    # {name}: {}", ending(status)));
            "not ok"
        }
        Err(error) => {
            results.line(&format!("    # {name}: {error}"));
            "not ok"
        }
    };
    results.line(&format!("{verdict} {number} {name}"));
}

fn spawn_and_follow(results: &mut Results, name: &str) -> std::io::Result<ExitStatus> {
    let mut child = Command::new(format!("{FOLDER}/{name}"))
        .stdout(Stdio::piped())
        .spawn()?;
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).split(b'\n') {
            results.line(&format!("    {}", String::from_utf8_lossy(&line?)));
        }
    }
    child.wait()
}

fn ending(status: ExitStatus) -> String {
    match status.signal() {
        Some(signal) => format!("killed by signal {signal}"),
        None => format!("ended with {}", status.code().unwrap_or(-1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_means_all() {
        assert_eq!(Selection::parse("all"), Selection::All);
        assert_eq!(Selection::parse(""), Selection::All);
    }

    #[test]
    fn names_after_a_hyphen_are_left_out() {
        let names = ["dma", "queue"].map(str::to_owned).to_vec();
        assert_eq!(Selection::parse("-dma,-queue"), Selection::Without(names));
    }

    #[test]
    fn order_is_by_name_with_leaks_at_the_end() {
        let mut programs = ["removal", "leaks", "dma"].map(str::to_owned);
        sort(&mut programs);
        assert_eq!(programs, ["dma", "removal", "leaks"]);
    }

    #[test]
    fn all_is_without_the_benchmark() {
        let mut programs = ["attack", "bench", "dma"].map(str::to_owned).to_vec();
        drop_benchmark(&mut programs);
        assert_eq!(programs, ["attack", "dma"]);
    }

    #[test]
    fn ending_by_a_signal_names_it() {
        assert_eq!(ending(ExitStatus::from_raw(7)), "killed by signal 7");
    }

    #[test]
    fn ending_with_a_code_names_it() {
        assert_eq!(ending(ExitStatus::from_raw(1 << 8)), "ended with 1");
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `results.json`: the last run of each configuration, for tools.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::junit;
use crate::ktap::{Outcome, Results, Test};
use crate::verdict::{Failure, Verdict};

/// Version of the layout below. It increases when a field changes its meaning or is removed.
const SCHEMA: u32 = 1;

/// The whole file. A run replaces the earlier one of the same name; others stay.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Version of the layout.
    pub(crate) schema: u32,
    /// The last run of each configuration, by name.
    pub(crate) runs: Vec<Run>,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Run {
    /// Name of the configuration.
    pub(crate) name: String,
    /// Name of this host.
    #[serde(default)]
    pub(crate) host: String,
    /// Start, in seconds since 1970 (UTC).
    pub(crate) began: u64,
    /// Duration.
    pub(crate) seconds: f64,
    /// Time until the guest's first line of results, just before it loads the driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) booted: Option<f64>,
    /// Verdict: whether the run has no failure.
    pub(crate) good: bool,
    /// Cases that passed.
    pub(crate) passed: usize,
    /// Failures of all kinds: failed cases and others.
    pub(crate) failed: usize,
    /// Cases that were skipped.
    pub(crate) skipped: usize,
    /// Configuration of the run.
    pub(crate) configuration: Configuration,
    /// Properties that the guest reported: `kernel`, `device`, `driver`, in this order.
    pub(crate) guest: Vec<Fact>,
    /// The programs, in order.
    pub(crate) programs: Vec<ReportedTest>,
    /// Failures, the likeliest cause first.
    pub(crate) failures: Vec<ReportedFailure>,
    /// Folder with the logs.
    pub(crate) logs: PathBuf,
    /// Command that repeats the run.
    pub(crate) again: String,
}

/// Configuration of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Configuration {
    /// `TCG` or `KVM`. `None` if the run ended before that was decided.
    pub(crate) accelerator: Option<String>,
    /// `msix` or `msi`.
    pub(crate) interrupts: String,
    /// Number of devices that have a server.
    pub(crate) devices: usize,
    /// Whether the guest had an IOMMU.
    pub(crate) iommu: bool,
    /// Size of the guest's memory.
    pub(crate) memory: String,
    /// Number of the guest's processors.
    pub(crate) processors: u32,
    /// Requested programs.
    pub(crate) tests: String,
    /// Additional words on the kernel command line.
    pub(crate) append: String,
}

/// A property of the machine that the guest reported.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Fact {
    /// Name of the property.
    pub(crate) key: String,
    /// Value of the property.
    pub(crate) value: String,
}

/// A program, a group or a case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ReportedTest {
    /// Name.
    pub(crate) name: String,
    /// `passed`, `failed`, `crashed`, `skipped` or `unfinished`. A crashed case ended its program or
    /// with the run. An unfinished program has a result for each of its cases, but none of its own.
    pub(crate) outcome: String,
    /// Reason of a directive, for example for skipping it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) reason: String,
    /// Duration, by the arrival of its results.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) seconds: Option<f64>,
    /// Number of parts in its plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) planned: Option<u64>,
    /// Other lines of the test.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) diagnostics: Vec<String>,
    /// Parts. A test without parts is a case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) parts: Vec<ReportedTest>,
}

/// A failure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ReportedFailure {
    /// `case`, `program`, `plan`, `bail-out`, `console`, `kernel`, `server`, `qemu`, `hang`, `guest-clock`,
    /// `time-limit`, `witness`, `interrupted` or `setup`.
    pub(crate) kind: String,
    /// One line for people.
    pub(crate) message: String,
    /// Diagnostics and lines of logs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) details: Vec<String>,
}

impl Run {
    /// Adds verdict and results to the run.
    pub(crate) fn with_findings(mut self, verdict: &Verdict, results: &Results) -> Self {
        self.booted = results.began.map(|time| time.as_secs_f64());
        self.good = verdict.is_good();
        self.passed = verdict.passed;
        self.failed = verdict.failures.len();
        self.skipped = verdict.skipped;
        self.guest = results.facts.iter().map(Fact::from).collect();
        self.programs = results.whole().iter().map(part).collect();
        self.failures = verdict.failures.iter().map(ReportedFailure::from).collect();
        self
    }
}

impl From<&(String, String)> for Fact {
    fn from((key, value): &(String, String)) -> Self {
        Self {
            key: key.clone(),
            value: value.clone(),
        }
    }
}

impl From<&Failure> for ReportedFailure {
    fn from(failure: &Failure) -> Self {
        Self {
            kind: failure.kind.to_owned(),
            message: failure.message.clone(),
            details: failure.details.clone(),
        }
    }
}

/// Returns a test for the report.
fn part(test: &Test) -> ReportedTest {
    let outcome = match test.outcome {
        Outcome::Passed => "passed",
        Outcome::Failed => "failed",
        Outcome::Crashed => "crashed",
        Outcome::Skipped => "skipped",
        Outcome::Unfinished => "unfinished",
    };
    ReportedTest {
        name: test.name.clone(),
        outcome: outcome.to_owned(),
        reason: test.reason.clone(),
        seconds: Some(test.duration.as_secs_f64()),
        planned: test.planned,
        diagnostics: test.diagnostics.clone(),
        parts: test.parts.iter().map(part).collect(),
    }
}

/// Writes both reports. Runs of other configurations are kept.
pub(crate) fn write(folder: &Path, run: Run) -> Result<(), Error> {
    let json = folder.join("results.json");
    let mut runs = former_runs(&json);
    runs.retain(|former| former.name != run.name);
    runs.push(run);
    let report = Report {
        schema: SCHEMA,
        runs,
    };
    let failed = |path: &Path, source| Error::File {
        action: "written",
        path: path.to_owned(),
        source,
    };
    let text = serde_json::to_string_pretty(&report).map_err(|e| failed(&json, e.into()))?;
    replace(&json, text + "\n").map_err(|e| failed(&json, e))?;
    let xml = folder.join("junit.xml");
    let text = junit::render(&report).map_err(|e| failed(&xml, std::io::Error::other(e)))?;
    replace(&xml, text).map_err(|e| failed(&xml, e))
}

/// Reads the runs of the existing report. An unreadable file, or one with another layout, counts as
/// empty: tools can make it again.
fn former_runs(path: &Path) -> Vec<Run> {
    let text = fs::read_to_string(path).unwrap_or_default();
    match serde_json::from_str::<Report>(&text) {
        Ok(report) if report.schema == SCHEMA => report.runs,
        _ => Vec::new(),
    }
}

/// Replaces a file as a whole, by a rename. Readers never see half of one.
fn replace(path: &Path, text: String) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::ktap::Stream;
    use std::time::Duration;

    /// Returns a run with one test of each outcome.
    pub(crate) fn run(name: &str) -> Run {
        let lines = "# kernel: Linux 7.3.4\n1..2\n# Subtest: poke\n 1..3\n ok 1 a\n # got 2\n \
                     not ok 2 b <&>\n ok 3 c # SKIP no reason\nnot ok 1 poke\nok 2 dma\n";
        let mut stream = Stream::default();
        for (line, second) in lines.lines().zip(0..) {
            stream.line(line, Duration::from_secs(second));
        }
        let results = stream.finish(Duration::from_secs(10));
        let verdict = Verdict {
            failures: vec![
                Failure {
                    kind: "console",
                    message: "kernel warning in the console: WARNING: x".into(),
                    details: vec!["trace".into()],
                    in_results: false,
                },
                Failure {
                    kind: "case",
                    message: "poke: b <&>".into(),
                    details: vec!["got 2".into()],
                    in_results: true,
                },
            ],
            passed: 2,
            skipped: 1,
        };
        Run {
            name: name.to_owned(),
            host: "workshop".into(),
            began: 1_700_000_000,
            seconds: 7.5,
            booted: None,
            good: false,
            passed: 0,
            failed: 0,
            skipped: 0,
            configuration: Configuration {
                accelerator: Some("TCG".into()),
                interrupts: "msix".into(),
                devices: 1,
                iommu: false,
                memory: "512M".into(),
                processors: 2,
                tests: "all".into(),
                append: String::new(),
            },
            guest: Vec::new(),
            programs: Vec::new(),
            failures: Vec::new(),
            logs: "build/report/logs/default".into(),
            again: "make run".into(),
        }
        .with_findings(&verdict, &results)
    }

    #[test]
    fn json_is_as_documented() {
        let report = Report {
            schema: SCHEMA,
            runs: vec![run("default")],
        };

        let text = serde_json::to_string_pretty(&report).expect("text") + "\n";

        assert_eq!(text, include_str!("../tests/golden/results.json"));
    }

    #[test]
    fn second_run_of_a_name_takes_the_place_of_the_first() {
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path(), run("tcg")).expect("written");
        write(folder.path(), run("msi")).expect("written");

        let again = Run {
            seconds: 1.0,
            ..run("tcg")
        };
        write(folder.path(), again).expect("written");

        let runs = former_runs(&folder.path().join("results.json"));
        let seen: Vec<_> = runs.iter().map(|r| (r.name.as_str(), r.seconds)).collect();
        assert_eq!(seen, [("msi", 7.5), ("tcg", 1.0)]);
    }

    #[test]
    fn damaged_file_is_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("results.json"), "{\"schema\":").expect("written");

        write(folder.path(), run("tcg")).expect("written");

        assert_eq!(former_runs(&folder.path().join("results.json")).len(), 1);
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Finds test programs, runs them, and passes on their KTAP.

use crate::control::{Control, Killed};
use crate::follow::{follow, Followed};
use crate::others;
use crate::results::Results;
use crate::resumption::{self, Resumption};
use crate::subtest::Subtest;
use crate::threads::Thread;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

/// Folder of the test programs.
const FOLDER: &str = "/tests";

/// Role of a program before the driver is loaded, in a boot that has the memory of another one.
pub(crate) const HEIR: &str = "heir";

/// Program that checks the leftovers of all others, so it runs last.
const LAST: &str = "leaks";

/// Program that proves nothing and takes minutes. It runs only if it is named.
const BENCHMARK: &str = "bench";

/// Time between two looks at whether the program was killed.
const SECOND: Duration = Duration::from_secs(1);

/// Fewest looks, ten per second, before a killed process counts as stuck.
const FEWEST_LOOKS: u32 = 100;

/// Boots that a killed process may take to end, in units of this guest's boot.
const BOOTS: u32 = 3;

/// Choice of programs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    /// All that prove something.
    All,
    /// Those with these names, in this order.
    Named(Vec<String>),
    /// All that prove something, except these.
    Without(Vec<String>),
}

impl Selection {
    /// Reads `all`, or names separated by commas. With `-` before each name, all programs but those
    /// run.
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

    /// Returns the names in the selection. A program must exist for each of them.
    fn names(&self) -> &[String] {
        match self {
            Self::All => &[],
            Self::Named(names) | Self::Without(names) => names,
        }
    }
}

/// Returns the names of the programs to run. Fails if one of the names has no program.
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

/// Removes the benchmark.
fn drop_benchmark(programs: &mut Vec<String>) {
    programs.retain(|name| name != BENCHMARK);
}

/// Sorts by name, with the last program at the end.
fn sort(programs: &mut [String]) {
    programs.sort_by(|a, b| (a == LAST, a).cmp(&(b == LAST, b)));
}

/// Runs a program in a role. The console has its words.
///
/// # Errors
///
/// Fails if the program does.
pub(crate) fn play(name: &str, role: &str) -> Result<(), String> {
    let program = format!("{FOLDER}/{name}");
    let status = Command::new(&program).args(["--as", role]).status();
    let status = status.map_err(|error| format!("cannot run {program} as {role}: {error}"))?;
    match status.success() {
        true => Ok(()),
        false => Err(format!(
            "{program} as {role}: {status}; the console has its reason"
        )),
    }
}

/// Runs a program. The results of its cases and its own result go to `results`. Processes that it
/// started end with it. With a `resumption` the program goes on after a restart of the machine.
///
/// Fails if a process survives SIGKILL. Later programs could then not be trusted.
pub(crate) fn run(
    results: &mut Results,
    control: &Control,
    number: usize,
    name: &str,
    arguments: &[String],
    resumption: Option<Resumption>,
) -> Result<(), String> {
    let mut subtest = match &resumption {
        None => Subtest::of(name),
        Some(resumption) => Subtest::resumed(name, resumption.results),
    };
    for line in subtest.header() {
        results.line(&line);
    }
    control.begin(name);
    let looks = looks();
    let failures = resumption.as_ref().map_or(0, |it| it.failures);
    let mut command = Command::new(format!("{FOLDER}/{name}"));
    command.args(arguments);
    command.envs(resumption.map(|it| (resumption::VARIABLE, it.value())));
    let followed = spawn_and_follow(results, control, &mut subtest, looks, command);
    let held = followed.as_ref().ok().and_then(|followed| followed.held);
    let complaint = match &followed {
        Ok(Followed {
            status: Some(status),
            ..
        }) if status.success() => None,
        Ok(Followed {
            status: Some(status),
            ..
        }) => Some(ending(*status)),
        Ok(Followed { status: None, .. }) => Some("does not end".to_owned()),
        Err(error) => Some(error.to_string()),
    };
    // The wait for a killed program was already as long as `looks`. Waiting once more would double
    // it.
    let waited = matches!(followed, Ok(Followed { status: None, .. }));
    let cleared = others::clear(held, if waited { 1 } else { looks });
    let killed = control.end();
    let hung = killed
        .as_ref()
        .map(|killed| format!("hung and was killed: {}", killed.reason));
    let missing = missing(&subtest);
    // The first one is the reason of the case that did not end.
    let complaints: Vec<_> = hung
        .into_iter()
        .chain(complaint)
        .chain(missing)
        .chain(cleared.left)
        .collect();
    for complaint in &complaints {
        results.line(&Subtest::note(&format!("{name}: {complaint}")));
    }
    for line in killed.iter().flat_map(at_the_kill) {
        results.line(&Subtest::note(&line));
    }
    for line in others::describe(&cleared.stuck) {
        results.line(&Subtest::note(&line));
    }
    for line in complaints
        .first()
        .map_or(Vec::new(), |reason| subtest.close(reason))
    {
        results.line(&line);
    }
    // The program knows nothing of failures before a restart.
    let is_good = complaints.is_empty() && cleared.stuck.is_empty() && failures == 0;
    let verdict = if is_good { "ok" } else { "not ok" };
    results.line(&format!("{verdict} {number} {name}"));
    match cleared.stuck.first() {
        Some(first) => Err(format!(
            "program {name} has a process that cannot be killed: {}",
            first.stuck()
        )),
        None => Ok(()),
    }
}

/// Returns the report on a killed program: its threads just before the kill, and advice for a
/// program that only computes.
fn at_the_kill(killed: &Killed) -> Vec<String> {
    let threads = &killed.threads;
    let ran = threads.iter().any(Thread::is_running);
    let advice = "a thread ran: if it computes and does not hang, let it print a line like `# round 5` from \
                  time to time";
    let lines = threads.iter().flat_map(Thread::lines).take(others::LINES);
    std::iter::once("its threads just before that:".to_owned())
        .chain(lines)
        .chain(ran.then(|| advice.to_owned()))
        .collect()
}

/// Returns the complaint about results that did not come.
fn missing(subtest: &Subtest) -> Option<String> {
    match subtest.missing() {
        Some(0) => None,
        Some(count) => Some(format!("ended without {count} of its results")),
        None => Some("ended before its plan".to_owned()),
    }
}

/// Starts a program and passes its output on as a subtest.
fn spawn_and_follow(
    results: &mut Results,
    control: &Control,
    subtest: &mut Subtest,
    looks: u32,
    mut command: Command,
) -> std::io::Result<Followed> {
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let mut left = looks;
    let patience = || {
        if !control.is_killed() {
            return Some(SECOND);
        }
        left = left.checked_sub(1)?;
        Some(others::LOOK)
    };
    follow(&mut child, patience, |line| {
        if let Some(line) = subtest.line(line) {
            results.line(&line);
        }
    })
}

/// Returns the number of looks at a killed process before it counts as stuck. It grows with the
/// boot time of this kernel. Looks are counted, not time: the guest's clock goes on while the whole
/// machine stands still.
fn looks() -> u32 {
    static BOOT: OnceLock<u32> = OnceLock::new();
    *BOOT.get_or_init(|| {
        let uptime = fs::read_to_string("/proc/uptime").unwrap_or_default();
        let seconds = uptime
            .split('.')
            .next()
            .and_then(|word| word.parse::<u32>().ok());
        let looks = seconds.unwrap_or_default().saturating_mul(10 * BOOTS);
        looks.max(FEWEST_LOOKS)
    })
}

/// Returns how a program ended, in words.
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

    fn killed_in(state: &str) -> Vec<String> {
        at_the_kill(&Killed {
            reason: "it printed no line".to_owned(),
            threads: vec![Thread::sample(state)],
        })
    }

    #[test]
    fn report_on_a_killed_program_that_ran_has_advice() {
        let report = killed_in("R (running)");

        assert_eq!(report[0], "its threads just before that:");
        assert!(report[1].contains("state R (running)"), "{report:?}");
        assert!(report[2].contains("let it print a line"), "{report:?}");
    }

    #[test]
    fn report_on_a_killed_program_that_waited_has_its_stack() {
        let report = killed_in("S (sleeping)");

        assert_eq!(
            report.last().map(String::as_str),
            Some("  do_syscall_64+0x6d")
        );
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

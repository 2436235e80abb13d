// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Finds test programs, runs them and passes their KTAP on.

use crate::control::Control;
use crate::follow::{follow, Followed};
use crate::others;
use crate::results::Results;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

/// Where the test programs are.
const FOLDER: &str = "/tests";

/// Looks at what all the others have left behind.
const LAST: &str = "leaks";

/// Proves nothing and takes minutes: runs only when it is asked for.
const BENCHMARK: &str = "bench";

/// How long to wait for a program until it is looked whether it was killed.
const SECOND: Duration = Duration::from_secs(1);

/// Fewest looks at what was killed, ten a second, until it counts as stuck.
const FEWEST_LOOKS: u32 = 100;

/// Times of a boot that it may take to end.
const BOOTS: u32 = 3;

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

/// Runs a program; its cases and its own result go to `results`. What it has started ends with it.
///
/// Fails if something cannot be killed: no other program can be trusted then.
pub(crate) fn run(
    results: &mut Results,
    control: &Control,
    number: usize,
    name: &str,
    arguments: &[String],
) -> Result<(), String> {
    results.line(&format!("# Subtest: {name}"));
    control.begin(name);
    let looks = looks();
    let followed = spawn_and_follow(results, control, name, looks, arguments);
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
    // What was waited for already is not waited for again.
    let waited = matches!(followed, Ok(Followed { status: None, .. }));
    let cleared = others::clear(held, if waited { 1 } else { looks });
    let killed = control
        .end()
        .map(|reason| format!("hung and was killed: {reason}"));
    let complaints: Vec<_> = complaint
        .into_iter()
        .chain(killed)
        .chain(cleared.left)
        .collect();
    for complaint in &complaints {
        results.line(&format!("    # {name}: {complaint}"));
    }
    for line in others::describe(&cleared.stuck) {
        results.line(&format!("    # {line}"));
    }
    let is_good = complaints.is_empty() && cleared.stuck.is_empty();
    let verdict = if is_good { "ok" } else { "not ok" };
    results.line(&format!("{verdict} {number} {name}"));
    match cleared.stuck.first() {
        Some(first) => Err(format!(
            "program {name} was to end, but cannot be killed: {}",
            first.stuck()
        )),
        None => Ok(()),
    }
}

fn spawn_and_follow(
    results: &mut Results,
    control: &Control,
    name: &str,
    looks: u32,
    arguments: &[String],
) -> std::io::Result<Followed> {
    let mut child = Command::new(format!("{FOLDER}/{name}"))
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()?;
    let mut left = looks;
    let patience = || {
        if !control.is_killed() {
            return Some(SECOND);
        }
        left = left.checked_sub(1)?;
        Some(others::LOOK)
    };
    follow(&mut child, patience, |line| {
        results.line(&format!("    {line}"))
    })
}

/// Looks at what was killed until it counts as stuck: more where this kernel took longer to boot. They are counted, as
/// the guest's clock goes on while the machine stands still.
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

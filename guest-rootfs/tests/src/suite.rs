// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Runs the cases of a program and prints KTAP, version 1 (Linux `Documentation/dev-tools/ktap`).

use crate::arguments::chosen;
use crate::cases::{in_order, Case, Skip, CASES};
use crate::restart;
use ringbar_marks::{say, Mark};
use std::collections::HashSet;
use std::fs;
use std::io::{stdout, IsTerminal};
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;

/// Runs the cases that [`case`](crate::case) marks, as [`run_all`] does: those of a file from top to bottom, those of
/// several files by the names of their modules.
pub fn run() -> ExitCode {
    run_all(in_order(&CASES))
}

/// Runs the cases that the command line chooses, without words all of them, in order, and says by the
/// exit code whether none failed.
pub fn run_all(cases: Vec<Case>) -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let names: Vec<_> = cases.iter().map(|case| &*case.name).collect();
    let cases: Vec<Case> = match check(&name(), &names).and_then(|()| chosen(&names, &words)) {
        Ok(chosen) => {
            let chosen = cases.into_iter().zip(chosen);
            chosen
                .filter_map(|(case, is_chosen)| is_chosen.then_some(case))
                .collect()
        }
        Err(error) => {
            println!("# {error}");
            return ExitCode::FAILURE;
        }
    };
    panic::set_hook(Box::new(|info| {
        for line in info.to_string().lines() {
            println!("# {line}");
        }
    }));
    say(&program());
    println!("KTAP version 1");
    if !stdout().is_terminal() {
        // For init, which then knows the names of the cases that a dying program did not reach.
        let names: Vec<_> = cases.iter().map(|case| &*case.name).collect();
        println!("# cases: {}", names.join(", "));
    }
    println!("1..{}", cases.len());
    let mut failed = 0;
    // The earlier cases have results already, from before the machine restarted.
    for (number, case) in (1..).zip(cases).skip(restart::results()) {
        let name = case.name;
        say(&Mark::Begin {
            case: name.to_string(),
        });
        let ended = panic::catch_unwind(AssertUnwindSafe(case.body));
        say(&Mark::End {
            passed: ended.is_ok(),
        });
        match ended {
            Ok(Ok(())) => println!("ok {number} {name}"),
            Ok(Err(Skip(reason))) => println!("ok {number} {name} # SKIP {reason}"),
            Err(_) => {
                failed += 1;
                println!("not ok {number} {name}");
            }
        }
    }
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Fails if there are no cases, or two of the same name: a report could not tell which of them failed. Also fails for a
/// name that readers of KTAP take for something else: that of the program, or one with `#` or a comma.
fn check(program: &str, names: &[&str]) -> Result<(), String> {
    if names.is_empty() {
        return Err("the program has no cases: mark functions with `#[case]`".to_owned());
    }
    let unreadable = |name: &&&str| **name == program || name.contains(['#', ',']);
    if let Some(name) = names.iter().find(unreadable) {
        return Err(format!(
            "a case has the name `{name}`: choose one without `#` and commas that is not the program's"
        ));
    }
    let mut seen = HashSet::new();
    match names.iter().find(|name| !seen.insert(**name)) {
        Some(name) => Err(format!("two cases have the name `{name}`: rename one")),
        None => Ok(()),
    }
}

/// Returns the name of this program.
fn name() -> String {
    let file = std::env::current_exe().unwrap_or_default();
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    name.into_owned()
}

/// This program, and where its file is mapped.
fn program() -> Mark {
    let file = std::env::current_exe().unwrap_or_default();
    let path = file.to_string_lossy();
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let first = maps.lines().find(|line| line.ends_with(&*path));
    let address = first.and_then(|line| line.split('-').next());
    let address = address.and_then(|digits| u64::from_str_radix(digits, 16).ok());
    Mark::Program {
        name: name(),
        address: address.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_are_accepted() {
        assert_eq!(check("dma", &["read", "read_twice"]), Ok(()));
    }

    #[test]
    fn program_without_cases_is_an_error() {
        let error = check("dma", &[]).expect_err("refused");

        assert!(error.contains("no cases"), "{error}");
    }

    #[test]
    fn duplicate_name_is_an_error_with_the_name() {
        let error = check("dma", &["read", "write", "read"]).expect_err("refused");

        assert!(error.contains("`read`"), "{error}");
    }

    #[test]
    fn name_that_readers_take_for_something_else_is_an_error() {
        for name in ["dma", "read, twice", "read#2"] {
            let error = check("dma", &["write", name]).expect_err("refused");

            assert!(error.contains(&format!("`{name}`")), "{error}");
        }
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Runs the cases of a program and prints KTAP, version 1 (Linux `Documentation/dev-tools/ktap`).

use crate::arguments::chosen;
use ringbar_marks::{say, Mark};
use std::borrow::Cow;
use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;

/// A case that needs no more than a name and a function.
pub type SimpleCase = (&'static str, fn());

/// Why a case cannot be run here. Shown beside its name.
#[derive(Clone, Debug)]
pub struct Skip(pub Cow<'static, str>);

/// A case: passes unless it panics or says that it cannot be run here.
pub struct Case {
    name: Cow<'static, str>,
    body: Box<dyn FnOnce() -> Result<(), Skip>>,
}

impl Case {
    /// A case that can always be run.
    pub fn new(name: impl Into<Cow<'static, str>>, body: impl FnOnce() + 'static) -> Self {
        Self::skippable(name, || {
            body();
            Ok(())
        })
    }

    /// A case that may find out that it cannot be run here.
    pub fn skippable(
        name: impl Into<Cow<'static, str>>,
        body: impl FnOnce() -> Result<(), Skip> + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            body: Box::new(body),
        }
    }
}

/// Does what [`run_all`] does, with cases that need no more than a name and a function.
pub fn run(cases: &[SimpleCase]) -> ExitCode {
    run_all(
        cases
            .iter()
            .map(|(name, body)| Case::new(*name, *body))
            .collect(),
    )
}

/// Runs the cases that the command line chooses, without words all of them, in order, and says by the
/// exit code whether none failed.
pub fn run_all(cases: Vec<Case>) -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let names: Vec<_> = cases.iter().map(|case| &*case.name).collect();
    let cases: Vec<Case> = match chosen(&names, &words) {
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
    println!("1..{}", cases.len());
    let mut failed = 0;
    for (number, case) in (1..).zip(cases) {
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

/// This program, and where its file is mapped.
fn program() -> Mark {
    let file = std::env::current_exe().unwrap_or_default();
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let path = file.to_string_lossy();
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let first = maps.lines().find(|line| line.ends_with(&*path));
    let address = first.and_then(|line| line.split('-').next());
    let address = address.and_then(|digits| u64::from_str_radix(digits, 16).ok());
    Mark::Program {
        name: name.into_owned(),
        address: address.unwrap_or_default(),
    }
}

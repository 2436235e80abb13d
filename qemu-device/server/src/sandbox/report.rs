// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Contents of the sandbox, for readers and programs.

use std::fmt;

use clap::ValueEnum;
use landlock::RestrictionStatus;
use serde::Serialize;

/// How [`Report`] is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// State of a part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The part works.
    On,
    /// The part was not asked for.
    #[default]
    Off,
    /// The kernel does not have the part.
    Missing,
}

/// One of the parts.
#[derive(Debug, Default, Serialize)]
pub struct Part {
    /// Whether it works.
    pub state: State,
    /// Its effect, or the reason for which it does not work.
    pub effect: String,
}

/// A system call that may be made.
#[derive(Debug, Serialize)]
pub struct Call {
    /// Its name.
    pub name: &'static str,
    /// Limits of its arguments; empty if there are none.
    pub only: &'static str,
}

/// A resource limit.
#[derive(Debug, Serialize)]
pub struct Limit {
    /// Name of the resource.
    pub name: &'static str,
    /// Largest amount.
    pub value: u64,
}

/// Contents of the sandbox.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Programs that the process runs get no further rights.
    pub no_new_privs: Part,
    /// No files, no network.
    pub landlock: Part,
    /// No system calls but those in `calls`.
    pub seccomp: Part,
    /// The limits in `values`.
    pub limits: Part,
    /// System calls that seccomp lets through.
    pub calls: Vec<Call>,
    /// The resource limits.
    pub values: Vec<Limit>,
}

impl Call {
    /// Makes the entry of a call; `constant` is its name with `SYS_` before it.
    pub(super) fn new(constant: &'static str, only: &'static str) -> Self {
        Self {
            name: constant.trim_start_matches("SYS_"),
            only,
        }
    }
}

impl Report {
    /// Returns the parts with their names.
    pub fn parts(&self) -> [(&'static str, &Part); 4] {
        [
            ("no_new_privs", &self.no_new_privs),
            ("landlock", &self.landlock),
            ("seccomp", &self.seccomp),
            ("limits", &self.limits),
        ]
    }

    /// Checks whether the process can still remove a file.
    pub fn leaves_files(&self) -> bool {
        self.landlock.state != State::On && self.seccomp.state != State::On
    }

    /// Logs one line with the parts that are on, and a warning for each part that is not.
    pub fn log(&self) {
        let on: Vec<&str> = self
            .parts()
            .iter()
            .filter(|(_, part)| part.state == State::On)
            .map(|(name, _)| *name)
            .collect();
        if !on.is_empty() {
            log::info!("sandbox: {}", on.join(", "));
        }
        for (name, part) in self.parts() {
            match part.state {
                State::On => {}
                State::Off => log::warn!("sandbox: {name} is off"),
                State::Missing => log::warn!("sandbox: no {name}: {}", part.effect),
            }
        }
    }

    /// Notes that `no_new_privs` is set.
    pub(super) fn set_no_new_privs(&mut self) {
        self.no_new_privs = Part {
            state: State::On,
            effect: "no rights by running a program".into(),
        };
    }

    /// Notes what landlock does on this kernel.
    pub(super) fn set_landlock(&mut self, status: &RestrictionStatus) {
        let (state, effect) = super::describe(status);
        self.landlock = Part { state, effect };
    }

    /// Notes the system calls that are left.
    pub(super) fn set_calls(&mut self, calls: Vec<Call>) {
        self.seccomp = Part {
            state: State::On,
            effect: format!("{} system calls, any other kills the process", calls.len()),
        };
        self.calls = calls;
    }

    /// Notes the resource limits.
    pub(super) fn set_limits(&mut self, values: Vec<Limit>) {
        let texts: Vec<String> = values.iter().map(Limit::to_string).collect();
        self.limits = Part {
            state: State::On,
            effect: texts.join(", "),
        };
        self.values = values;
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::On => "on",
            Self::Off => "off",
            Self::Missing => "missing",
        })
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.value, self.name)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, part) in self.parts() {
            let line = format!("{name:<13}{:<8}{}", part.state, part.effect);
            writeln!(f, "{}", line.trim_end())?;
        }
        for Call { name, only } in &self.calls {
            let line = format!("  {name:<19}{only}");
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

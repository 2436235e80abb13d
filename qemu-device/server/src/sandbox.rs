// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The walls around the process.
//!
//! A client's messages may take over the process. That code finds no file system, no network, and
//! no way to run a program or to reach another process. Data and descriptors are bounded; files in
//! memory can grow. The device, the client's socket and the client's memory are left to it.

mod calls;
mod limits;
mod report;

use std::error::Error as StdError;
use std::hint::black_box;
use std::str::FromStr;
use std::{io, thread};

use landlock::{
    Access, AccessFs, AccessNet, LandlockStatus, RestrictionStatus, Ruleset, RulesetAttr,
    RulesetError, RulesetStatus, Scope, ABI,
};
use rustix::thread::set_no_new_privs;

use crate::error::Error;
use crate::options::Options;

pub use report::{Call, Format, Limit, Part, Report, State};

/// Parts of the sandbox that are asked for. `no_new_privs` comes with any of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    /// No file system, network or other process.
    pub landlock: bool,
    /// A list of system calls.
    pub seccomp: bool,
    /// Resource limits.
    pub limits: bool,
}

impl Parts {
    /// All parts, the default.
    pub const ALL: Self = Self {
        landlock: true,
        seccomp: true,
        limits: true,
    };
    /// No parts, for debugging.
    pub const NONE: Self = Self {
        landlock: false,
        seccomp: false,
        limits: false,
    };
}

impl FromStr for Parts {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = match text {
            "all" => return Ok(Self::ALL),
            _ => Self::NONE,
        };
        if text == "none" {
            return Ok(parts);
        }
        for word in text.split(',') {
            *match word {
                "landlock" => &mut parts.landlock,
                "seccomp" => &mut parts.seccomp,
                "limits" => &mut parts.limits,
                _ => {
                    return Err(format!(
                        "{word:?} is not landlock, seccomp or limits, nor all or none alone"
                    ))
                }
            } = true;
        }
        Ok(parts)
    }
}

/// Puts the process into its sandbox. There is no way out.
///
/// The process must have no other thread, as landlock covers the calling thread and its later
/// children. All that needs a file or makes a socket comes before this. A kernel without landlock
/// is no error.
///
/// # Errors
///
/// Fails if another part that is asked for cannot be set up.
pub fn enter(options: &Options) -> Result<Report, Error> {
    let parts = options.sandbox;
    let mut report = Report::default();
    if parts == Parts::NONE {
        return Ok(report);
    }
    // First: without privileges, the kernel takes landlock's rules and a seccomp filter only from a
    // process with this flag.
    set_no_new_privs(true).map_err(|error| failed("no_new_privs", io::Error::from(error)))?;
    report.set_no_new_privs();
    if parts.seccomp {
        // Opens a file, so before landlock and seccomp.
        settle_allocator().map_err(|error| failed("allocator", error))?;
    }
    if parts.limits {
        // Before seccomp, which does not allow the call that sets limits.
        report.set_limits(limits::set(options).map_err(|error| failed("limits", error))?);
    }
    if parts.landlock {
        let status = restrict_files().map_err(|error| failed("landlock", error))?;
        report.set_landlock(&status);
    }
    if parts.seccomp {
        // Last, as landlock's calls are not in its list.
        report.set_calls(calls::restrict(options).map_err(|error| failed("seccomp", error))?);
    }
    Ok(report)
}

/// Makes the error of a part.
fn failed(part: &'static str, source: impl StdError + Send + Sync + 'static) -> Error {
    Error::Sandbox {
        part,
        source: Box::new(source),
    }
}

/// Denies all that the kernel's landlock knows, without an exception.
fn restrict_files() -> Result<RestrictionStatus, RulesetError> {
    // On an older kernel the library leaves out rights that the kernel does not know, which is why
    // the report names the version in effect.
    let newest = ABI::V9;
    Ruleset::default()
        .handle_access(AccessFs::from_all(newest))?
        .handle_access(AccessNet::from_all(newest))?
        .scope(Scope::from_all(newest))?
        .create()?
        .restrict_self()
}

/// Returns the state of landlock, with its effect or the reason for which it has none.
fn describe(status: &RestrictionStatus) -> (State, String) {
    let enforced = status.ruleset != RulesetStatus::NotEnforced;
    match status.landlock {
        LandlockStatus::Available { effective_abi, .. } if enforced => (
            State::On,
            format!("no file system, network or other process, as far as ABI {effective_abi} goes"),
        ),
        LandlockStatus::NotEnabled => (State::Missing, "the kernel has it switched off".into()),
        _ => (State::Missing, "the kernel does not have it".into()),
    }
}

/// Makes glibc read its setting for giving back the memory of a thread.
///
/// It opens `/proc/sys/vm/overcommit_memory` the first time that a thread other than the first
/// frees more than it keeps, and remembers the setting. In the sandbox that call would kill the
/// process.
fn settle_allocator() -> io::Result<()> {
    let thread = thread::Builder::new().spawn(free_much_memory)?;
    thread
        .join()
        .map_err(|_| io::Error::other("a thread that only allocates memory panicked"))
}

/// Frees blocks that are too small for a mapping of their own.
fn free_much_memory() {
    // Hidden from the compiler, which could otherwise leave out an allocation without use.
    let blocks: Vec<Vec<u8>> = (0..16).map(|_| black_box(vec![0; 64 << 10])).collect();
    drop(black_box(blocks));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_all_none_or_a_list() {
        let parts = ["all", "none", "limits,landlock", "seccomp"].map(|text| text.parse());

        let limits_and_landlock = Parts {
            seccomp: false,
            ..Parts::ALL
        };
        let seccomp = Parts {
            seccomp: true,
            ..Parts::NONE
        };
        assert_eq!(
            parts,
            [
                Ok(Parts::ALL),
                Ok(Parts::NONE),
                Ok(limits_and_landlock),
                Ok(seccomp)
            ]
        );
    }

    #[test]
    fn unknown_part_is_refused_by_name() {
        let error = "limits,walls".parse::<Parts>().unwrap_err();

        assert!(error.contains("walls"), "{error}");
    }

    #[test]
    fn none_and_all_stand_alone() {
        assert!("none,limits".parse::<Parts>().is_err());
        assert!("limits,all".parse::<Parts>().is_err());
        assert!("".parse::<Parts>().is_err());
    }
}

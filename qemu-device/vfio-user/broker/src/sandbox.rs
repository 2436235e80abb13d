// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The walls around the process.
//!
//! Messages of a server or of a client may take over the process. That code opens no file, runs no
//! program, reaches no network and no other process, except sockets in the folder of the server's.
//! It makes few system calls.

mod calls;

use std::io;
use std::path::{Path, PathBuf};

use landlock::{
    Access, AccessFs, AccessNet, PathBeneath, PathFd, PathFdError, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, ABI,
};
use ringbar_vfio_user::wire::KERNEL_MAX_FDS;
use rustix::io::Errno;
use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};
use rustix::thread::set_no_new_privs;

use crate::exchange::MAX_WAITING_FDS;
use crate::record::{MAX_EVENTFDS, MAX_FILES, MAX_INFOS};

/// Standard streams, listeners, peers, and some to spare.
const OWN_FILES: usize = 32;
/// Descriptors of a message that arrives, and of one more piece of it, for each peer.
const MESSAGE_FILES: usize = 2 * 2 * KERNEL_MAX_FDS;
/// Descriptors of messages that wait, the last of which may come when the limit is nearly reached.
const WAITING_FILES: usize = MAX_WAITING_FDS + KERNEL_MAX_FDS;
/// Most descriptors.
const FILES: usize =
    OWN_FILES + MESSAGE_FILES + MAX_FILES + MAX_EVENTFDS + MAX_INFOS + WAITING_FILES;
/// Most bytes of data: all messages that wait, and the largest record.
const DATA: u64 = 256 << 20;

/// Reason for which the process cannot enter its sandbox.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refuses a part.
    #[error("sandbox: {part}: {source}; --no-sandbox goes without it")]
    System {
        /// Name of the part.
        part: &'static str,
        /// Error of the system.
        source: io::Error,
    },
    /// Landlock refuses.
    #[error("sandbox: landlock: {0}; --no-sandbox goes without it")]
    Landlock(#[from] RulesetError),
    /// The filter of system calls cannot be set.
    #[error("sandbox: seccomp: {0}; --no-sandbox goes without it")]
    Seccomp(#[from] seccompiler::Error),
    /// The server's folder is not there.
    #[error("the folder of --server, {}, cannot be opened: {source}; make it first", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Error of the library.
        source: PathFdError,
    },
}

/// Puts the process into its sandbox. There is no way out. A kernel without landlock is no error.
///
/// All that needs a file or makes a socket with a path comes before this.
///
/// # Errors
///
/// Fails if a part cannot be set up.
pub fn enter(server: &Path) -> Result<(), Error> {
    let system = |part: &'static str| {
        move |error: Errno| Error::System {
            part,
            source: io::Error::from(error),
        }
    };
    set_no_new_privs(true).map_err(system("no_new_privs"))?;
    set_limit(Resource::Nofile, FILES as u64).map_err(system("open files"))?;
    set_limit(Resource::Data, DATA).map_err(system("data"))?;
    set_limit(Resource::Core, 0).map_err(system("core files"))?;
    restrict_files(server)?;
    // Last, as landlock's calls are not in its list.
    Ok(calls::restrict()?)
}

/// Sets a limit. One that is lower already stays.
fn set_limit(resource: Resource, wanted: u64) -> Result<(), Errno> {
    let hard = getrlimit(resource).maximum;
    let value = hard.map_or(wanted, |hard| hard.min(wanted));
    if value < wanted {
        log::warn!("the limit of {resource:?} is {value}, a client may need {wanted}");
    }
    setrlimit(
        resource,
        Rlimit {
            current: Some(value),
            maximum: Some(value),
        },
    )
}

/// Denies all that the kernel's landlock knows, except to connect to sockets in the server's folder.
fn restrict_files(server: &Path) -> Result<(), Error> {
    let newest = ABI::V9;
    let folder = match server.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let opened = PathFd::new(folder).map_err(|source| Error::Folder {
        path: folder.to_owned(),
        source,
    })?;
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(newest))?
        .handle_access(AccessNet::from_all(newest))?
        .scope(Scope::from_all(newest))?
        .create()?
        .add_rule(PathBeneath::new(opened, AccessFs::ResolveUnix))?
        .restrict_self()?;
    if status.ruleset == RulesetStatus::NotEnforced {
        log::warn!("sandbox: no landlock: the kernel does not have it, or has it switched off");
    }
    Ok(())
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Errors, and advice for each.

use crate::number::Width;
use ringbar_spec::error::ErrorCode;
use ringbar_spec::ring::Status;
use rustix::io::Errno;
use std::path::PathBuf;

/// Reason for which a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The driver or the device failed a call.
    #[error(transparent)]
    Client(#[from] ringbar_client::Error),
    /// The registers cannot be mapped.
    #[error("the public registers cannot be mapped: {0}")]
    Registers(ringbar_client::Error),
    /// A place is not aligned.
    #[error("offset {offset:#x} is not a multiple of the width, {} bytes", width.bytes())]
    Alignment {
        /// Offset in BAR 0.
        offset: usize,
        /// Width of the access.
        width: Width,
    },
    /// The access leaves the page.
    #[error("{} bytes at {offset:#x} leave the public registers, which end at 0xfff", width.bytes())]
    Beyond {
        /// Offset in BAR 0.
        offset: usize,
        /// Width of the access.
        width: Width,
    },
    /// The value has too many bits.
    #[error("{value:#x} has more than {} bytes", width.bytes())]
    TooLarge {
        /// The value.
        value: u64,
        /// Width of the access.
        width: Width,
    },
    /// The device logged an error for this access.
    #[error("the device refused the access to {offset:#x}: {}", code_name(*code))]
    AccessRefused {
        /// Offset in BAR 0.
        offset: usize,
        /// Logged error.
        code: ErrorCode,
    },
    /// The device refused a descriptor or broke it off.
    #[error("the device returned {} for {operation} of {length} bytes", status_name(*status))]
    Status {
        /// Name of the operation.
        operation: &'static str,
        /// Length in bytes.
        length: usize,
        /// Status of the completion.
        status: Status,
    },
    /// A byte differs from the expected one.
    #[error("byte {offset} is {found:#04x} where {expected:#04x} should be")]
    Differs {
        /// Number of the byte, counted over the whole operation.
        offset: u64,
        /// Value in memory.
        found: u8,
        /// Expected value.
        expected: u8,
    },
    /// A file operation failed.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// Attempted action.
        action: &'static str,
        /// Path of the file.
        path: PathBuf,
        /// Error of the file system.
        source: std::io::Error,
    },
    /// Input and output are the same file.
    #[error("input {} and output {} are the same file", input.display(), output.display())]
    SameFile {
        /// Path of the input.
        input: PathBuf,
        /// Path of the output.
        output: PathBuf,
    },
}

impl Error {
    /// Returns advice, if there is any.
    pub(crate) fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Client(error) => client_advice(error),
            Self::Registers(error) if error.errno() == Some(Errno::PERM) => {
                Some("they need CAP_SYS_RAWIO: try as root")
            }
            Self::Registers(error) => client_advice(error),
            Self::Alignment { .. } => Some("choose a smaller width: --width 1"),
            Self::Beyond { .. } => Some("choose a smaller width or offset"),
            Self::TooLarge { .. } => Some("choose a larger width, or a smaller value"),
            Self::AccessRefused { .. } => {
                Some("`ringbarctl regions` and `ringbarctl peek` list all of them")
            }
            Self::Status { .. } => Some(
                "section 8 of the device's data sheet says what that means; \
                 `errors` in /sys/kernel/debug/ringbarN has the value that caused it",
            ),
            Self::Differs { .. } => {
                Some("a fault of device, driver or QEMU, or another process wrote there: try again")
            }
            Self::File { .. } => None,
            Self::SameFile { .. } => Some("choose another output; nothing was written"),
        }
    }

    /// Returns the exit status.
    pub(crate) fn status(&self) -> u8 {
        match self {
            Self::Alignment { .. }
            | Self::Beyond { .. }
            | Self::TooLarge { .. }
            | Self::SameFile { .. } => 2,
            Self::Differs { .. } => 3,
            _ => 1,
        }
    }
}

/// Returns advice on an error of the client library.
fn client_advice(error: &ringbar_client::Error) -> Option<&'static str> {
    use ringbar_client::Error as Client;
    match error {
        Client::Open { errno, .. } => Some(match *errno {
            Errno::NOENT => "`ls /dev/ringbar*` shows the devices there are; see --device",
            Errno::ACCESS | Errno::PERM => "nodes belong to root: try as root",
            Errno::NODEV | Errno::NXIO => "the device has gone; `dmesg` may say why",
            _ => "`dmesg` may say why",
        }),
        Client::Refused { errno, .. } => Some(match *errno {
            Errno::NOSPC => {
                "a limit is reached, or others use all there is: see `usage` in \
                 /sys/kernel/debug/ringbarN"
            }
            Errno::NOMEM => "the guest has no memory for it: choose a smaller length",
            Errno::IO => "the device refused or is lost; `dmesg` says which",
            Errno::NODEV => "the device has gone; bind or plug it in again",
            Errno::NOTTY => "this is no node of the ringbar driver, or of another version of it",
            _ => "the table of calls in guest-driver/README.md explains the error",
        }),
        Client::TimedOut => Some("is bus mastering on, and does the server run? see `dmesg`"),
        Client::ServerGone { .. } => Some(
            "start the server again; behind a broker that is all, otherwise plug the device in again",
        ),
        Client::Reset { .. } => Some("another process reset the device: try again"),
        Client::QueueStopped { .. } | Client::BadCompletionTail { .. } => {
            Some("see `errors` in /sys/kernel/debug/ringbarN")
        }
        Client::NotMoved { .. } => Some("section 8 of the data sheet explains the status"),
        Client::Full { .. } => None,
    }
}

/// Returns the data sheet's name of a code.
pub(crate) fn code_name(code: ErrorCode) -> String {
    let known = ErrorCode::ALL.iter().find(|(known, _)| *known == code);
    known.map_or_else(|| format!("code {}", code.0), |(_, name)| (*name).into())
}

/// Returns the data sheet's name of a status.
fn status_name(status: Status) -> String {
    let known = Status::ALL.iter().find(|(known, _)| *known == status);
    known.map_or_else(
        || format!("status {}", status.0),
        |(_, name)| (*name).into(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_registers_name_the_capability() {
        let error = Error::Registers(ringbar_client::Error::Refused {
            call: "mmap",
            errno: Errno::PERM,
        });

        assert!(error.advice().expect("advice").contains("CAP_SYS_RAWIO"));
        assert_eq!(error.status(), 1);
    }

    #[test]
    fn status_without_a_name_is_a_number() {
        let error = Error::Status {
            operation: "COPY",
            length: 8,
            status: Status(999),
        };

        let text = "the device returned status 999 for COPY of 8 bytes";
        assert_eq!(error.to_string(), text);
    }

    #[test]
    fn wrong_bytes_have_their_own_exit_status() {
        let error = Error::Differs {
            offset: 5,
            found: 0,
            expected: 0xff,
        };

        assert_eq!(error.status(), 3);
        let text = "byte 5 is 0x00 where 0xff should be";
        assert_eq!(error.to_string(), text);
    }
}

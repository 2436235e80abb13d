// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The private folder of a run: sockets and logs, under a short path.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::error::Error;
use crate::machine::{shell_line, HotplugPorts, ShellPorts};

/// Longest path of a socket: `sun_path` has 108 bytes, and the last one is 0.
const SOCKET_PATH_LIMIT: usize = 107;

/// Logs that are kept after a run.
const LOGS: &[&str] = &[
    "console.log",
    "terminal.log",
    "results.ktap",
    "server.log",
    "server1.log",
    "server2.log",
    "server3.log",
    "qemu.log",
    "qemu-command.txt",
    "server-command.txt",
    "accesses.jsonl",
    "events.jsonl",
    "witness.txt",
];

/// Folder of one run. Dropping it removes the folder.
#[derive(Debug)]
pub(crate) struct Workplace {
    folder: TempDir,
}

impl Workplace {
    /// Creates the folder, accessible to this user only. Fails if its socket paths are too long.
    pub(crate) fn create() -> Result<Self, Error> {
        let parent = std::env::temp_dir();
        let folder = tempfile::Builder::new()
            .prefix("ringbar-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir()
            .map_err(|source| Error::File {
                action: "used as the temporary folder",
                path: parent,
                source,
            })?;
        let place = Self { folder };
        check_socket_path(&place.socket(0))?;
        Ok(place)
    }

    /// Writes a command line among the logs.
    pub(crate) fn note(&self, name: &str, command: &Command) -> Result<(), Error> {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let path = self.file(name);
        fs::write(&path, shell_line(words.map(OsStr::to_owned)) + "\n").map_err(|source| {
            Error::File {
                action: "written",
                path,
                source,
            }
        })
    }

    /// Returns the path of the socket on which the server of a device listens.
    pub(crate) fn socket(&self, device: u32) -> PathBuf {
        self.file(&format!("device{device}.sock"))
    }

    /// Returns the paths of the lines for hot plug.
    pub(crate) fn hotplug_ports(&self) -> HotplugPorts {
        HotplugPorts {
            monitor: self.file("monitor"),
            requests: self.file("requests"),
        }
    }

    /// Returns the path of the line to init.
    pub(crate) fn control_port(&self) -> PathBuf {
        self.file("control")
    }

    /// Returns the paths of the ports of a shell.
    pub(crate) fn shell_ports(&self) -> ShellPorts {
        ShellPorts {
            log: self.file("terminal.log"),
            line: self.file("line"),
        }
    }

    /// Returns the path of the folder.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the path of a file in the folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Opens a file in the folder for appending. [`Tail::create`](crate::tail::Tail::create) has
    /// made it.
    pub(crate) fn append(&self, name: &str) -> Result<File, Error> {
        let path = self.file(name);
        let opened = File::options().append(true).create(true).open(&path);
        opened.map_err(|source| Error::File {
            action: "written",
            path,
            source,
        })
    }

    /// Copies the logs to `target`, replacing those of an earlier run.
    pub(crate) fn keep_logs(&self, target: &Path) -> Result<(), Error> {
        // The folder may have been removed while a shell was open for hours.
        fs::create_dir_all(target).map_err(|source| Error::File {
            action: "made",
            path: target.to_owned(),
            source,
        })?;
        for name in LOGS {
            let (from, to) = (self.file(name), target.join(name));
            if !from.exists() {
                // The run ended before this log existed. An old one must go: it would pass for a
                // log of this run. An error means that there is none.
                let _ = fs::remove_file(&to);
                continue;
            }
            fs::copy(&from, &to).map_err(|source| Error::File {
                action: "written",
                path: to,
                source,
            })?;
        }
        Ok(())
    }
}

/// Fails if the kernel would refuse the path of a socket.
fn check_socket_path(path: &Path) -> Result<(), Error> {
    let length = path.as_os_str().len();
    if length > SOCKET_PATH_LIMIT {
        return Err(Error::SocketPath {
            path: path.to_owned(),
            length,
            limit: SOCKET_PATH_LIMIT,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_is_private() {
        let place = Workplace::create().expect("a folder");

        let mode = fs::metadata(place.folder.path())
            .expect("there")
            .permissions();
        assert_eq!(mode.mode() & 0o777, 0o700);
    }

    #[test]
    fn longest_socket_path_passes_and_a_longer_one_is_refused() {
        let longest = PathBuf::from("x".repeat(SOCKET_PATH_LIMIT));
        let longer = PathBuf::from("x".repeat(SOCKET_PATH_LIMIT + 1));

        assert!(check_socket_path(&longest).is_ok());
        let error = check_socket_path(&longer).expect_err("refused");
        assert!(error.to_string().contains("set TMPDIR"), "{error}");
    }

    #[test]
    fn logs_of_an_earlier_run_are_removed() {
        let place = Workplace::create().expect("a folder");
        let target = tempfile::tempdir().expect("a folder");
        fs::write(target.path().join("qemu.log"), "old").expect("written");
        fs::write(place.file("server.log"), "new").expect("written");

        place.keep_logs(target.path()).expect("kept");

        assert!(!target.path().join("qemu.log").exists());
        let server = fs::read_to_string(target.path().join("server.log")).expect("there");
        assert_eq!(server, "new");
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The private folder of a run: sockets and logs, under a short path.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::error::Error;
use crate::machine::{command_line, HotplugPorts, ShellPorts};
use crate::server;

/// Longest path of a socket: `sun_path` has 108 bytes, and the last one is 0.
const SOCKET_PATH_LIMIT: usize = 107;

/// Logs that are kept after a run, besides those of the servers.
const LOGS: &[&str] = &[
    "console.log",
    "terminal.log",
    "results.ktap",
    "qemu.log",
    "qemu-command.txt",
    "server-command.txt",
    "accesses.jsonl",
    "events.jsonl",
    "executed.jsonl",
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
        let path = self.file(name);
        fs::write(&path, command_line(command) + "\n").map_err(|source| Error::File {
            action: "written",
            path,
            source,
        })
    }

    /// Returns the path of the socket to which QEMU connects for a device.
    pub(crate) fn socket(&self, device: u32) -> PathBuf {
        self.file(&format!("device{device}.sock"))
    }

    /// Returns the path of the socket on which the server of a device listens for its broker.
    pub(crate) fn server_socket(&self, device: u32) -> PathBuf {
        self.file(&format!("server{device}.sock"))
    }

    /// Returns the path of the socket on which a broker hands out the files of a device's regions.
    pub(crate) fn region_files(&self, device: u32) -> PathBuf {
        self.file(&format!("files{device}.sock"))
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
        let mut names: Vec<String> = LOGS.iter().copied().map(str::to_owned).collect();
        names.extend(server_logs(self.folder())?);
        names.extend(server_logs(target)?);
        names.iter().try_for_each(|name| self.keep(name, target))
    }

    /// Copies a log to `target`. If there is none, removes that of an earlier run: it would pass
    /// for a log of this run.
    fn keep(&self, name: &str, target: &Path) -> Result<(), Error> {
        let (from, to) = (self.file(name), target.join(name));
        let (action, done) = match from.exists() {
            true => ("written", fs::copy(&from, &to).map(|_| ())),
            false => ("removed", removed(&to)),
        };
        done.map_err(|source| Error::File {
            action,
            path: to,
            source,
        })
    }
}

/// Returns the names of the servers' logs in a folder. A run may have any number of servers.
fn server_logs(folder: &Path) -> Result<Vec<String>, Error> {
    let names = fs::read_dir(folder).and_then(|entries| {
        let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        names.collect::<io::Result<Vec<_>>>()
    });
    let mut names = names.map_err(|source| Error::File {
        action: "read",
        path: folder.to_owned(),
        source,
    })?;
    names.retain(|name| server::is_log_name(name));
    Ok(names)
}

/// Removes a file, if it exists.
fn removed(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
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

    #[test]
    fn logs_of_all_servers_are_kept_and_earlier_ones_removed() {
        let place = Workplace::create().expect("a folder");
        let target = tempfile::tempdir().expect("a folder");
        for device in 0..8 {
            fs::write(target.path().join(server::log_name(device)), "old").expect("written");
        }
        for device in 0..6 {
            fs::write(place.file(&server::log_name(device)), "new").expect("written");
        }

        let other = target.path().join("server-of-mine.log");
        fs::write(&other, "mine").expect("written");

        place.keep_logs(target.path()).expect("kept");

        let log = |device| fs::read_to_string(target.path().join(server::log_name(device))).ok();
        assert!((0..6).all(|device| log(device).as_deref() == Some("new")));
        assert_eq!([log(6), log(7)], [None, None]);
        assert!(
            other.exists(),
            "a file that is no log of a run is left alone"
        );
    }
}

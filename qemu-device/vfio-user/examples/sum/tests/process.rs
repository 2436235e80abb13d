// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The program: its line for callers that wait for it, its exit status, and its errors.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};

use tempfile::TempDir;

/// A running server. Dropping it kills it.
struct Server {
    child: Child,
    stderr: BufReader<ChildStderr>,
    socket: PathBuf,
    _folder: TempDir,
}

impl Server {
    /// Starts the server with these options, and waits until it listens.
    fn start(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("s");
        let mut child = command(&socket).args(options).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        assert_eq!(line, format!("listening on {}\n", socket.display()));
        Self {
            child,
            stderr,
            socket,
            _folder: folder,
        }
    }

    /// Waits for the end. Returns the exit status and the rest of the output.
    fn finish(&mut self) -> (Option<i32>, String) {
        let mut text = String::new();
        self.stderr.read_to_string(&mut text).unwrap();
        (self.child.wait().unwrap().code(), text)
    }

    /// Connects, sends bytes that are no message, and waits until the server closes.
    fn break_protocol(&self) {
        let mut client = UnixStream::connect(&self.socket).unwrap();
        client.write_all(&[0xff; 16]).unwrap();
        // An error is as good: the server closes before it has read all bytes.
        let _end = client.read_to_end(&mut Vec::new());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // An error means that it has ended.
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}

fn command(socket: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringbar-example-sum"));
    command.arg("--socket").arg(socket).stderr(Stdio::piped());
    command
}

#[test]
fn socket_is_missed_without_another_task() {
    let server = env!("CARGO_BIN_EXE_ringbar-example-sum");
    let output = Command::new(server).output().unwrap();

    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text.contains("--socket <PATH>"), "{text}");
}

#[test]
fn dropped_client_is_followed_by_the_next_one() {
    let server = Server::start(&[]);
    server.break_protocol();

    assert!(vfio_user::Client::new(&server.socket).is_ok());
}

#[test]
fn server_for_one_client_ends_well_when_it_goes() {
    let mut server = Server::start(&["--once"]);
    drop(vfio_user::Client::new(&server.socket).unwrap());

    assert_eq!(server.finish(), (Some(0), String::new()));
    assert!(!server.socket.exists());
}

#[test]
fn server_for_one_client_ends_with_1_and_a_reason_when_it_drops_it() {
    let mut server = Server::start(&["--once"]);
    server.break_protocol();

    let (status, text) = server.finish();
    assert_eq!(status, Some(1));
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn socket_that_is_there_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let _other = UnixListener::bind(&socket).unwrap();

    let output = command(&socket).output().unwrap();

    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains(&socket.display().to_string()), "{text}");
    assert!(text.contains("is in use"), "{text}");
}

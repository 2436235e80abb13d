// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The program: its arguments, its line for callers that wait for it, its exit status.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use ringbar_vfio_user::testing::version;

const BROKER: &str = env!("CARGO_BIN_EXE_ringbar-broker");

fn run(arguments: &[&str]) -> Output {
    Command::new(BROKER).args(arguments).output().unwrap()
}

/// Starts a broker for one client in a folder. Returns it, and what it says after it listens.
fn start(folder: &Path, socket: &Path, server: &Path) -> (Child, BufReader<ChildStderr>) {
    let mut broker = Command::new(BROKER)
        .args(["--once", "--socket"])
        .arg(socket)
        .arg("--server")
        .arg(server)
        .current_dir(folder)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(broker.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("listening") {
        line.clear();
        assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "no broker");
    }
    assert_eq!(line, format!("listening on {}\n", socket.display()));
    (broker, stderr)
}

#[test]
fn help_names_every_option_and_the_limit_of_qemu() {
    let help = String::from_utf8(run(&["--help"]).stdout).unwrap();

    for word in [
        "--socket",
        "--server",
        "--answer-within",
        "--client-waits",
        "--look-every",
        "--region-files",
        "--once",
        "--no-sandbox",
        "--log",
        "--version",
        "5000",
    ] {
        assert!(help.contains(word), "{word}: {help}");
    }
}

#[test]
fn missing_server_is_named() {
    let output = run(&["--socket", "unused"]);

    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--server"));
}

#[test]
fn time_for_an_answer_beyond_that_of_qemu_is_refused_with_the_limit() {
    let output = run(&["--socket", "s", "--server", "t", "--answer-within", "5000"]);

    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text.contains("--answer-within 5000") && text.contains("--client-waits 5000"),
        "{text}"
    );
}

#[test]
fn socket_in_use_and_file_that_is_no_socket_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let [socket, file] = ["socket", "file"].map(|name| folder.path().join(name));
    let _listener = UnixListener::bind(&socket).unwrap();
    fs::write(&file, "precious").unwrap();

    for (path, reason) in [(&socket, "is in use"), (&file, "is not a socket")] {
        let output = run(&["--socket", path.to_str().unwrap(), "--server", "t"]);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1));
        assert!(text.contains(reason), "{text}");
    }
    assert_eq!(fs::read(&file).unwrap(), b"precious");
}

#[test]
fn broker_replaces_the_socket_of_a_dead_one_and_ends_with_its_only_client() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    drop(UnixListener::bind(&socket).unwrap());
    let (mut broker, mut stderr) = start(folder.path(), &socket, Path::new("nowhere"));

    drop(UnixStream::connect(&socket).unwrap());

    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    assert_eq!(broker.wait().unwrap().code(), Some(0), "{rest}");
}

#[test]
fn server_is_found_from_within_the_sandbox() {
    let folder = tempfile::tempdir().unwrap();
    let [socket, server] = ["s", "server"].map(|name| folder.path().join(name));
    let listener = UnixListener::bind(&server).unwrap();
    let (mut broker, _stderr) = start(folder.path(), &socket, &server);

    let mut client = UnixStream::connect(&socket).unwrap();
    let (mut broker_side, _) = listener.accept().unwrap();
    let bytes = version("{}");
    client.write_all(&bytes).unwrap();
    let mut passed = vec![0; bytes.len()];
    broker_side.read_exact(&mut passed).unwrap();
    drop(client);

    assert_eq!(passed, bytes);
    assert_eq!(broker.wait().unwrap().code(), Some(0));
}

#[test]
fn missing_folder_of_the_server_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");

    let output = run(&[
        "--socket",
        socket.to_str().unwrap(),
        "--server",
        "/no/such/folder/s",
    ]);

    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("/no/such/folder"), "{text}");
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The server as a process: arguments, signals, socket, log.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use ringbar_driver_side::descriptors::{fill, nop};
use ringbar_records::record::{Record, What};
use ringbar_server::options::InterruptKind;
use ringbar_spec::error::ErrorCode;
use ringbar_spec::regs::Register;
use ringbar_spec::ring::Status;
use rustix::process::{getrlimit, kill_process, prlimit, Pid, Resource, Rlimit, Signal};
use tempfile::TempDir;
use vfio_user::Client;

use crate::guest::{Guest, DEVICE_WINDOW};

const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_ringbar-server"))
}

fn run(arguments: &[&str]) -> Output {
    command().args(arguments).output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A server that listens. It is killed when the test drops it.
pub(crate) struct Running {
    pub(crate) child: Child,
    log: BufReader<ChildStderr>,
    pub(crate) socket: PathBuf,
    _folder: TempDir,
}

impl Running {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let (child, log) = listen(&socket, arguments);
        Self {
            child,
            log,
            socket,
            _folder: folder,
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Sets the limit of open files. Returns the limit before.
    fn limit_files(&self, most: u64) -> u64 {
        let process = Some(Pid::from_child(&self.child));
        let maximum = getrlimit(Resource::Nofile).maximum;
        let limit = Rlimit {
            current: Some(most),
            maximum,
        };
        let before = prlimit(process, Resource::Nofile, limit).unwrap();
        before.current.unwrap()
    }

    /// Waits for the end. Returns exit status and the rest of the log. Fails the test if the end
    /// does not come.
    pub(crate) fn finish(&mut self) -> (Option<i32>, String) {
        let start = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(start.elapsed() < PATIENCE, "the server does not end");
            thread::sleep(Duration::from_millis(1));
        }
        let mut log = String::new();
        self.log.read_to_string(&mut log).unwrap();
        (self.child.wait().unwrap().code(), log)
    }

    /// Returns name, state and number of context switches of each thread.
    fn threads(&self) -> Vec<String> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        tasks
            .map(|task| {
                let status = fs::read_to_string(task.unwrap().path().join("status")).unwrap();
                let telling = |line: &&str| {
                    ["Name:", "State:", "voluntary", "nonvoluntary"]
                        .iter()
                        .any(|start| line.starts_with(start))
                };
                status.lines().filter(telling).collect::<Vec<_>>().join(" ")
            })
            .collect()
    }

    /// Waits until `wanted` holds for the threads. Fails the test if it never does.
    fn wait_for_threads(&self, wanted: impl Fn(&[String]) -> bool) -> Vec<String> {
        let start = Instant::now();
        loop {
            let threads = self.threads();
            if wanted(&threads) {
                return threads;
            }
            assert!(start.elapsed() < PATIENCE, "{threads:?}");
            thread::yield_now();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has mostly ended already; then there is nothing to kill.
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

/// Starts a server and waits for the log line with which it begins to listen.
pub(crate) fn listen(socket: &Path, arguments: &[&str]) -> (Child, BufReader<ChildStderr>) {
    let mut child = command()
        .arg("--socket")
        .arg(socket)
        .args(arguments)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let ready = format!("listening on {}\n", socket.display());
    let mut said = String::new();
    while !said.ends_with(&ready) {
        assert_ne!(log.read_line(&mut said).unwrap(), 0, "no server: {said}");
    }
    (child, log)
}

#[test]
fn missing_socket_argument_exits_with_2() {
    let output = run(&[]);

    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--socket"));
}

#[test]
fn number_of_queues_over_the_limit_names_value_and_limit() {
    let output = run(&["--socket", "unused", "--queues", "65"]);

    assert_eq!(output.status.code(), Some(2));
    let message = text(&output.stderr);
    assert!(
        message.contains("65") && message.contains("64"),
        "{message}"
    );
}

#[test]
fn device_memory_over_the_limit_names_value_and_limit() {
    let output = run(&["--socket", "unused", "--device-memory", "2G"]);

    assert_eq!(output.status.code(), Some(2));
    let message = text(&output.stderr);
    assert!(
        message.contains("2G") && message.contains("1G"),
        "{message}"
    );
}

#[test]
fn help_names_every_option() {
    let help = text(&run(&["--help"]).stdout);
    let missing: Vec<&str> = [
        "--socket",
        "--interrupts",
        "--queues",
        "--poll-time",
        "--device-memory",
        "--once",
        "--sandbox",
        "--print-sandbox",
        "--region-files",
        "--log",
        "--events",
        "--trace",
        "--version",
    ]
    .into_iter()
    .filter(|option| !help.contains(option))
    .collect();

    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn version_is_that_of_the_package() {
    let version = text(&run(&["--version"]).stdout);

    assert!(version.contains(env!("CARGO_PKG_VERSION")), "{version}");
}

#[test]
fn socket_in_use_exits_with_1_and_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let _listener = UnixListener::bind(&socket).unwrap();

    let output = run(&["--socket", socket.to_str().unwrap()]);

    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("is in use"));
}

#[test]
fn sigterm_exits_with_0_and_the_next_server_takes_the_socket() {
    let mut server = Running::start(&[]);

    server.signal(Signal::TERM);
    let (status, _log) = server.finish();

    assert_eq!(status, Some(0));
    let (child, log) = listen(&server.socket, &[]);
    (server.child, server.log) = (child, log);
    assert!(Client::new(&server.socket).is_ok());
}

#[test]
fn sigterm_outside_of_a_sandbox_removes_the_socket() {
    let mut server = Running::start(&["--sandbox", "none"]);

    server.signal(Signal::TERM);
    let (status, _log) = server.finish();

    assert_eq!(status, Some(0));
    assert!(!server.socket.exists());
}

#[test]
fn sigint_with_a_client_exits_with_0() {
    let mut server = Running::start(&[]);
    let _client = Client::new(&server.socket).unwrap();

    server.signal(Signal::INT);
    let (status, _log) = server.finish();

    assert_eq!(status, Some(0));
}

#[test]
fn killed_server_can_be_started_again_at_once() {
    let mut server = Running::start(&[]);
    server.signal(Signal::KILL);
    server.finish();
    assert!(server.socket.exists());

    let (child, log) = listen(&server.socket, &[]);
    (server.child, server.log) = (child, log);

    assert!(Client::new(&server.socket).is_ok());
}

#[test]
fn client_after_client_gets_a_device_as_after_power_on() {
    const SCRATCH: u64 = 0x18;
    let server = Running::start(&[]);

    for _ in 0..5 {
        let mut client = Client::new(&server.socket).unwrap();
        let mut scratch = [0xff; 4];
        client.region_read(0, SCRATCH, &mut scratch).unwrap();
        assert_eq!(scratch, [0; 4]);
        client.region_write(0, SCRATCH, &[1, 2, 3, 4]).unwrap();
    }
}

#[test]
fn client_that_breaks_the_protocol_is_dropped_and_the_next_one_served() {
    let server = Running::start(&[]);
    let mut stranger = UnixStream::connect(&server.socket).unwrap();
    stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    // The connection ends, without a byte.
    assert_eq!(stranger.read(&mut [0]).unwrap_or(0), 0);

    assert!(Client::new(&server.socket).is_ok());
}

/// Asserts that a server with a limit of `most` open files logs `complaint` when its client goes.
/// When the limit is raised it serves the next client.
#[track_caller]
fn assert_waits_for_files(most: u64, complaint: &str) {
    // With the sandbox's own limits its limit could not be raised.
    let mut server = Running::start(&["--sandbox", "seccomp"]);
    let client = Client::new(&server.socket).unwrap();
    let limit = server.limit_files(most);
    drop(client);
    let mut line = String::new();
    while !line.contains(complaint) {
        line.clear();
        assert_ne!(server.log.read_line(&mut line).unwrap(), 0, "it has ended");
    }

    server.limit_files(limit);

    assert!(Client::new(&server.socket).is_ok());
}

#[test]
fn server_without_a_file_for_the_next_device_waits_until_there_is_one() {
    assert_waits_for_files(3, "cannot make");
}

#[test]
fn server_without_a_file_for_the_next_client_waits_until_there_is_one() {
    // The lower ones belong to the socket and the device.
    assert_waits_for_files(8, "cannot accept a client");
}

#[test]
fn first_client_that_goes_ends_the_server_with_0_and_a_line_if_asked_to() {
    let mut server = Running::start(&["--once"]);
    drop(Client::new(&server.socket).unwrap());

    let (status, log) = server.finish();

    assert_eq!(status, Some(0));
    assert!(log.contains("client gone"), "{log}");
}

#[test]
fn trace_shows_accesses_by_register_name() {
    let mut server = Running::start(&["--trace", "--once"]);
    let mut client = Client::new(&server.socket).unwrap();
    client.region_read(0, 0, &mut [0; 4]).unwrap();
    client.region_write(0, 0x18, &[1, 2, 3, 4]).unwrap();
    drop(client);

    let (_status, log) = server.finish();

    assert!(log.contains("read IDENT 4 0x52414252"), "{log}");
    assert!(log.contains("write SCRATCH 4 0x04030201"), "{log}");
}

#[test]
fn events_are_written_from_within_the_sandbox() {
    let folder = tempfile::tempdir().unwrap();
    let events = folder.path().join("events.jsonl");
    let mut server = Running::start(&["--once", "--events", events.to_str().unwrap()]);
    let mut client = Client::new(&server.socket).unwrap();
    client.region_write(0, 0x18, &[1, 2, 3, 4]).unwrap();
    drop(client);

    let (status, log) = server.finish();

    assert_eq!(status, Some(0), "{log}");
    let written = fs::read_to_string(events).unwrap();
    assert!(written.contains("\"value\":\"0x4030201\""), "{written}");
}

#[test]
fn each_descriptor_that_a_step_refuses_is_an_event() {
    let folder = tempfile::tempdir().unwrap();
    let events = folder.path().join("events.jsonl");
    let mut server = Running::start(&["--once", "--events", events.to_str().unwrap()]);
    let mut guest = Guest::attach(&server.socket, InterruptKind::Msix);
    guest.set_up();
    let no_window = DEVICE_WINDOW + 1;
    for tag in [7, 8, 9] {
        guest.submit(&fill(tag, 0, (no_window, 0), 8));
    }
    guest.kick();
    guest.wait_until("the descriptors do not complete", |guest| {
        guest.completion_tail() == 3
    });
    drop(guest);
    let (_status, log) = server.finish();

    let written = fs::read_to_string(events).unwrap();

    let refused = |line| match Record::parse(line).expect("a record") {
        Record::Event(event) => match event.what {
            What::Error { code, queue, value } => Some((code, queue, value.0)),
            _ => None,
        },
        other => panic!("{other:?}"),
    };
    let refused: Vec<_> = written.lines().filter_map(refused).collect();
    let expected = [7, 8, 9].map(|tag| {
        let value = u128::from(Status::BAD_WINDOW.0) << 32 | tag;
        (ErrorCode::DESCRIPTOR_REFUSED.0, Some(0), value)
    });
    assert_eq!(refused, expected, "{log}");
}

#[test]
fn guest_error_is_logged_once_per_kind_with_name_and_value() {
    let mut server = Running::start(&["--once"]);
    let mut client = Client::new(&server.socket).unwrap();
    client.region_write(0, 0, &[0x5a; 4]).unwrap();
    client.region_write(0, 0, &[0x5b; 4]).unwrap();
    client.region_write(0, 0x0f00, &[0; 4]).unwrap();
    drop(client);

    let (_status, log) = server.finish();

    assert_eq!(log.matches("guest error READ_ONLY").count(), 1, "{log}");
    assert!(log.contains("writing 0x5a5a5a5a to IDENT"), "{log}");
    assert!(log.contains("guest error RESERVED_REGISTER"), "{log}");
}

#[test]
fn idle_server_blocks() {
    let server = Running::start(&[]);
    let mut guest = Guest::attach(&server.socket, InterruptKind::Msix);
    guest.set_up();
    guest.carry_out(&nop(1));
    guest.wait_until("the queue does not sleep", Guest::sleeps);

    let before = server.wait_for_threads(|all| all.iter().all(|it| it.contains("(sleeping)")));
    thread::sleep(Duration::from_millis(300));

    assert_eq!(server.threads(), before);
}

#[test]
fn device_thread_runs_while_it_polls() {
    let server = Running::start(&["--poll-time", "4294967295"]);
    let mut guest = Guest::attach(&server.socket, InterruptKind::Msix);
    guest.set_up();

    guest.carry_out(&nop(1));

    server.wait_for_threads(|all| {
        let device = all.iter().find(|it| it.contains("device"));
        device.is_some_and(|it| it.contains("(running)"))
    });
}

#[test]
fn device_has_8_queues_by_default() {
    let server = Running::start(&[]);
    let mut guest = Guest::attach(&server.socket, InterruptKind::Msix);

    assert_eq!(guest.get(Register::QUEUE_LIMITS) & 0xffff, 8);
}

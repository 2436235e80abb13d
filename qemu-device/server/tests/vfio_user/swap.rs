// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A server that is killed and replaced behind a broker, while its client goes on.

use std::io::ErrorKind;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use ringbar_broker::serve::{self, Surroundings, Times};
use ringbar_broker::socket;
use ringbar_driver_side::descriptors::nop;
use ringbar_endpoint::region_files;
use ringbar_server::options::InterruptKind::Msix;
use ringbar_spec::ids;
use ringbar_spec::regs::Register;
use ringbar_spec::ring::Status;
use tempfile::TempDir;
use vm_memory::{Bytes, VolatileMemory};

use crate::guest::Guest;
use crate::process::listen;

/// Time after which a server that does not answer counts as hung.
const PATIENCE: Duration = Duration::from_secs(60);
/// Registers of a device that is not there.
const ALL_ONES: u64 = 0xffff_ffff;

/// A broker in a thread of this process.
struct Broker {
    folder: TempDir,
}

impl Broker {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [client, files, server] =
            ["client", "files", "server"].map(|name| folder.path().join(name));
        let client = socket::listen(&client).unwrap();
        let files = socket::listen(&files).unwrap();
        // Ends with the process: it waits for clients for ever.
        thread::spawn(move || {
            let around = Surroundings {
                server: &server,
                files: Some(&files),
                times: Times {
                    // A slow machine must not make a server a dead one.
                    limit: PATIENCE,
                    pause: Duration::from_millis(1),
                },
            };
            serve::run(&client, around, false)
        });
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts a server that takes the region files of the first one.
    fn server(&self) -> Running {
        let files = self.path("files");
        self.server_with(&["--region-files", files.to_str().unwrap()])
    }

    fn server_with(&self, arguments: &[&str]) -> Running {
        let (child, _log) = listen(&self.path("server"), arguments);
        Running(child)
    }

    /// Connects the client.
    fn guest(&self) -> Guest {
        Guest::attach(&self.path("client"), Msix)
    }
}

/// A server as a process. It is killed when the test drops it.
struct Running(Child);

impl Running {
    /// Kills the server, as `kill -9` does.
    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has mostly ended already; then there is nothing to kill.
        let _ended = self.0.kill();
        let _status = self.0.wait();
    }
}

/// Waits until a server answers.
fn wait_for_server(guest: &mut Guest) {
    let start = Instant::now();
    while guest.get(Register::IDENT) != u64::from(ids::IDENT) {
        assert!(start.elapsed() < PATIENCE, "no server takes over");
        thread::yield_now();
    }
}

#[test]
fn client_finds_memory_interrupts_and_configuration_as_it_left_them() {
    let broker = Broker::start();
    let first = broker.server();
    let mut guest = broker.guest();
    guest.set_up();
    guest.carry_out(&nop(1));
    guest.set(Register::SCRATCH, 5);

    first.kill();
    let dead = guest.get(Register::IDENT);
    let _second = broker.server();
    wait_for_server(&mut guest);

    assert_eq!(dead, ALL_ONES);
    // As after power-on.
    assert_eq!(guest.get(Register::SCRATCH), 0);
    // The queue alone is started anew: its rings are in memory that was mapped before, its doorbell
    // in the page of the first server, its interrupt at the eventfd of before.
    guest.start_queue();
    let completion = guest.carry_out(&nop(2));
    assert_eq!((completion.tag, completion.status), (2, Status::OK.0));
}

#[test]
fn memory_of_the_device_is_clear_for_each_new_server() {
    let broker = Broker::start();
    let first = broker.server();
    let mut guest = broker.guest();
    let memory = guest.device_memory.as_volatile_slice();
    memory.write_slice(&[7; 16], 4096).unwrap();

    first.kill();
    let _second = broker.server();
    wait_for_server(&mut guest);

    assert_eq!(guest.peek_device(4096, 16), [0; 16]);
}

#[test]
fn server_with_region_files_of_its_own_is_left() {
    let broker = Broker::start();
    let first = broker.server();
    let mut guest = broker.guest();
    first.kill();

    let mut stranger = broker.server_with(&["--once"]);
    // It ends when the broker has left it.
    stranger.0.wait().unwrap();
    let with_stranger = guest.get(Register::IDENT);
    let _second = broker.server();
    wait_for_server(&mut guest);

    assert_eq!(with_stranger, ALL_ONES);
}

#[test]
fn new_server_gets_no_files_while_another_one_is_connected() {
    let broker = Broker::start();
    let _first = broker.server();
    let mut guest = broker.guest();
    guest.get(Register::IDENT);
    let other = broker.path("other");
    let files = broker.path("files");

    let output = crate::process::command()
        .args(["--region-files", files.to_str().unwrap(), "--socket"])
        .arg(other)
        .output()
        .unwrap();

    let text = crate::process::text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("another server is connected"), "{text}");
}

#[test]
fn server_lets_no_client_connect_before_it_has_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let [files, server] = ["files", "server"].map(|name| folder.path().join(name));
    let broker = UnixListener::bind(&files).unwrap();
    let starting = {
        let (files, server) = (files.clone(), server.clone());
        thread::spawn(move || listen(&server, &["--region-files", files.to_str().unwrap()]))
    };
    let (asking, _address) = broker.accept().unwrap();

    let early = UnixStream::connect(&server).unwrap_err();
    region_files::send(&asking, &[]).unwrap();
    let (child, _log) = starting.join().unwrap();
    let _running = Running(child);

    // A broker that is connected hands out no files.
    assert_eq!(early.kind(), ErrorKind::ConnectionRefused);
    assert!(UnixStream::connect(&server).is_ok());
}

#[test]
fn server_of_many_clients_has_the_same_files_for_each() {
    let broker = Broker::start();
    let _server = broker.server();
    let mut guest = broker.guest();
    guest
        .device_memory
        .as_volatile_slice()
        .write_slice(&[7; 16], 0)
        .unwrap();
    guest.get(Register::IDENT);
    drop(guest);

    let mut guest = broker.guest();

    assert_eq!(guest.get(Register::SCRATCH), 0);
    assert_eq!(guest.peek_device(0, 16), [0; 16]);
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The broker: record, answers and replay without I/O; then over real sockets, between a client and
//! servers of these tests.

mod client;
mod common;
mod dead;
mod deaths;
mod example;
mod exchange;
mod files;
mod record;
mod server;

use std::os::unix::net::{UnixListener, UnixStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use client::Client;
use ringbar_broker::fault::ClientFault;
use ringbar_broker::serve::{serve, Surroundings, Times};
use ringbar_vfio_user::testing::{version, VERSION_TEXT};
use server::{Puppet, Server};
use tempfile::TempDir;

/// Time after which a peer that does not respond counts as hung.
const PATIENCE: Duration = Duration::from_secs(60);

/// A broker with its client.
struct Bench {
    client: Client,
    broker: JoinHandle<Result<(), ClientFault>>,
    _folder: TempDir,
}

impl Bench {
    /// Starts a broker that waits so long for an answer, with a server that works.
    fn start(limit: Duration) -> (Self, Server) {
        let (bench, listener) = Self::without_server(limit);
        (bench, Server::run(listener))
    }

    /// Starts a broker with a server that does only what the test tells it, and agrees on a version.
    fn with_puppet(limit: Duration) -> (Self, UnixListener, Puppet) {
        let (mut bench, listener) = Self::without_server(limit);
        let request = bench.client.send(&version(VERSION_TEXT), &[], false);
        let puppet = Puppet::accept(&listener);
        puppet.serve();
        bench.client.answer_to(&request);
        (bench, listener, puppet)
    }

    /// Starts a broker, and listens in the place of its server.
    fn without_server(limit: Duration) -> (Self, UnixListener) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server");
        let listener = UnixListener::bind(&path).unwrap();
        let (mine, its) = UnixStream::pair().unwrap();
        let times = Times {
            limit,
            pause: Duration::from_millis(1),
        };
        let broker = thread::spawn(move || {
            let around = Surroundings {
                server: &path,
                files: None,
                times,
            };
            serve(its, around)
        });
        let bench = Self {
            client: Client::new(mine),
            broker,
            _folder: folder,
        };
        (bench, listener)
    }
}

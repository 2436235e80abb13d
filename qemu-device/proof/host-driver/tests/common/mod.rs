// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A server and its client.

use ringbar_host_driver::{connect, HostDriver};
use ringbar_server::{Options, Server};
use std::thread;

/// Calls `body` with a client whose server runs on a thread.
pub(crate) fn with_client(body: impl FnOnce(&mut HostDriver)) {
    let folder = tempfile::tempdir().unwrap();
    let mut options = Options::new(folder.path().join("socket"));
    options.once = true;
    let server = Server::bind(&options).unwrap();
    let server = thread::spawn(|| server.run());
    let mut client = connect(&options.socket).unwrap();

    body(&mut client);

    client.into_transport().hang_up().unwrap();
    server.join().unwrap().unwrap();
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The test vectors at the socket.

use ringbar_raw_client::RawClient;
use ringbar_server::{Options, Server};
use ringbar_vectors as vectors;
use std::thread;

#[test]
fn every_vector_ends_as_the_data_sheet_says() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options::new(folder.path().join("socket"));
    let server = Server::bind(&options).unwrap();
    let server = thread::spawn(|| server.run());
    let mut client = RawClient::connect(&options.socket).unwrap();
    let mut different = Vec::new();

    vectors::run(&mut client, &vectors::all(vectors::DEFAULT_SEED), |row| {
        if row.difference.is_some() {
            different.push(row);
        }
    })
    .unwrap();

    client.hang_up().unwrap();
    server.join().unwrap().unwrap();
    assert_eq!(different, []);
}

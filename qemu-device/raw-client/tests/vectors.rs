// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The test vectors and the cases of an IOMMU, at the socket.

use ringbar_raw_client::RawClient;
use ringbar_server::{Options, Server};
use ringbar_vectors as vectors;
use std::thread;

/// Calls `body` with a client whose server runs on a thread.
fn with_client(body: impl FnOnce(&mut RawClient)) {
    let folder = tempfile::tempdir().unwrap();
    let mut options = Options::new(folder.path().join("socket"));
    options.once = true;
    let server = Server::bind(&options).unwrap();
    let server = thread::spawn(|| server.run());
    let mut client = RawClient::connect(&options.socket).unwrap();

    body(&mut client);

    client.hang_up().unwrap();
    server.join().unwrap().unwrap();
}

#[test]
fn every_vector_ends_as_the_data_sheet_says() {
    with_client(|client| {
        let mut rows = Vec::new();
        vectors::run(client, &vectors::all(vectors::DEFAULT_SEED), |row| {
            rows.push(row);
        })
        .unwrap();

        rows.retain(|row| row.difference.is_some());
        assert_eq!(rows, []);
    });
}

#[test]
fn iommu_keeps_the_device_to_what_is_mapped() {
    with_client(|client| {
        let mut rows = Vec::new();
        vectors::dma::run(client, vectors::DEFAULT_SEED, |row| rows.push(row)).unwrap();

        assert_eq!(rows, vectors::dma::expected());
    });
}

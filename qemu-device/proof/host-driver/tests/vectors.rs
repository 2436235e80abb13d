// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The test vectors and the cases of an IOMMU, at the socket.

mod common;

use common::with_client;
use ringbar_test_vectors as test_vectors;

#[test]
fn every_vector_ends_as_the_data_sheet_says() {
    with_client(|client| {
        let mut rows = Vec::new();
        test_vectors::run(
            client,
            &test_vectors::all(test_vectors::DEFAULT_SEED),
            |row| {
                rows.push(row);
            },
        )
        .unwrap();

        rows.retain(|row| row.difference.is_some());
        assert_eq!(rows, []);
    });
}

#[test]
fn iommu_limits_the_device_to_mapped_memory() {
    with_client(|client| {
        let mut rows = Vec::new();
        test_vectors::dma::run(client, test_vectors::DEFAULT_SEED, |row| rows.push(row)).unwrap();

        assert_eq!(rows, test_vectors::dma::expected());
    });
}

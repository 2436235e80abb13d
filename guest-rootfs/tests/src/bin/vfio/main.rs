// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A process drives the device through `vfio-pci`, behind an IOMMU: path B of the test vectors.
//! Afterwards the kernel's driver has the device again.
//!
//! The stock kernel offers container and group, the debug kernel device node and iommufd.

mod ground;
mod hot_reset;
mod regions;

use ground::Ground;
use ringbar_test_vectors as test_vectors;
use ringbar_tests::{case, parameter, run, Case};
use std::process::ExitCode;

fn main() -> ExitCode {
    run()
}

/// Makes a case that needs a machine with an IOMMU.
fn on_ground(name: &'static str, body: fn(Ground)) -> Case {
    Case::new(name, move || {
        body(Ground::take()?);
        Ok(())
    })
}

#[case(on_ground)]
fn every_vector_ends_as_the_data_sheet_says(ground: Ground) {
    let seed = parameter::number("ringbar.seed").unwrap_or(test_vectors::DEFAULT_SEED);
    let mut driver = ground.driver();
    let mut different = 0;
    let outcome = test_vectors::run(&mut driver, &test_vectors::all(seed), |row| {
        println!("# {}", row.line('B'));
        different += u32::from(row.difference.is_some());
    });
    outcome.expect("every vector can be run");
    assert_eq!(different, 0, "vectors that differ from the data sheet");
}

#[case(on_ground)]
fn iommu_limits_the_device_to_mapped_memory(ground: Ground) {
    let mut driver = ground.driver();
    let mut different = 0;
    let outcome = test_vectors::dma::run(&mut driver, parameter::seed(), |row| {
        println!("# {}", row.line('B'));
        different += u32::from(row.difference.is_some());
    });
    outcome.expect("every case can be run");
    assert_eq!(different, 0, "cases that differ from the data sheet");
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The device in the hands of a process, by `vfio-pci` and behind an IOMMU: path B of the test
//! vectors. Afterwards the kernel's driver has it again.
//!
//! On the stock kernel by container and group, on the debug kernel by device node and iommufd.

mod ground;
mod regions;

use ground::Ground;
use ringbar_test_vectors as vectors;
use ringbar_tests::{open, parameter, run_all, works, Case, Skip};
use std::process::ExitCode;

fn main() -> ExitCode {
    run_all(vec![
        case(
            "every_vector_ends_as_the_data_sheet_says",
            every_vector_ends_as_the_data_sheet_says,
        ),
        case(
            "iommu_keeps_the_device_to_what_is_mapped",
            iommu_keeps_the_device_to_what_is_mapped,
        ),
        case(
            "regions_are_those_of_the_device",
            regions::regions_are_those_of_the_device,
        ),
        case(
            "regions_that_are_not_there_are_refused",
            regions::regions_that_are_not_there_are_refused,
        ),
        case(
            "bad_interrupt_requests_are_refused",
            regions::bad_interrupt_requests_are_refused,
        ),
        case(
            "interrupts_that_are_set_up_twice_still_come",
            regions::interrupts_that_are_set_up_twice_still_come,
        ),
        case(
            "what_is_there_already_cannot_be_set_up_again",
            regions::what_is_there_already_cannot_be_set_up_again,
        ),
        case(
            "function_is_reset_by_vfio_and_by_sysfs",
            regions::function_is_reset_by_vfio_and_by_sysfs,
        ),
        case(
            "kernel_driver_works_again_when_the_device_is_given_back",
            kernel_driver_works_again,
        ),
    ])
}

/// A case that needs a machine with an IOMMU.
fn case(name: &'static str, body: fn(Ground)) -> Case {
    Case::skippable(name, move || {
        let ground = Ground::take().ok_or(Skip("the machine has no IOMMU".into()))?;
        body(ground);
        Ok(())
    })
}

fn every_vector_ends_as_the_data_sheet_says(ground: Ground) {
    let seed = parameter::number("ringbar.seed").unwrap_or(vectors::DEFAULT_SEED);
    let mut driver = ground.driver();
    let mut different = 0;
    let outcome = vectors::run(&mut driver, &vectors::all(seed), |row| {
        println!("# {}", row.line('B'));
        different += u32::from(row.difference.is_some());
    });
    outcome.expect("every vector can be run");
    assert_eq!(different, 0, "vectors that did not end as they must");
}

fn iommu_keeps_the_device_to_what_is_mapped(ground: Ground) {
    let mut driver = ground.driver();
    let mut different = 0;
    let outcome = vectors::dma::run(&mut driver, parameter::seed(), |row| {
        println!("# {}", row.line('B'));
        different += u32::from(row.difference.is_some());
    });
    outcome.expect("every case can be run");
    assert_eq!(different, 0, "cases that did not end as they must");
}

fn kernel_driver_works_again(ground: Ground) {
    drop(ground.driver());
    let driver = ground.give_back();

    assert_eq!(driver, "ringbar");
    works(&open());
}

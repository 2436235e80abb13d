// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The test vectors through the kernel driver: path A.
//!
//! Each vector prints a row. The table of all paths is made of these rows (`ci/README.md`).

mod driver;

use driver::Driver;
use ringbar_test_vectors as test_vectors;
use ringbar_tests::{case, parameter, run};
use std::process::ExitCode;

fn main() -> ExitCode {
    run()
}

#[case]
fn every_vector_ends_as_the_data_sheet_says() {
    let seed = parameter::number("ringbar.seed").unwrap_or(test_vectors::DEFAULT_SEED);
    let mut different = 0;
    let outcome = test_vectors::run(&mut Driver::open(), &test_vectors::all(seed), |row| {
        println!("# {}", row.line('A'));
        different += u32::from(row.difference.is_some());
    });
    outcome.expect("every vector can be run");
    assert_eq!(different, 0, "vectors that differ from the data sheet");
}

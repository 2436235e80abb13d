// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What the driver did for all the programs before this one has left no memory behind.
//!
//! `init` runs this program last. Only the debug kernel knows of memory that nobody points to.

use ringbar_tests::{case, on_debug_kernel, parameter, run, PciFunction, Skip};
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

/// Linux `Documentation/dev-tools/kmemleak.rst`.
const DETECTOR: &str = "/sys/kernel/debug/kmemleak";

/// What is younger than 5 s the detector does not report.
const AGE: Duration = Duration::from_secs(6);

fn main() -> ExitCode {
    run()
}

#[case]
fn driver_leaves_no_memory_behind() -> Result<(), Skip> {
    if !Path::new(DETECTOR).exists() {
        assert!(!on_debug_kernel(), "the debug kernel has no {DETECTOR}");
        return Err(Skip("this kernel does not look for leaks".into()));
    }
    if parameter::word("kmemleak").as_deref() == Some("off") {
        return Err(Skip("the detector is off: kmemleak=off".into()));
    }
    // What only a bound device points to is to be free as well.
    let function = PciFunction::under_test();
    let unbound = function.unbind();
    sleep(AGE);
    // A pointer that moved during one scan is found by the next.
    for _ in 0..2 {
        fs::write(DETECTOR, "scan").expect("the detector works: the console says why not");
    }
    let report = fs::read_to_string(DETECTOR).expect("the report can be read");
    drop(unbound);
    let ours = of_the_driver(&report);
    assert!(ours.is_empty(), "{}", ours.join("\n"));
    Ok(())
}

/// Objects that a function of the module has allocated, or has had allocated.
fn of_the_driver(report: &str) -> Vec<&str> {
    report
        .split("unreferenced object")
        .filter(|object| object.contains("[ringbar]"))
        .collect()
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The driver has leaked no memory in all programs before this one.
//!
//! `init` runs this program last. Only the debug kernel finds leaked memory.

use ringbar_tests::{case, on_debug_kernel, parameter, run, PciFunction, Skip};
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

/// The kernel's leak detector (Linux `Documentation/dev-tools/kmemleak.rst`).
const DETECTOR: &str = "/sys/kernel/debug/kmemleak";

/// Longer than the 5 s for which the detector does not report a new object.
const AGE: Duration = Duration::from_secs(6);

fn main() -> ExitCode {
    run()
}

#[case]
fn driver_leaves_no_memory_behind() -> Result<(), Skip> {
    if !Path::new(DETECTOR).exists() {
        assert!(!on_debug_kernel(), "the debug kernel has no {DETECTOR}");
        return Err(Skip("this kernel has no leak detector".into()));
    }
    if parameter::word("kmemleak").as_deref() == Some("off") {
        return Err(Skip("the detector is off: kmemleak=off".into()));
    }
    // Without a driver, memory that only a bound device refers to must be free as well.
    let function = PciFunction::under_test();
    let unbound = function.unbind();
    sleep(AGE);
    // One scan misses an object if its pointer moves meanwhile. The next scan finds it.
    for _ in 0..2 {
        fs::write(DETECTOR, "scan").expect("the detector works: the console says why not");
    }
    let report = fs::read_to_string(DETECTOR).expect("the report can be read");
    drop(unbound);
    let ours = of_the_driver(&report);
    assert!(ours.is_empty(), "{}", ours.join("\n"));
    Ok(())
}

/// Returns the objects that a function of the module allocated, or had allocated.
fn of_the_driver(report: &str) -> Vec<&str> {
    report
        .split("unreferenced object")
        .filter(|object| object.contains("[ringbar]"))
        .collect()
}

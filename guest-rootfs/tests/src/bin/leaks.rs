// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The driver leaked no memory in any program before this one.
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
    // The detector reports only memory to which nothing refers. So unbind first. Memory to which
    // only the bound device referred must be freed by that, and is reported otherwise.
    let function = PciFunction::under_test();
    let unbound = function.unbind();
    sleep(AGE);
    // The detector reports an object only if its bytes have not changed since an earlier scan. The
    // debug kernel does not scan by itself, so the first scan takes checksums, and the second one
    // reports.
    for _ in 0..2 {
        fs::write(DETECTOR, "scan")
            .expect("the detector scans; if it refuses, the console has the reason");
    }
    let report = fs::read_to_string(DETECTOR).expect("the report can be read");
    drop(unbound);
    let ours = of_the_driver(&report);
    assert!(ours.is_empty(), "{}", ours.join("\n"));
    Ok(())
}

/// Returns the reported objects with a function of the module in the backtrace of their allocation.
fn of_the_driver(report: &str) -> Vec<&str> {
    report
        .split("unreferenced object")
        .filter(|object| object.contains("[ringbar]"))
        .collect()
}

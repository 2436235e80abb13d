// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Other test programs on device 0, while device 2 tells all lies in turn.

use crate::liar::{bearable, Liar};
use ringbar_tests::{parameter, Case, Skip};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Programs that need neither another device nor the runner, and are short.
const SHORT: [&str; 5] = ["registers", "dma", "queue", "waiting", "kernel_queue"];
/// The others of that kind, for a full run. None takes the driver off its device: the number of the
/// node would be free, and the other device would get it.
const MORE: [&str; 7] = [
    "checks",
    "device_memory",
    "errors",
    "mappings",
    "refusals",
    "signals",
    "windows",
];
/// Time for which a lie is told.
const TIME: Duration = Duration::from_millis(50);

/// Returns a case for each program.
pub(crate) fn cases() -> impl Iterator<Item = Case> {
    let more = if parameter::number("ringbar.full") == Some(1) {
        &MORE[..]
    } else {
        &[]
    };
    let programs = SHORT.iter().chain(more);
    programs.map(|program| Case::new(format!("beside/{program}"), move || passes(program)))
}

/// Runs a program, and has device 2 lie meanwhile.
fn passes(program: &str) -> Result<(), Skip> {
    let liar = Liar::find()?;
    let over = AtomicBool::new(false);
    let output = thread::scope(|scope| {
        scope.spawn(|| lie_in_turn(&liar, &over));
        let output = Command::new(Path::new("/tests").join(program)).output();
        over.store(true, Ordering::Relaxed);
        output.expect("the program can be started")
    });
    liar.truth();
    liar.come_back();
    let text = String::from_utf8_lossy(&output.stdout);
    for line in text.lines().filter(|line| !line.starts_with("ok ")) {
        println!("# {line}");
    }
    assert!(output.status.success(), "{program}: {}", output.status);
    Ok(())
}

/// Tells one lie after the other while the device is bound and opened anew.
fn lie_in_turn(liar: &Liar, over: &AtomicBool) {
    for lie in bearable().cycle() {
        if over.load(Ordering::Relaxed) {
            return;
        }
        liar.lie(lie);
        liar.bind_again();
        thread::sleep(TIME);
        liar.truth();
        liar.come_back();
    }
}

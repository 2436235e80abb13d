// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Turns off the scheduler's fair server.
//!
//! The fair server keeps real-time tasks from starving all others, and no program of the guest
//! needs that.
//!
//! Linux 7.3 has a race in it (`kernel/sched/deadline.c`). The callback `dl_server_timer` waits for
//! the run queue's lock. Meanwhile `start_dl_timer` on another processor may queue the same timer
//! again. If that timer also expires before the callback has the lock, the callback forwards a
//! queued timer. The kernel then warns in `hrtimer_forward`.
//!
//! A real processor is not slow enough for this. A vCPU is, on a busy host or while QEMU waits for
//! a server that does not respond. Left on, the fair server would make runs red that have nothing
//! to do with it.

use std::fs;
use std::io;
use std::path::Path;

/// Folder with one folder per processor, `cpu0` and so on. Each has a file `runtime`: how long the
/// fair server may run in each of its periods, in ns. 0 turns it off.
pub(crate) const FOLDER: &str = "/sys/kernel/debug/sched/fair_server";

/// Turns the fair server off on each processor that has a folder in `folder`. Does nothing if the
/// kernel has no such server.
pub(crate) fn turn_off(folder: &Path) -> Result<(), String> {
    let failed = |path: &Path, error: io::Error| format!("cannot turn {path:?} off: {error}");
    let processors = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(|error| failed(folder, error))?,
    };
    for processor in processors {
        let runtime = processor
            .map_err(|error| failed(folder, error))?
            .path()
            .join("runtime");
        fs::write(&runtime, "0").map_err(|error| failed(&runtime, error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fair_server_of_each_processor_gets_no_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let runtimes = ["cpu0", "cpu1"].map(|name| folder.path().join(name).join("runtime"));
        for runtime in &runtimes {
            fs::create_dir(runtime.parent().expect("a folder")).expect("it is new");
            fs::write(runtime, "50000000").expect("it can be written");
        }

        assert_eq!(turn_off(folder.path()), Ok(()));

        let told = runtimes.map(|runtime| fs::read_to_string(runtime).expect("it is there"));
        assert_eq!(told, ["0", "0"]);
    }

    #[test]
    fn kernel_without_a_fair_server_is_left_alone() {
        assert_eq!(turn_off(Path::new("/nowhere/fair_server")), Ok(()));
    }

    #[test]
    fn refused_write_is_an_error_that_names_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("cpu0")).expect("it is new");
        fs::create_dir(folder.path().join("cpu0/runtime")).expect("it is new");

        let error = turn_off(folder.path()).expect_err("a folder cannot be written");

        assert!(error.contains("cpu0/runtime"), "{error}");
    }
}

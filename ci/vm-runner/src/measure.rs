// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Figures of the host for the guest's benchmark.
//!
//! The guest waits for the answer, so the runner may wait as well. Both halves of a pair are
//! measured one after the other.

use std::path::Path;
use std::process::{Command, Stdio};

/// Runs the program that measures `what`. Returns the figure, or the reason for which there is
/// none, as a line for the guest.
pub(crate) fn figure(program: Option<&Path>, what: &str, pid: Option<u32>) -> Result<f64, String> {
    let program = program.ok_or("this runner cannot measure: start it with --measure")?;
    let pid = pid.ok_or("there is no server")?;
    let mut command = Command::new(program);
    command
        .args(["measure", "--server-pid", &pid.to_string(), "--", what])
        .stdin(Stdio::null());
    let output = command.output();
    let output = output.map_err(|error| format!("{}: {error}", program.display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().next_back().unwrap_or("it printed nothing");
        return Err(format!("{}: {last}", output.status));
    }
    let figure = String::from_utf8_lossy(&output.stdout);
    figure
        .trim()
        .parse()
        .map_err(|_| format!("{:?} is not a number", figure.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    /// Returns the answer of a script.
    fn answer(script: &str) -> Result<f64, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("measure");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("executable");
        figure(Some(&path), "speed", Some(77))
    }

    #[test]
    fn measuring_program_gets_the_name_and_the_server() {
        let words = r#"[ "$*" = "measure --server-pid 77 -- speed" ] && echo 12.5"#;

        assert_eq!(answer(words), Ok(12.5));
    }

    #[test]
    fn last_line_of_a_failed_program_is_the_reason() {
        let reason = answer("echo no >&2; echo idea >&2; exit 3").expect_err("no figure");

        assert_eq!(reason, "exit status: 3: idea");
    }

    #[test]
    fn non_number_is_refused() {
        assert_eq!(
            answer("echo fast"),
            Err("\"fast\" is not a number".to_owned())
        );
    }

    #[test]
    fn runner_without_a_program_names_the_missing_option() {
        let reason = figure(None, "speed", Some(77)).expect_err("no figure");

        assert!(reason.contains("--measure"), "{reason}");
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The output of `cargo test`, and the test in it that noticed a change.

use std::path::Path;

/// Returns whether a test program has begun.
pub(crate) fn has_begun(log: &str) -> bool {
    log.lines().any(|line| program(line).is_some())
}

/// Returns whether rustc refused the change.
pub(crate) fn does_not_compile(log: &str) -> bool {
    !has_begun(log) && log.contains("error: could not compile ")
}

/// Returns the first failed test, as `registers: reset_clears_it`. If a test program ended otherwise,
/// its name alone.
pub(crate) fn failed_test(log: &str) -> Option<String> {
    let mut running = "";
    for line in log.lines() {
        running = program(line).unwrap_or(running);
        let test = line
            .strip_prefix("test ")
            .and_then(|line| line.strip_suffix(" ... FAILED"));
        if let Some(test) = test {
            return Some(format!("{running}: {test}"));
        }
    }
    // A signal or an abort ends a program before it prints the line of its test.
    let ended = log.contains("error: test failed") || log.contains("error: doctest failed");
    ended.then(|| format!("{running}: ended by itself"))
}

/// Returns the name of the test program that begins with this line: `Running tests/registers.rs
/// (/b/deps/registers-0123456789abcdef)` is `registers`.
fn program(line: &str) -> Option<&str> {
    let step = line.trim_start();
    if step.starts_with("Doc-tests ") {
        return Some("documentation");
    }
    let (_, path) = step.strip_prefix("Running ")?.split_once(" (")?;
    let file = Path::new(path.strip_suffix(')')?).file_name()?.to_str()?;
    Some(file.rsplit_once('-').map_or(file, |(name, _)| name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNNING: &str =
        "     Running tests/registers.rs (/b/deps/registers-0123456789abcdef)\n\nrunning 3 tests\n";

    #[test]
    fn first_failed_test_is_named_with_its_program() {
        let log = format!(
            "{RUNNING}test a ... ok\ntest b::c ... FAILED\ntest d ... FAILED\nerror: test failed, to rerun\n"
        );
        assert_eq!(failed_test(&log), Some("registers: b::c".to_owned()));
    }

    #[test]
    fn program_that_ended_before_its_test_did_is_named_alone() {
        let log = format!("{RUNNING}error: test failed, to rerun pass `--test registers`\n");
        assert_eq!(
            failed_test(&log),
            Some("registers: ended by itself".to_owned())
        );
    }

    #[test]
    fn example_in_the_documentation_is_named_by_its_place() {
        let log =
            format!("{RUNNING}   Doc-tests ringbar_model\ntest src/a.rs - a (line 3) ... FAILED\n");
        assert_eq!(
            failed_test(&log),
            Some("documentation: src/a.rs - a (line 3)".to_owned())
        );
    }

    #[test]
    fn good_run_names_no_test() {
        assert_eq!(failed_test(&format!("{RUNNING}test a ... ok\n")), None);
    }

    #[test]
    fn change_that_rustc_refuses_is_told_from_a_failed_test() {
        let refused = "error[E0308]: mismatched types\nerror: could not compile `ringbar-model` (lib) due to 1 previous error\n";
        assert!(does_not_compile(refused));
        assert!(!has_begun(refused));
        // As a test may print it that calls a compiler.
        assert!(!does_not_compile(&format!("{RUNNING}{refused}")));
        assert!(has_begun(RUNNING));
    }
}

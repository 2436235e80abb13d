// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The test that noticed a change of the driver, from the output of the runner.

/// Begins the line that the runner prints when init has started. The driver is not yet loaded.
const BOOTED: &str = "kernel  ";

/// Returns whether a program has failed so far.
pub(crate) fn has_failed(log: &str) -> bool {
    log.lines().any(|line| failed_program(line).is_some())
}

/// Returns the first failed case, as `queue: order_is_kept`. If no case failed, the reason for which
/// the run did, as a panic of the kernel. `None` if the guest has not booted: the machine or the disk
/// have failed then, and not the change.
pub(crate) fn failed_case(log: &str) -> Option<String> {
    let mut lines = log
        .lines()
        .skip_while(|line| failed_program(line).is_none());
    let Some(program) = lines.next().and_then(failed_program) else {
        let mut booted = log.lines().skip_while(|line| !line.starts_with(BOOTED));
        let (_, reason) = booted.find_map(|line| line.split_once("FAILED: "))?;
        return Some(reason.to_owned());
    };
    let case = lines.next().and_then(|line| line.strip_prefix("  ✗ "));
    Some(case.map_or_else(|| program.to_owned(), |case| format!("{program}: {case}")))
}

/// Returns the name of a program if the line is about its failure: `✗ queue   2 of 9 failed`.
fn failed_program(line: &str) -> Option<&str> {
    line.strip_prefix("✗ ")?.split_whitespace().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RED: &str = "booting (TCG)…\n✓ registers            9 cases, 0.3 s\n\
        ✗ queue                2 of 9 cases failed, 0.7 s\n  ✗ order_is_kept\n    panicked at a.rs:1:2:\n  ✗ second\n";

    #[test]
    fn first_failed_case_is_named_with_its_program() {
        assert!(has_failed(RED));
        assert_eq!(failed_case(RED), Some("queue: order_is_kept".to_owned()));
    }

    #[test]
    fn program_without_a_failed_case_is_named_alone() {
        let log = "✗ queue   9 cases, 0.7 s\n✗ dma   1 of 2 cases failed\n";
        assert_eq!(failed_case(log), Some("queue".to_owned()));
    }

    #[test]
    fn run_that_ended_without_a_failed_program_has_its_reason() {
        let log = "kernel  Linux 7.3.4\nringbar: FAILED: kernel panic: not syncing\n";
        assert!(!has_failed(log));
        assert_eq!(
            failed_case(log),
            Some("kernel panic: not syncing".to_owned())
        );
        assert_eq!(failed_case("kernel  Linux 7.3.4\n"), None);
    }

    #[test]
    fn run_whose_guest_has_not_booted_says_nothing_about_the_change() {
        let log = "booting (TCG)…\nringbar: FAILED: cannot start QEMU: no memory\n";
        assert_eq!(failed_case(log), None);
    }
}

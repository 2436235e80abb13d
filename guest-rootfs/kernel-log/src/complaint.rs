// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Messages of a kernel that make a run bad, whatever the programs report.

/// A line in which the kernel reports that something is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// Kind of complaint, in the terms of the field.
    pub what: &'static str,
    /// Line without its time stamp.
    pub line: String,
    /// Whether the guest's behaviour from here on is meaningless.
    pub fatal: bool,
}

/// A pattern: the message begins with `start` and contains `inside` after that.
struct Pattern {
    start: &'static str,
    inside: &'static str,
    what: &'static str,
    fatal: bool,
}

/// Returns a pattern after which the guest's behaviour is meaningless.
const fn fatal(start: &'static str, what: &'static str) -> Pattern {
    Pattern {
        start,
        inside: "",
        what,
        fatal: true,
    }
}

/// Returns a pattern of a complaint that the guest survives.
const fn bad(start: &'static str, inside: &'static str, what: &'static str) -> Pattern {
    Pattern {
        start,
        inside,
        what,
        fatal: false,
    }
}

/// Patterns in order. The first match names the complaint, so special ones precede general ones.
const PATTERNS: &[Pattern] = &[
    bad("BUG: KASAN", "", "KASAN report"),
    bad("BUG: KFENCE", "", "KFENCE report"),
    bad("BUG: KCSAN", "", "KCSAN report"),
    bad("UBSAN:", "", "UBSAN report"),
    bad("BUG: sleeping function", "", "sleep in atomic context"),
    bad("BUG: Bad page", "", "page table damage"),
    bad("BUG: Bad rss-counter", "", "page table damage"),
    bad("watchdog:", "lockup", "lockup"),
    bad("watchdog:", "LOCKUP", "lockup"),
    fatal("BUG:", "kernel BUG"),
    fatal("kernel BUG at", "kernel BUG"),
    fatal("Oops:", "kernel oops"),
    fatal("Unable to handle kernel", "kernel oops"),
    fatal("general protection fault", "kernel oops"),
    fatal("Kernel panic", "kernel panic"),
    // The guest goes on without the files that come later in the archive, and cases that miss them are
    // skipped.
    fatal("Initramfs unpacking failed", "initramfs cut short"),
    bad("WARNING: possible", "", "lockdep report"),
    bad("WARNING: inconsistent lock state", "", "lockdep report"),
    bad("WARNING: bad unlock balance", "", "lockdep report"),
    bad("WARNING: suspicious RCU", "", "lockdep report"),
    bad("WARNING:", "", "kernel warning"),
    bad("INFO: possible", "", "lockdep report"),
    bad(
        "INFO: trying to register non-static key",
        "",
        "lockdep report",
    ),
    bad("DEBUG_LOCKS_WARN_ON", "", "lockdep report"),
    bad("INFO: task", "blocked for more than", "hung task"),
    bad("rcu: INFO:", "stall", "RCU stall"),
    bad("INFO: rcu", "stall", "RCU stall"),
    bad("x86/PAT:", "", "cache policy conflict"),
];

/// Harmless beginnings that match a pattern. Every healthy boot prints them.
const HARMLESS: &[&str] = &["x86/PAT: Configuration [0-7]:"];

/// Looks for a complaint in one line of the console or the log.
pub fn examine(line: &str) -> Option<Complaint> {
    messages(line).find_map(|message| {
        if HARMLESS.iter().any(|start| message.starts_with(start)) {
            return None;
        }
        let pattern = PATTERNS.iter().find(|pattern| {
            let rest = message.strip_prefix(pattern.start);
            rest.is_some_and(|rest| rest.contains(pattern.inside))
        })?;
        Some(Complaint {
            what: pattern.what,
            line: message.to_owned(),
            fatal: pattern.fatal,
        })
    })
}

/// Returns whether a line is the first message of a kernel, which holds its version.
pub fn kernel_started(line: &str) -> bool {
    messages(line).any(|message| message.starts_with("Linux version "))
}

/// Returns the places where a message may begin: the start of the line, and the end of each time
/// stamp. A process may have written to the console before the kernel, so a stamp may stand
/// anywhere.
fn messages(line: &str) -> impl Iterator<Item = &str> {
    let after_stamps = line
        .match_indices("] ")
        .filter_map(|(at, stamp)| line.get(at.checked_add(stamp.len())?..))
        .map(str::trim_start);
    std::iter::once(line.trim_start()).chain(after_stamps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn what(line: &str) -> Option<&'static str> {
        examine(line).map(|complaint| complaint.what)
    }

    #[test]
    fn every_kind_of_complaint_is_found() {
        let lines = [
            (
                "[    5.0] BUG: KASAN: slab-out-of-bounds in x+0x1",
                "KASAN report",
            ),
            (
                "[    5.0] BUG: kernel NULL pointer dereference",
                "kernel BUG",
            ),
            ("[    5.0] kernel BUG at mm/memory.c:3123!", "kernel BUG"),
            ("[    5.0] Oops: 0002 [#1] SMP NOPTI", "kernel oops"),
            (
                "[    5.0] Kernel panic - not syncing: Attempted to kill init!",
                "kernel panic",
            ),
            (
                "[    2.7] Initramfs unpacking failed: write error",
                "initramfs cut short",
            ),
            (
                "[    5.0] WARNING: CPU: 0 PID: 7 at mm/x.c:1 f+0x1",
                "kernel warning",
            ),
            (
                "[    5.0] WARNING: mm/x.c:1 at f+0x1, CPU#0: poke/7",
                "kernel warning",
            ),
            (
                "[    5.0] WARNING: possible circular locking dependency",
                "lockdep report",
            ),
            (
                "[    5.0] INFO: task poke:7 blocked for more than 120 seconds.",
                "hung task",
            ),
            (
                "[    5.0] rcu: INFO: rcu_preempt self-detected stall on CPU",
                "RCU stall",
            ),
            (
                "[    5.0] rcu: INFO: rcu_preempt detected stalls on CPUs",
                "RCU stall",
            ),
            (
                "[    5.0] watchdog: BUG: soft lockup - CPU#1 stuck for 26s!",
                "lockup",
            ),
            (
                "[    5.0] x86/PAT: poke:7 conflicting memory types",
                "cache policy conflict",
            ),
        ];

        for (line, expected) in lines {
            assert_eq!(what(line), Some(expected), "{line}");
        }
    }

    #[test]
    fn healthy_lines_are_ignored() {
        let lines = [
            "[    0.0] Linux version 7.3.4+deb13-amd64 (gcc-14)",
            "[    0.1] x86/PAT: Configuration [0-7]: WB  WC  UC- UC  WB  WP  UC- WT",
            "[    0.2] Spectre V2 : WARNING: Unprivileged eBPF is enabled with eIBRS on",
            "[    0.3] rcu: INFO: nothing to see",
            "[    4.0] ringbar: module verification failed: signature missing - tainting kernel",
            "[    5.0] reboot: Power down",
            "",
        ];

        for line in lines {
            assert_eq!(what(line), None, "{line}");
        }
    }

    #[test]
    fn complaint_after_the_output_of_a_process_is_found() {
        assert_eq!(
            what("~ # ls[    5.000001] WARNING: CPU: 0 PID: 7"),
            Some("kernel warning")
        );
    }

    #[test]
    fn complaint_after_a_caller_stamp_is_found() {
        assert_eq!(
            what("[    5.000001][    T7] Oops: 0002 [#1]"),
            Some("kernel oops")
        );
    }

    #[test]
    fn complaint_keeps_the_message_without_its_stamp() {
        let complaint = examine("[    5.0] Oops: 0002 [#1] SMP").expect("a complaint");

        assert_eq!(complaint.line, "Oops: 0002 [#1] SMP");
        assert!(complaint.fatal);
    }

    #[test]
    fn warning_lets_the_guest_go_on() {
        let complaint = examine("WARNING: CPU: 0").expect("a complaint");

        assert!(!complaint.fatal);
    }

    #[test]
    fn started_kernel_is_seen() {
        assert!(kernel_started("[    0.000000] Linux version 7.3.4"));
        assert!(!kernel_started("SeaBIOS (version 1.17)"));
    }

    proptest! {
        #[test]
        fn any_text_is_accepted(text in any::<String>()) {
            examine(&text);
        }
    }
}

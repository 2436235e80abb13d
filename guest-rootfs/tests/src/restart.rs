// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Cases during which the machine restarts.
//!
//! Nothing in the guest outlives that. The runner keeps the results so far and a note of the case.
//! Init starts the program again, with both in the environment. The program goes on with the case
//! that ran. Before that, and before the driver is loaded, init calls it in the role [`HEIR`].

use std::sync::atomic::{AtomicBool, Ordering};

/// Role of the program in a boot after a restart, before the driver is loaded
/// (`guest-rootfs/init/src/programs.rs`).
pub const HEIR: &str = "heir";

/// Variable of init: results so far, then the note (`guest-rootfs/init/src/resumption.rs`).
const VARIABLE: &str = "RINGBAR_RESUMED";

/// Returns the number of results that the program had before the machine restarted.
pub(crate) fn results() -> usize {
    resumed().map_or(0, |(results, _)| results)
}

/// Returns the note of the case that ran when the machine restarted. Only the first call returns
/// it: that case runs first.
pub fn note() -> Option<String> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    let (_, note) = resumed()?;
    (!TAKEN.swap(true, Ordering::Relaxed)).then_some(note)
}

fn resumed() -> Option<(usize, String)> {
    parse(&std::env::var(VARIABLE).ok()?)
}

fn parse(value: &str) -> Option<(usize, String)> {
    let (results, note) = value.split_once(' ')?;
    Some((results.parse().ok()?, note.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_has_results_and_a_note() {
        assert_eq!(parse("3 7f:1"), Some((3, "7f:1".to_owned())));
        assert_eq!(parse("0 "), Some((0, String::new())));
        assert_eq!(parse("x 7f:1"), None);
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A log that clients cannot flood, in one connection or in many.

use std::fmt;
use std::time::{Duration, Instant};

use log::Level;
use parking_lot::Mutex;

/// Most lines per window, of all clients together.
const LINES: u64 = 40;
/// Length of a window, which begins with its first line.
const WINDOW: Duration = Duration::from_secs(10);

static WRITTEN: Mutex<Written> = Mutex::new(Written::new());

/// Count of the lines of the window.
#[derive(Debug)]
struct Written {
    began: Option<Instant>,
    wanted: u64,
}

/// Logs a line about a client as `target`, usually `module_path!()`. Of many lines in a short time
/// it logs the first ones only. The next line after those names the number of lines that were left
/// out.
pub fn note(target: &str, level: Level, what: fmt::Arguments<'_>) {
    if !log::log_enabled!(target: target, level) {
        return;
    }
    let admitted = WRITTEN.lock().admit(Instant::now());
    let Some(left_out) = admitted else {
        return;
    };
    if left_out > 0 {
        log::warn!(
            "{left_out} lines about clients were left out: {LINES} in {} s are the limit",
            WINDOW.as_secs()
        );
    }
    log::log!(target: target, level, "{what}");
}

impl Written {
    const fn new() -> Self {
        Self {
            began: None,
            wanted: 0,
        }
    }

    /// Returns whether one more line may be written, as the number of lines left out since the last
    /// one.
    fn admit(&mut self, now: Instant) -> Option<u64> {
        let mut left_out = 0;
        if self
            .began
            .is_none_or(|began| now.saturating_duration_since(began) >= WINDOW)
        {
            left_out = self.wanted.saturating_sub(LINES);
            *self = Self {
                began: Some(now),
                wanted: 0,
            };
        }
        self.wanted = self.wanted.saturating_add(1);
        (self.wanted <= LINES).then_some(left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_refusals_are_a_few_lines_of_log() {
        let mut written = Written::new();
        let start = Instant::now();

        // In one second.
        let lines = (0..10_000).filter_map(|index| {
            let after = Duration::from_micros(100) * index;
            written.admit(start + after)
        });

        assert_eq!(lines.count() as u64, LINES);
    }

    #[test]
    fn first_line_of_the_next_window_counts_the_omitted_ones() {
        let mut written = Written::new();
        let start = Instant::now();
        for _ in 0..LINES + 7 {
            written.admit(start);
        }

        let lines = [0, 1].map(|_| written.admit(start + WINDOW));

        assert_eq!(lines, [Some(7), Some(0)]);
    }
}

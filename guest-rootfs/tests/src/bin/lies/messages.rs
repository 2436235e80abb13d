// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What the driver logs of a lying device, and how long it waited by its own count.

use ringbar_tests::kernel_log::KernelLog;
use ringbar_tests::until;
use std::time::Duration;

/// Longest time that the driver may wait for a device that lies.
const LIMIT: Duration = Duration::from_secs(2);
/// Words of the message with the looks: `in 50 looks, 20 ms apart`.
const LOOKS: [&str; 2] = [" looks, ", " ms apart"];

/// Messages of the kernel from a moment on.
pub(crate) struct Messages {
    log: KernelLog,
    all: Vec<String>,
}

impl Messages {
    /// Begins behind the last message.
    pub(crate) fn from_now() -> Self {
        Self {
            log: KernelLog::from_now(),
            all: Vec::new(),
        }
    }

    /// Waits for a message with these words. The kernel tries a device that it finds in its own time.
    pub(crate) fn wait_for(&mut self, words: &str) {
        until(words, || self.say(words));
    }

    /// Returns whether a message so far has these words.
    pub(crate) fn say(&mut self, words: &str) -> bool {
        self.all.extend(self.log.messages());
        self.all.iter().any(|message| message.contains(words))
    }

    /// Fails if a thread has waited longer than two seconds for the device, by the driver's count of
    /// looks.
    pub(crate) fn assert_no_long_wait(&mut self) {
        self.all.extend(self.log.messages());
        let waits = self.all.iter().filter_map(|message| waited(message));
        let time = waits.max().unwrap_or_default();
        println!("# the driver waited {time:?} for the device");
        assert!(time <= LIMIT, "longer than {LIMIT:?}: {:#?}", self.all);
    }
}

/// Returns the time of a message about looks.
fn waited(message: &str) -> Option<Duration> {
    let (before, rest) = message.split_once(LOOKS[0])?;
    let (apart, _) = rest.split_once(LOOKS[1])?;
    let (_, looks) = before.rsplit_once(' ')?;
    let apart = Duration::from_millis(apart.parse().ok()?);
    Some(apart.saturating_mul(looks.parse().ok()?))
}

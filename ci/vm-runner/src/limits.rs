// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Limits for the time in which a guest shows no sign of life.
//!
//! Their unit is the boot of the same run: the processor time of QEMU's virtual processors until
//! init's first beat. So they grow on a slow machine, on the debug kernel and with the witness. A
//! false alarm is worse than a late one.

use std::fmt;
use std::time::Duration;

/// Shortest time that counts as a boot. With a smaller unit, a moment of bad luck could exceed a
/// limit.
const SHORTEST_BOOT: Duration = Duration::from_secs(3);

/// Longest time between two signs of life of a program that is not in [`LONG`], in boots. It is
/// longer than a test waits for a missing event (`PATIENCE` of the guest's tests), so the test can
/// report it first.
const USUAL: u32 = 30;

/// Programs whose cases take long with their full counts, and their limits. Each is several times
/// the duration seen on a busy machine.
const LONG: &[(&str, u32)] = &[
    ("attack", 200),
    ("bench", 400),
    ("copies", 200),
    ("fault_injection", 200),
    ("limits", 100),
    ("mapping_limit", 100),
    ("mappings", 100),
    ("memory_hotplug", 100),
    ("removal_cycles", 400),
    ("reset", 100),
    ("swap", 100),
    ("user_memory", 100),
    ("vanished_server", 100),
    ("vectors", 200),
    ("vfio", 200),
    ("wakeups", 100),
];

/// Longest time for which the processors may run without a beat of init, in boots. A beat needs
/// almost no processor time.
const WITHOUT_BEAT: u32 = 30;

/// Longest time from the runner's request to kill a program until init has killed it or reports
/// that it cannot, in boots. Init itself gives up after three boots by the guest's clock.
const TO_KILL: u32 = 30;

/// Processor time between two lines of a booting kernel, while the time of a boot is still unknown.
/// A quiet kernel prints nothing at all, so this covers a whole boot.
const UNTIL_INIT: Duration = Duration::from_secs(900);

/// Number of looks after which a machine that stands still counts as hung. QEMU stands still for 5
/// s per access when it waits for a lost or stopped server, several times in a row. The runner
/// makes at most ten looks per second.
const STILL: u32 = 1200;

/// Lower bound of that number, whatever [`Limits::haste`] is. On a busy host a process that waits
/// for a processor uses no processor time, and so it seems to stand still.
const FEWEST_LOOKS: u32 = 60;

/// A limit of this guest for people: its seconds, and where they come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    limit: Duration,
    boot: Duration,
}

impl Origin {
    /// Explains a limit of a guest whose boot took `boot`.
    pub(crate) fn new(limit: Duration, boot: Duration) -> Self {
        Self { limit, boot }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let times = |unit: Duration| tenths(self.limit.as_secs_f64() / unit.as_secs_f64());
        let boot = seconds(self.boot);
        write!(f, "{}, which is ", seconds(self.limit))?;
        if self.boot < SHORTEST_BOOT {
            write!(
                f,
                "{} times {}, as this guest booted in less ({boot} of processor time)",
                times(SHORTEST_BOOT),
                seconds(SHORTEST_BOOT)
            )
        } else {
            write!(
                f,
                "{} times the {boot} of processor time in which this guest booted",
                times(self.boot)
            )
        }
    }
}

/// Returns a time for people, to a tenth of a second.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// Rounds to tenths. Haste makes limits of parts of a boot.
fn tenths(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

/// Limits of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Divisor of the limits, for tests of them. That of killing is not divided, and the number of
    /// looks has a lower bound.
    haste: u32,
}

impl Limits {
    /// Returns limits. `haste` is 1, or more if a hang is expected and the test should not take
    /// long.
    pub(crate) fn new(haste: u32) -> Self {
        Self {
            haste: haste.max(1),
        }
    }

    /// Returns the unit for a guest whose boot took this much processor time.
    pub(crate) fn unit(&self, boot: Duration) -> Duration {
        boot.max(SHORTEST_BOOT)
    }

    /// Returns the longest time between two signs of life of a program, or of init between
    /// programs.
    pub(crate) fn program(&self, unit: Duration, name: Option<&str>) -> Duration {
        let long = LONG.iter().find(|(long, _)| Some(*long) == name);
        self.boots(unit, long.map_or(USUAL, |(_, boots)| *boots))
    }

    /// Returns the most processor time between two beats.
    pub(crate) fn without_beat(&self, unit: Duration) -> Duration {
        self.boots(unit, WITHOUT_BEAT)
    }

    /// Returns the longest time for killing a program. Haste does not shorten it: init has limits
    /// of its own.
    pub(crate) fn killing(&self, unit: Duration) -> Duration {
        unit.saturating_mul(TO_KILL)
    }

    /// Returns the most processor time between two lines of a booting kernel.
    pub(crate) fn until_init(&self) -> Duration {
        self.boots(UNTIL_INIT, 1)
    }

    /// Returns the most looks at a machine that stands still.
    pub(crate) fn still(&self) -> u32 {
        let looks = STILL.checked_div(self.haste).unwrap_or(STILL);
        looks.max(FEWEST_LOOKS)
    }

    /// Returns the time of so many boots, divided by the haste.
    fn boots(&self, unit: Duration, count: u32) -> Duration {
        let limit = unit.saturating_mul(count);
        limit.checked_div(self.haste).unwrap_or(limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn limits_grow_with_the_boot() {
        let limits = Limits::new(1);
        let (fast, slow) = (limits.unit(4 * SECOND), limits.unit(40 * SECOND));

        assert_eq!(
            limits.program(slow, Some("dma")),
            10 * limits.program(fast, Some("dma"))
        );
        assert_eq!(limits.without_beat(slow), 10 * limits.without_beat(fast));
    }

    #[test]
    fn limit_is_explained_by_the_boot() {
        let boot = Duration::from_millis(4500);
        let limits = Limits::new(1);
        let limit = limits.program(limits.unit(boot), Some("dma"));

        assert_eq!(
            Origin::new(limit, boot).to_string(),
            "135.0 s, which is 30 times the 4.5 s of processor time in which this guest booted"
        );
    }

    #[test]
    fn limit_after_a_very_short_boot_is_explained_too() {
        let boot = Duration::from_millis(1200);
        let limits = Limits::new(100);
        let limit = limits.program(limits.unit(boot), Some("dma"));

        assert_eq!(
            Origin::new(limit, boot).to_string(),
            "0.9 s, which is 0.3 times 3.0 s, as this guest booted in less (1.2 s of processor time)"
        );
    }

    #[test]
    fn very_short_boot_counts_as_a_longer_one() {
        assert_eq!(Limits::new(1).unit(Duration::ZERO), SHORTEST_BOOT);
    }

    #[test]
    fn program_with_long_cases_has_a_longer_limit() {
        let limits = Limits::new(1);

        assert!(limits.program(SECOND, Some("attack")) > limits.program(SECOND, Some("dma")));
        assert_eq!(
            limits.program(SECOND, None),
            limits.program(SECOND, Some("dma"))
        );
    }

    #[test]
    fn every_program_with_a_longer_limit_exists() {
        let folder = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../guest-rootfs/tests/src/bin"
        );
        for (name, _) in LONG {
            let there = [format!("{folder}/{name}.rs"), format!("{folder}/{name}")];
            let there = there.iter().any(|path| std::path::Path::new(path).exists());
            assert!(
                there,
                "there is no test program {name}: take it out of LONG"
            );
        }
    }

    #[test]
    fn haste_divides_every_limit() {
        let (usual, hasty) = (Limits::new(1), Limits::new(4));

        assert_eq!(usual.program(SECOND, None), 4 * hasty.program(SECOND, None));
        assert_eq!(usual.without_beat(SECOND), 4 * hasty.without_beat(SECOND));
        assert_eq!(usual.until_init(), 4 * hasty.until_init());
        assert_eq!(usual.still(), 4 * hasty.still());
    }

    #[test]
    fn extreme_haste_leaves_a_limit() {
        assert_eq!(Limits::new(u32::MAX).still(), FEWEST_LOOKS);
        assert_eq!(Limits::new(0).still(), STILL);
    }
}

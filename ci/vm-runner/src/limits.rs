// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! How long a guest may show no sign of life until it counts as hung.
//!
//! The unit is the boot of the very run: the processor time that QEMU's virtual processors took until init was heard. So
//! a slow machine, the debug kernel and the witness stretch all limits by themselves. A false alarm is worse than a late one.

use std::time::Duration;

/// No boot counts as shorter. A limit that a moment of bad luck can fill is none.
const SHORTEST_BOOT: Duration = Duration::from_secs(3);

/// Boots that fit between two signs of life of a program that is not in [`LONG`]. More than a test waits for what never comes
/// (`PATIENCE` of the guest's tests), so that it can tell itself.
const USUAL: u32 = 30;

/// Programs with cases that take long with their counts in full, and what they get instead: several times what such a case
/// was seen to take on a busy machine.
const LONG: &[(&str, u32)] = &[
    ("attack", 200),
    ("bench", 400),
    ("copies", 200),
    ("fault_injection", 200),
    ("limits", 100),
    ("mappings", 100),
    ("removal_cycles", 400),
    ("reset", 100),
    ("user_memory", 100),
    ("vanished_server", 100),
    ("vectors", 200),
    ("vfio", 200),
    ("wakeups", 100),
];

/// Boots that the processors may run without a beat of init. It needs next to nothing for one.
const WITHOUT_BEAT: u32 = 30;

/// Boots until init must have killed a program that it was told to kill, or have said that it cannot: it waits for three,
/// by its own clock.
const TO_KILL: u32 = 30;

/// Processor time that a kernel may take between two lines while it boots, when no boot is known yet. A kernel that is
/// told to be quiet prints nothing at all.
const UNTIL_INIT: Duration = Duration::from_secs(900);

/// Looks at a machine that stands still. QEMU stands still for 5 s an access when it waits for a server that is gone or
/// stopped, several times on end; the looks are ten a second at most.
const STILL: u32 = 1200;

/// Fewest looks, however hasty: a process that waits for a processor of a busy host asks for none that is counted before it
/// gets one.
const FEWEST_LOOKS: u32 = 60;

/// The limits of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// All limits are divided by this, for tests of the limits.
    haste: u32,
}

impl Limits {
    /// Makes limits. `haste` is 1, but where a hang is expected and nobody wants to wait for it.
    pub(crate) fn new(haste: u32) -> Self {
        Self {
            haste: haste.max(1),
        }
    }

    /// The unit of a guest whose boot took this much processor time.
    pub(crate) fn unit(&self, boot: Duration) -> Duration {
        boot.max(SHORTEST_BOOT)
    }

    /// Longest time between two signs of life of a program, or of init where none runs.
    pub(crate) fn program(&self, unit: Duration, name: Option<&str>) -> Duration {
        let long = LONG.iter().find(|(long, _)| Some(*long) == name);
        self.boots(unit, long.map_or(USUAL, |(_, boots)| *boots))
    }

    /// Most processor time between two beats.
    pub(crate) fn without_beat(&self, unit: Duration) -> Duration {
        self.boots(unit, WITHOUT_BEAT)
    }

    /// Longest time that init may take to kill a program. It waits as long as ever where a hang is expected.
    pub(crate) fn killing(&self, unit: Duration) -> Duration {
        unit.saturating_mul(TO_KILL)
    }

    /// Most processor time between two lines of a kernel that boots.
    pub(crate) fn until_init(&self) -> Duration {
        self.boots(UNTIL_INIT, 1)
    }

    /// Most looks at a machine that stands still.
    pub(crate) fn still(&self) -> u32 {
        let looks = STILL.checked_div(self.haste).unwrap_or(STILL);
        looks.max(FEWEST_LOOKS)
    }

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
    fn boot_that_is_too_short_to_measure_by_counts_as_a_longer_one() {
        assert_eq!(Limits::new(1).unit(Duration::ZERO), SHORTEST_BOOT);
    }

    #[test]
    fn program_with_long_cases_has_more() {
        let limits = Limits::new(1);

        assert!(limits.program(SECOND, Some("attack")) > limits.program(SECOND, Some("dma")));
        assert_eq!(
            limits.program(SECOND, None),
            limits.program(SECOND, Some("dma"))
        );
    }

    #[test]
    fn every_program_that_has_more_is_there() {
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
    fn haste_beyond_all_measure_leaves_a_limit() {
        assert_eq!(Limits::new(u32::MAX).still(), FEWEST_LOOKS);
        assert_eq!(Limits::new(0).still(), STILL);
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The kernel's taint: bits that it sets on an event and keeps.
//!
//! A bit stays even if the message is hidden, is printed only once, or is one of too many. The bits
//! are those of Linux 7.3 (`Documentation/admin-guide/tainted-kernels.rst`).

use std::fmt;

/// Letter and meaning of each bit, lowest first.
const FLAGS: [(char, &str); 20] = [
    ('P', "proprietary module"),
    ('F', "module loaded by force"),
    ('S', "processor out of its specification"),
    ('R', "module unloaded by force"),
    ('M', "machine check"),
    ('B', "bad page"),
    ('U', "asked for by a process"),
    ('D', "oops"),
    ('A', "ACPI table overridden"),
    ('W', "warning"),
    ('C', "staging driver"),
    ('I', "firmware bug worked around"),
    ('O', "module from outside of the kernel's tree"),
    ('E', "module without a signature"),
    ('L', "soft lockup"),
    ('K', "live patch"),
    ('X', "set by the distribution"),
    ('T', "structures laid out at random"),
    ('N', "test of the kernel itself"),
    ('J', "firmware control"),
];

/// Bits of `/proc/sys/kernel/tainted`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taint(pub u64);

impl Taint {
    /// Bits that loading the driver's module sets: it is not part of the kernel, and has no
    /// signature.
    pub const MODULE: Self = Self(1 << 12 | 1 << 13);
    /// Bits that no boot may set: machine check, bad page, oops, warning, soft lockup.
    pub const FAULTS: Self = Self(1 << 4 | 1 << 5 | 1 << 7 | 1 << 9 | 1 << 14);

    /// Parses the kernel's file, a decimal number.
    pub fn parse(text: &str) -> Option<Self> {
        text.trim().parse().ok().map(Self)
    }

    /// Returns the bits that are here and not in `others`.
    pub fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// Returns the bits that are here or in `others`.
    pub fn with(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Returns whether no bit is set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Taint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for bit in (0..u64::BITS).filter(|bit| self.0 >> bit & 1 == 1) {
            match FLAGS.get(bit as usize) {
                Some((letter, meaning)) => write!(f, "{separator}{letter} ({meaning})")?,
                None => write!(f, "{separator}bit {bit}")?,
            }
            separator = ", ";
        }
        if self.is_empty() {
            write!(f, "none")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_named() {
        assert_eq!(Taint(1 << 9).to_string(), "W (warning)");
        assert_eq!(
            Taint(1 << 14 | 1 << 7).to_string(),
            "D (oops), L (soft lockup)"
        );
        assert_eq!(Taint(0).to_string(), "none");
    }

    #[test]
    fn unknown_flag_is_shown_by_its_number() {
        assert_eq!(Taint(1 << 40).to_string(), "bit 40");
    }

    #[test]
    fn faults_are_those_that_mean_damage() {
        let letters: Vec<char> = (0..20)
            .filter(|bit| Taint::FAULTS.0 >> bit & 1 == 1)
            .map(|bit| FLAGS[bit].0)
            .collect();

        assert_eq!(letters, ['M', 'B', 'D', 'W', 'L']);
    }

    #[test]
    fn earlier_taint_is_subtracted() {
        let loaded = Taint::parse("12288\n").expect("a number");

        assert_eq!(loaded, Taint::MODULE);
        assert!(loaded.without(Taint::MODULE).is_empty());
        assert_eq!(Taint(0x3200).without(loaded), Taint(0x200));
    }

    #[test]
    fn non_number_is_ignored() {
        assert_eq!(Taint::parse("Not tainted"), None);
    }
}

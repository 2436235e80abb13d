// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A machine that changes its kernel. The first boot only sets the device to work and starts the
//! second kernel. It sends no results: the runner sees one boot, that of the second kernel.

use crate::driver::Drivers;
use crate::programs;

/// The program that plays both parts.
const PROGRAM: &str = "kexec";

/// Part of this boot in the change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The first kernel, which goes.
    Former,
    /// The second kernel, whose memory the former one had.
    Heir,
}

impl Part {
    /// Reads the part from a kernel command line. Most machines have none.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        line.split_whitespace().find_map(|word| match word {
            "ringbar.kexec" => Some(Self::Former),
            "ringbar.heir" => Some(Self::Heir),
            _ => None,
        })
    }

    /// Plays the part, before the task of the boot.
    ///
    /// # Errors
    ///
    /// Fails if the program does, and if the first kernel comes back.
    pub(crate) fn play(self, drivers: &Drivers) -> Result<(), String> {
        match self {
            Self::Former => {
                drivers.insert()?;
                programs::play(PROGRAM, "former")?;
                Err("the second kernel did not start".to_owned())
            }
            Self::Heir => programs::play(PROGRAM, programs::HEIR),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_kernel_is_the_former_one() {
        assert_eq!(Part::parse("quiet ringbar.kexec"), Some(Part::Former));
    }

    #[test]
    fn second_kernel_is_the_heir() {
        assert_eq!(Part::parse("ringbar.heir quiet"), Some(Part::Heir));
    }

    #[test]
    fn usual_machine_has_no_part() {
        assert_eq!(Part::parse("quiet ringbar.tests=kexec"), None);
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The note that one boot leaves to the next.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

/// The seed, and the reset generation of each device.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) seed: u64,
    pub(crate) generations: Vec<u32>,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.seed)?;
        let mut generations = self.generations.iter();
        generations.try_for_each(|generation| write!(f, ":{generation:x}"))
    }
}

impl FromStr for Note {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        let (seed, rest) = text.split_once(':').unwrap_or((text, ""));
        let generations = rest.split(':').filter(|word| !word.is_empty());
        Ok(Self {
            seed: u64::from_str_radix(seed, 16)?,
            generations: generations
                .map(|word| u32::from_str_radix(word, 16))
                .collect::<Result<_, _>>()?,
        })
    }
}

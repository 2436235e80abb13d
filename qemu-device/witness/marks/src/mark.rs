// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Messages of the guest to the witness: one line of words per mark.

use std::fmt;
use std::str::FromStr;

/// Most BARs of a PCI function, whose numbers count from 0.
pub const BARS: usize = 6;

/// An event in the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The device's BAR `number` covers `size` bytes at guest-physical `address`.
    Bar {
        /// Number of the BAR.
        number: u32,
        /// First byte, guest-physical.
        address: u64,
        /// Size in bytes.
        size: u64,
    },
    /// Recording of accesses starts.
    Arm,
    /// Recording of accesses stops.
    Disarm,
    /// The driver is about to be loaded. Its code of an earlier load is gone.
    Load,
    /// A section of the driver is at `address` of the kernel's memory.
    Section {
        /// Name in the module's ELF file, such as `.text`.
        name: String,
        /// Address of the section in memory.
        address: u64,
    },
    /// A test program begins.
    Program {
        /// Name of the program.
        name: String,
        /// Address at which its file is mapped.
        address: u64,
    },
    /// A case of the program begins.
    Begin {
        /// Name of the case.
        case: String,
    },
    /// The case that began last has ended.
    End {
        /// Whether it passed. A skipped case passed.
        passed: bool,
    },
    /// The driver begins a phase that its README lists.
    Enter {
        /// `probe` or `remove`.
        phase: String,
    },
    /// The phase has ended.
    Leave,
    /// A claim of a case about its accesses. The report checks it.
    Claim {
        /// Text, in the words of `qemu-device/witness/report/README.md`.
        text: String,
    },
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bar {
                number,
                address,
                size,
            } => write!(f, "bar {number} {address:#x} {size:#x}"),
            Self::Arm => f.write_str("arm"),
            Self::Disarm => f.write_str("disarm"),
            Self::Load => f.write_str("load"),
            Self::Section { name, address } => write!(f, "section {address:#x} {name}"),
            Self::Program { name, address } => write!(f, "program {address:#x} {name}"),
            Self::Begin { case } => write!(f, "begin {case}"),
            Self::End { passed: true } => f.write_str("end passed"),
            Self::End { passed: false } => f.write_str("end failed"),
            Self::Enter { phase } => write!(f, "enter {phase}"),
            Self::Leave => f.write_str("leave"),
            Self::Claim { text } => write!(f, "claim {text}"),
        }
    }
}

/// A text that is no known mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownMark(pub String);

impl fmt::Display for UnknownMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no mark that is known", self.0)
    }
}

impl std::error::Error for UnknownMark {}

impl FromStr for Mark {
    type Err = UnknownMark;

    fn from_str(text: &str) -> Result<Self, UnknownMark> {
        parse(text).ok_or_else(|| UnknownMark(text.to_owned()))
    }
}

/// Parses the text of a mark.
fn parse(text: &str) -> Option<Mark> {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    match word {
        "arm" if rest.is_empty() => Some(Mark::Arm),
        "disarm" if rest.is_empty() => Some(Mark::Disarm),
        "load" if rest.is_empty() => Some(Mark::Load),
        "bar" => {
            let (number, rest) = rest.split_once(' ')?;
            let (address, size) = rest.split_once(' ')?;
            Some(Mark::Bar {
                number: number.parse().ok()?,
                address: hex(address)?,
                size: hex(size)?,
            })
        }
        "section" => {
            let (address, name) = rest.split_once(' ')?;
            Some(Mark::Section {
                name: name.to_owned(),
                address: hex(address)?,
            })
        }
        "program" => {
            let (address, name) = rest.split_once(' ')?;
            Some(Mark::Program {
                name: name.to_owned(),
                address: hex(address)?,
            })
        }
        "begin" => Some(Mark::Begin {
            case: rest.to_owned(),
        }),
        "end" => match rest {
            "passed" => Some(Mark::End { passed: true }),
            "failed" => Some(Mark::End { passed: false }),
            _ => None,
        },
        "enter" => Some(Mark::Enter {
            phase: rest.to_owned(),
        }),
        "leave" if rest.is_empty() => Some(Mark::Leave),
        "claim" => Some(Mark::Claim {
            text: rest.to_owned(),
        }),
        _ => None,
    }
}

/// Parses a hexadecimal number with `0x` before it.
fn hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mark_is_read_as_it_was_written() {
        let marks = [
            Mark::Bar {
                number: 2,
                address: 0x38_0000_0000,
                size: 16 << 20,
            },
            Mark::Arm,
            Mark::Disarm,
            Mark::Load,
            Mark::Section {
                name: ".text".into(),
                address: u64::MAX,
            },
            Mark::Program {
                name: "dma".into(),
                address: 0x5555_5555_4000,
            },
            Mark::Begin {
                case: "copies of every length".into(),
            },
            Mark::End { passed: true },
            Mark::End { passed: false },
            Mark::Enter {
                phase: "probe".into(),
            },
            Mark::Leave,
            Mark::Claim {
                text: "access read 0x0 4 0x1".into(),
            },
        ];

        for mark in marks {
            assert_eq!(mark.to_string().parse(), Ok(mark));
        }
    }

    #[test]
    fn other_words_are_refused() {
        for text in [
            "",
            "armed",
            "arm now",
            "load 1",
            "bar 0",
            "bar 0 1 2",
            "end",
            "section 0x1",
        ] {
            assert!(text.parse::<Mark>().is_err(), "{text}");
        }
    }
}

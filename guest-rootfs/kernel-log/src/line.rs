// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Lines that init sends about the kernel's log: comments between its lines of KTAP.

use crate::taint::Taint;
use std::fmt;

/// Beginning of each line about the kernel's log. Lines of programs are indented, so no program can
/// send one.
const BEGINNING: &str = "# kernel-log ";
/// Name in place of a program where none ran.
const NOBODY: &str = "-";

/// A line about the kernel's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A complaint, or a line after one.
    Said {
        /// Program that ran.
        program: Option<String>,
        /// Message of the kernel.
        text: String,
    },
    /// Records were overwritten before init read them.
    Lost {
        /// Program that ran.
        program: Option<String>,
        /// Number of records.
        records: u64,
    },
    /// The kernel has set bits of its taint.
    Tainted {
        /// Program that ran.
        program: Option<String>,
        /// New bits.
        bits: Taint,
    },
    /// The log was read to its end, just before power-off.
    End {
        /// Number of records.
        records: u64,
        /// Taint at that time.
        taint: Taint,
    },
}

impl Line {
    /// Parses a line of the results. Returns `None` if it is not about the kernel's log.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix(BEGINNING)?;
        let (head, rest) = text.split_once(": ")?;
        let (kind, program) = head.split_once(' ').unwrap_or((head, NOBODY));
        let program = (program != NOBODY).then(|| program.to_owned());
        match kind {
            "said" => Some(Self::Said {
                program,
                text: rest.to_owned(),
            }),
            "lost" => Some(Self::Lost {
                program,
                records: rest.parse().ok()?,
            }),
            "taint" => Some(Self::Tainted {
                program,
                bits: bits(rest)?,
            }),
            "end" => {
                let (records, taint) = rest.split_once(" records, taint ")?;
                Some(Self::End {
                    records: records.parse().ok()?,
                    taint: bits(taint)?,
                })
            }
            _ => None,
        }
    }
}

/// Parses the bits of a taint.
fn bits(text: &str) -> Option<Taint> {
    let digits = text.strip_prefix("0x")?;
    u64::from_str_radix(digits, 16).ok().map(Taint)
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |program: &Option<String>| program.clone().unwrap_or(NOBODY.to_owned());
        write!(f, "{BEGINNING}")?;
        match self {
            Self::Said { program, text } => write!(f, "said {}: {text}", of(program)),
            Self::Lost { program, records } => write!(f, "lost {}: {records}", of(program)),
            Self::Tainted { program, bits } => write!(f, "taint {}: {:#x}", of(program), bits.0),
            Self::End { records, taint } => {
                write!(f, "end: {records} records, taint {:#x}", taint.0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_are_comments_with_the_program_in_them() {
        let said = Line::Said {
            program: Some("dma".into()),
            text: "WARNING: x: y".into(),
        };
        let end = Line::End {
            records: 412,
            taint: Taint(0x3000),
        };

        assert_eq!(said.to_string(), "# kernel-log said dma: WARNING: x: y");
        assert_eq!(
            end.to_string(),
            "# kernel-log end: 412 records, taint 0x3000"
        );
    }

    #[test]
    fn line_of_a_program_is_not_taken_for_one_of_init() {
        let line = "    # kernel-log end: 412 records, taint 0x3000";

        assert_eq!(Line::parse(line), None);
    }

    #[test]
    fn other_lines_are_ignored() {
        let lines = [
            "ok 1 dma",
            "# kernel: Linux 7.3.4",
            "# kernel-log end: many records, taint 0x0",
            "# kernel-log taint dma: W",
            "# kernel-log sung dma: la",
        ];

        for line in lines {
            assert_eq!(Line::parse(line), None, "{line}");
        }
    }

    fn any_line() -> impl Strategy<Value = Line> {
        let program = || proptest::option::of("[a-z_]{1,12}");
        prop_oneof![
            (program(), "[ -~]{0,40}").prop_map(|(program, text)| Line::Said { program, text }),
            (program(), any::<u64>())
                .prop_map(|(program, records)| Line::Lost { program, records }),
            (program(), any::<u64>()).prop_map(|(program, bits)| Line::Tainted {
                program,
                bits: Taint(bits)
            }),
            any::<(u64, u64)>().prop_map(|(records, taint)| Line::End {
                records,
                taint: Taint(taint)
            }),
        ]
    }

    proptest! {
        #[test]
        fn any_line_comes_back(line in any_line()) {
            prop_assert_eq!(Line::parse(&line.to_string()), Some(line));
        }

        #[test]
        fn any_text_is_parsed_without_a_panic(text in any::<String>()) {
            Line::parse(&text);
        }
    }
}

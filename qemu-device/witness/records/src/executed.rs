// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Records of executed code, one line of JSON each.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::record::{line_of, Hex};

/// Version of this format. It increases when a field changes its meaning or is removed.
pub const FORMAT: u32 = 1;

/// A line of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Executed {
    /// First line.
    Start {
        /// [`FORMAT`].
        format: u32,
        /// Name and version of the writer.
        writer: String,
    },
    /// Code that was executed while the driver had one place in memory.
    Period(Period),
    /// Last line. Without it, records are missing.
    End {},
}

/// Code that QEMU translated first in one period of the guest.
///
/// A load of the driver begins a period, and the marks of its sections begin the next one. The
/// memory of `.init.text` belongs to the driver in the former alone: afterwards the kernel gives it
/// to others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    /// Whether the guest loaded the driver in this period.
    pub loading: bool,
    /// Addresses of the driver's sections; empty if no driver was loaded.
    pub sections: BTreeMap<String, Hex>,
    /// Executed instructions: first byte, and the byte after the last one.
    pub executed: Vec<(Hex, Hex)>,
    /// Executed conditional jumps.
    pub jumps: Vec<Jump>,
}

/// A conditional jump that was executed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jump {
    /// Address.
    pub at: Hex,
    /// Whether the processor was seen at the target next.
    pub taken: bool,
    /// Whether the processor was seen behind the jump next.
    pub passed: bool,
}

impl Executed {
    /// Returns its line, including the line feed.
    pub fn line(&self) -> serde_json::Result<String> {
        line_of(self)
    }

    /// Parses a line.
    pub fn parse(line: &str) -> serde_json::Result<Self> {
        serde_json::from_str(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn period_is_written_as_documented_and_read_again() {
        let period = Executed::Period(Period {
            loading: true,
            sections: [(".text".to_owned(), Hex(0xffff_ffff_c000_0000))].into(),
            executed: vec![(Hex(0xffff_ffff_c000_0010), Hex(0xffff_ffff_c000_0018))],
            jumps: vec![Jump {
                at: Hex(0xffff_ffff_c000_0016),
                taken: true,
                passed: false,
            }],
        });

        let line = period.line().expect("a line");

        assert_eq!(
            line,
            "{\"kind\":\"period\",\"loading\":true,\"sections\":{\".text\":\"0xffffffffc0000000\"},\
             \"executed\":[[\"0xffffffffc0000010\",\"0xffffffffc0000018\"]],\
             \"jumps\":[{\"at\":\"0xffffffffc0000016\",\"taken\":true,\"passed\":false}]}\n"
        );
        assert_eq!(Executed::parse(&line).expect("a record"), period);
    }
}

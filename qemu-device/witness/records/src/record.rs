// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Records, a line of JSON each. Times are nanoseconds of the host's CLOCK_MONOTONIC.

use std::fmt;

use serde::{de, Deserialize, Deserializer, Serialize, Serializer};

use crate::place::Place;

/// Number of this format. It steps when a field changes its meaning or goes.
pub const FORMAT: u32 = 1;

/// A line of a trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Record {
    /// The first line: who writes.
    Start {
        /// When.
        time: u64,
        /// [`FORMAT`].
        format: u32,
        /// Who, with version.
        writer: String,
    },
    /// Recording of accesses begins: code translated from now on is watched.
    Armed {
        /// When.
        time: u64,
    },
    /// The guest made a mark.
    Mark {
        /// When.
        time: u64,
        /// The vCPU.
        cpu: u32,
        /// The mark, as written.
        text: String,
    },
    /// An access, or the same one several times in a row.
    Access(Access),
    /// Accesses of one instruction that are counted only.
    Sum(Sum),
    /// Something that the device did.
    Event(Event),
    /// The last line. Without it, records are missing.
    End {
        /// When.
        time: u64,
    },
}

/// An access of the guest to the device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// When it had been carried out.
    pub time: u64,
    /// The vCPU.
    pub cpu: u32,
    /// The instruction.
    pub pc: Hex,
    /// Words near the top of the stack that may be return addresses of the kernel, nearest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub callers: Vec<Hex>,
    /// Where it went.
    #[serde(flatten)]
    pub place: Place,
    /// Bytes.
    pub width: u32,
    /// Whether it was a write.
    pub write: bool,
    /// What was read or written; nothing if that could not be seen.
    pub value: Option<Hex>,
    /// Whether it left the guest's code. Otherwise the place is memory.
    pub trapped: bool,
    /// How often, in a row.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub count: u64,
    /// When the last of several had been carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
}

/// Accesses of one instruction since the last mark.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    /// When the first one had been carried out.
    pub time: u64,
    /// When the last one had been carried out.
    pub until: u64,
    /// The instruction.
    pub pc: Hex,
    /// The lowest place.
    #[serde(flatten)]
    pub place: Place,
    /// Offset behind the highest place.
    pub end: u64,
    /// Whether they were writes.
    pub write: bool,
    /// Whether they left the guest's code.
    pub trapped: bool,
    /// How many.
    pub count: u64,
    /// Bytes of all of them.
    pub bytes: u64,
}

/// Something that the device did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When it began.
    pub time: u64,
    /// How long it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<u64>,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What the device did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum What {
    /// It answered an access.
    Register {
        /// Where it went.
        #[serde(flatten)]
        place: Place,
        /// Bytes.
        width: u32,
        /// Whether it was a write.
        write: bool,
        /// What was read or written.
        value: Option<Hex>,
    },
    /// It copied a descriptor from a submission ring.
    Descriptor {
        /// The queue.
        queue: u16,
        /// The opcode, as in the descriptor.
        opcode: u16,
        /// The tag, as in the descriptor.
        tag: Hex,
        /// Bytes to work on.
        length: u32,
    },
    /// It posted a completion.
    Completion {
        /// The queue.
        queue: u16,
        /// Tag of the descriptor.
        tag: Hex,
        /// The status.
        status: u16,
        /// The result.
        result: Hex,
    },
    /// It raised an interrupt.
    Interrupt {
        /// The vector.
        vector: u16,
    },
    /// It logged an error.
    Error {
        /// The error's code.
        code: u16,
        /// Queue concerned.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        queue: Option<u16>,
        /// The value that caused it.
        value: Hex,
    },
}

/// A number that JSON has as text, `0x` and hexadecimal digits: it may need more bits than a tool's
/// numbers have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hex(pub u128);

impl From<u64> for Hex {
    fn from(value: u64) -> Self {
        Self(value.into())
    }
}

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = text.strip_prefix("0x");
        let number = digits.and_then(|digits| u128::from_str_radix(digits, 16).ok());
        number.map(Self).ok_or_else(|| {
            de::Error::invalid_value(de::Unexpected::Str(&text), &"0x and hexadecimal digits")
        })
    }
}

fn once() -> u64 {
    1
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_once(count: &u64) -> bool {
    *count == 1
}

impl Record {
    /// When it was, or began.
    pub fn time(&self) -> u64 {
        match self {
            Self::Start { time, .. }
            | Self::Armed { time }
            | Self::Mark { time, .. }
            | Self::End { time } => *time,
            Self::Access(access) => access.time,
            Self::Sum(sum) => sum.time,
            Self::Event(event) => event.time,
        }
    }

    /// The line for it, with its end.
    pub fn line(&self) -> serde_json::Result<String> {
        let mut line = serde_json::to_string(self)?;
        line.push('\n');
        Ok(line)
    }

    /// Reads a line.
    pub fn parse(line: &str) -> serde_json::Result<Self> {
        serde_json::from_str(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_is_written_as_documented_and_read_again() {
        let access = Record::Access(Access {
            time: 12,
            cpu: 1,
            pc: Hex(0xffff_ffff_c000_1234),
            callers: vec![],
            place: Place::in_bar(0, 0x1000),
            width: 4,
            write: true,
            value: Some(Hex(0x2154_5352)),
            trapped: true,
            count: 1,
            until: None,
        });

        let line = access.line().expect("a line");

        assert_eq!(
            line,
            "{\"kind\":\"access\",\"time\":12,\"cpu\":1,\"pc\":\"0xffffffffc0001234\",\
             \"space\":\"register\",\"name\":\"RESET\",\"offset\":4096,\"width\":4,\"write\":true,\
             \"value\":\"0x21545352\",\"trapped\":true}\n"
        );
        assert_eq!(Record::parse(&line).expect("a record"), access);
    }

    #[test]
    fn event_is_read_as_it_was_written() {
        let event = Record::Event(Event {
            time: 7,
            duration: Some(3),
            what: What::Register {
                place: Place::in_bar(0, 0),
                width: 4,
                write: false,
                value: Some(Hex(1)),
            },
        });

        let line = event.line().expect("a line");

        assert_eq!(Record::parse(&line).expect("a record"), event);
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Records, one line of JSON each. Times are nanoseconds of the host's CLOCK_MONOTONIC.

use std::fmt;

use serde::{de, Deserialize, Deserializer, Serialize, Serializer};

use crate::place::Place;

/// Version of this format. It increases when a field changes its meaning or is removed.
pub const FORMAT: u32 = 1;

/// A line of a trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Record {
    /// First line of a writer.
    Start {
        /// Time.
        time: u64,
        /// [`FORMAT`].
        format: u32,
        /// Name and version of the writer.
        writer: String,
        /// Whether the device is another one than ringbar's, whose server has named its registers.
        #[serde(default, skip_serializing_if = "is_false")]
        other_device: bool,
    },
    /// Recording of accesses begins: code translated from now on is watched.
    Armed {
        /// Time.
        time: u64,
    },
    /// The guest made a mark.
    Mark {
        /// Time.
        time: u64,
        /// Number of the vCPU.
        cpu: u32,
        /// Text of the mark.
        text: String,
    },
    /// An access, or several equal ones in a row.
    Access(Access),
    /// Accesses of one instruction that are only counted.
    Sum(Sum),
    /// An action of the device.
    Event(Event),
    /// Last line of a writer. Without it, records are missing.
    End {
        /// Time.
        time: u64,
    },
}

/// An access of the guest to the device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// Time at which the access was complete.
    pub time: u64,
    /// Number of the vCPU.
    pub cpu: u32,
    /// Address of the instruction.
    pub pc: Hex,
    /// Words near the top of the stack that may be return addresses of the kernel, nearest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub callers: Vec<Hex>,
    /// Place of the access.
    #[serde(flatten)]
    pub place: Place,
    /// Width in bytes.
    pub width: u32,
    /// Whether it was a write.
    pub write: bool,
    /// Value read or written. `None` if it was not visible.
    pub value: Option<Hex>,
    /// Whether the access trapped. Otherwise the place is memory.
    pub trapped: bool,
    /// Number of equal accesses in a row.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub count: u64,
    /// Time at which the last of several was complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
}

/// Accesses of one instruction since the last mark.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    /// Time at which the first one was complete.
    pub time: u64,
    /// Time at which the last one was complete.
    pub until: u64,
    /// Address of the instruction.
    pub pc: Hex,
    /// Lowest place.
    #[serde(flatten)]
    pub place: Place,
    /// Offset behind the highest place.
    pub end: u64,
    /// Whether they were writes.
    pub write: bool,
    /// Whether they trapped.
    pub trapped: bool,
    /// Number of accesses.
    pub count: u64,
    /// Total of their bytes.
    pub bytes: u64,
}

/// An action of the device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Time of its beginning.
    pub time: u64,
    /// Duration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<u64>,
    /// Kind of action.
    #[serde(flatten)]
    pub what: What,
}

/// Kinds of actions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum What {
    /// The device answered an access.
    Register {
        /// Place of the access.
        #[serde(flatten)]
        place: Place,
        /// Width in bytes.
        width: u32,
        /// Whether it was a write.
        write: bool,
        /// Value read or written.
        value: Option<Hex>,
    },
    /// The device copied a descriptor from a submission ring.
    Descriptor {
        /// Number of the queue.
        queue: u16,
        /// Opcode of the descriptor.
        opcode: u16,
        /// Tag of the descriptor.
        tag: Hex,
        /// Length of the operation in bytes.
        length: u32,
    },
    /// The device posted a completion.
    Completion {
        /// Number of the queue.
        queue: u16,
        /// Tag of the descriptor.
        tag: Hex,
        /// Status of the completion.
        status: u16,
        /// Result of the operation.
        result: Hex,
    },
    /// The device raised an interrupt.
    Interrupt {
        /// Number of the vector.
        vector: u16,
    },
    /// The device logged an error.
    Error {
        /// Error code.
        code: u16,
        /// Queue with the error, if there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        queue: Option<u16>,
        /// Value that caused the error.
        value: Hex,
    },
}

/// A number that JSON holds as text: `0x` and hexadecimal digits. JSON's own numbers have too few
/// bits in some tools.
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

/// Returns the count of an access that came once.
fn once() -> u64 {
    1
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(value: &bool) -> bool {
    !*value
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_once(count: &u64) -> bool {
    *count == 1
}

impl Record {
    /// Returns its time, or that of its beginning.
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

    /// Returns its line, including the line feed.
    pub fn line(&self) -> serde_json::Result<String> {
        line_of(self)
    }

    /// Parses a line.
    pub fn parse(line: &str) -> serde_json::Result<Self> {
        serde_json::from_str(line)
    }
}

/// Returns the line of a record, including the line feed.
pub(crate) fn line_of(record: &impl Serialize) -> serde_json::Result<String> {
    let mut line = serde_json::to_string(record)?;
    line.push('\n');
    Ok(line)
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
            place: Place::in_bar(0, 0x1_0000),
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
             \"space\":\"register\",\"name\":\"RESET\",\"offset\":65536,\"width\":4,\"write\":true,\
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

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! One record of `/dev/kmsg`, as Linux `Documentation/ABI/testing/dev-kmsg` describes it.

/// A message of the kernel and its place in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Number of the record. The first one of a boot is 0, and the numbers have no gap.
    pub sequence: u64,
    /// Message, possibly of several lines.
    pub message: String,
}

impl Record {
    /// Parses the result of one `read`: `level,sequence,time,flags;message`, then lines that begin
    /// with a blank and describe the device. Returns `None` if the format differs.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let end_of_head = bytes.iter().position(|byte| *byte == b';')?;
        let (head, rest) = bytes.split_at_checked(end_of_head)?;
        let message = rest.get(1..)?.split(|byte| *byte == b'\n').next()?;
        let sequence = std::str::from_utf8(head).ok()?.split(',').nth(1)?;
        Some(Self {
            sequence: sequence.parse().ok()?,
            message: String::from_utf8_lossy(&unescape(message)).into_owned(),
        })
    }
}

/// Decodes `\xNN`, by which the kernel writes unprintable characters such as a line feed.
fn unescape(mut text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    while let Some((first, rest)) = text.split_first() {
        let (byte, after) = escaped(text).unwrap_or((*first, rest));
        bytes.push(byte);
        text = after;
    }
    bytes
}

/// Takes `\xNN` from the beginning of the text.
fn escaped(text: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, rest) = text.strip_prefix(br"\x")?.split_at_checked(2)?;
    let digits = std::str::from_utf8(digits).ok()?;
    Some((u8::from_str_radix(digits, 16).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(bytes: &[u8]) -> String {
        Record::parse(bytes).expect("a record").message
    }

    #[test]
    fn record_has_its_number_and_its_message() {
        let record = Record::parse(b"4,1123,50000001,-;WARNING: x; y\n").expect("a record");

        assert_eq!(record.sequence, 1123);
        assert_eq!(record.message, "WARNING: x; y");
    }

    #[test]
    fn unknown_fields_are_ignored() {
        assert_eq!(message(b"6,1,2,-,caller=T7;hello\n"), "hello");
    }

    #[test]
    fn device_of_a_message_is_not_part_of_it() {
        let text = b"6,1,2,-;link is up\n SUBSYSTEM=pci\n DEVICE=+pci:0000:01:00.0\n";

        assert_eq!(message(text), "link is up");
    }

    #[test]
    fn escaped_line_feed_is_restored() {
        assert_eq!(message(br"6,1,2,-;a\x0ab\x5cc"), "a\nb\\c");
    }

    #[test]
    fn invalid_escape_stays() {
        assert_eq!(message(br"6,1,2,-;\xzz \x4"), r"\xzz \x4");
    }

    #[test]
    fn other_text_is_not_a_record() {
        for text in [&b""[..], b"hello", b"6,1", b"6,x,2,-;hello"] {
            assert_eq!(Record::parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_accepted(bytes in any::<Vec<u8>>()) {
            Record::parse(&bytes);
        }
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Messages to and from QEMU's monitor. Pure: text to text.

use serde::Deserialize;
use serde_json::{json, Value};

/// A message of QEMU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// QEMU carried out the command with this number, or refused it with this reason.
    Answer(u64, Result<(), String>),
    /// QEMU carried out the command with this number, and this is its text. Only commands of the
    /// monitor for people have one.
    Said(u64, String),
    /// QEMU carried out the command with this number, and this is its list.
    Listed(u64, Vec<Value>),
    /// The machine sleeps (ACPI S3).
    Suspended,
    /// The device with this name has left the machine.
    Deleted(String),
    /// The machine was reset.
    Reset,
    /// A message without meaning for the runner.
    Other,
}

/// The parts of QEMU's lines that the runner needs.
#[derive(Deserialize)]
struct Line {
    id: Option<u64>,
    #[serde(rename = "return")]
    answer: Option<Value>,
    error: Option<Refusal>,
    event: Option<String>,
    data: Option<EventData>,
}

#[derive(Deserialize)]
struct Refusal {
    desc: String,
}

#[derive(Deserialize)]
struct EventData {
    /// Missing if the unplugged object has no name. Other events may not have it either.
    device: Option<Value>,
}

/// Parses a line of QEMU.
pub(crate) fn parse(line: &str) -> Result<Message, String> {
    let parsed = serde_json::from_str::<Line>(line);
    let parsed = parsed.map_err(|error| format!("QEMU's monitor sent {line:?}: {error}"))?;
    if let (Some(id), Some(error)) = (parsed.id, parsed.error) {
        return Ok(Message::Answer(id, Err(error.desc)));
    }
    if let (Some(id), Some(answer)) = (parsed.id, parsed.answer) {
        return Ok(match answer {
            Value::String(text) => Message::Said(id, text),
            Value::Array(items) => Message::Listed(id, items),
            _ => Message::Answer(id, Ok(())),
        });
    }
    let name = parsed.data.and_then(|data| data.device);
    match (parsed.event.as_deref(), name) {
        (Some("DEVICE_DELETED"), Some(Value::String(name))) => Ok(Message::Deleted(name)),
        (Some("SUSPEND"), _) => Ok(Message::Suspended),
        (Some("RESET"), _) => Ok(Message::Reset),
        _ => Ok(Message::Other),
    }
}

/// Returns the first command, without which QEMU accepts no other. No other command has its number.
pub(crate) fn hello() -> String {
    command(0, "qmp_capabilities", &json!({}))
}

/// Returns a command. QEMU's answer repeats its number.
pub(crate) fn command(id: u64, name: &str, arguments: &Value) -> String {
    json!({ "execute": name, "arguments": arguments, "id": id }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn answer_carries_the_number_of_its_command() {
        let message = parse(r#"{"return": {}, "id": 7}"#);

        assert_eq!(message, Ok(Message::Answer(7, Ok(()))));
    }

    #[test]
    fn refusal_carries_the_reason() {
        let line = r#"{"id": 8, "error": {"class": "GenericError", "desc": "no such bus"}}"#;

        assert_eq!(
            parse(line),
            Ok(Message::Answer(8, Err("no such bus".to_owned())))
        );
    }

    #[test]
    fn text_of_a_command_for_people_is_kept() {
        let message = parse(r#"{"return": "OK id: port0\r\n", "id": 9}"#);

        assert_eq!(message, Ok(Message::Said(9, "OK id: port0\r\n".to_owned())));
    }

    #[test]
    fn list_is_kept() {
        let message = parse(r#"{"return": [{"name": "port0"}], "id": 9}"#);

        let items = vec![json!({ "name": "port0" })];
        assert_eq!(message, Ok(Message::Listed(9, items)));
    }

    #[test]
    fn machine_that_sleeps_is_noticed() {
        let line = r#"{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "SUSPEND"}"#;

        assert_eq!(parse(line), Ok(Message::Suspended));
    }

    #[test]
    fn device_that_left_is_named() {
        let line = r#"{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "DEVICE_DELETED",
            "data": {"device": "ringbar0", "path": "/machine/peripheral/ringbar0"}}"#;

        assert_eq!(parse(line), Ok(Message::Deleted("ringbar0".to_owned())));
    }

    #[test]
    fn event_without_a_device_name_is_ignored() {
        let line = r#"{"event": "DEVICE_DELETED", "data": {"path": "/machine/peripheral/x"}}"#;

        assert_eq!(parse(line), Ok(Message::Other));
    }

    #[test]
    fn reset_is_known() {
        let line = r#"{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "RESET",
            "data": {"guest": false, "reason": "host-qmp-system-reset"}}"#;

        assert_eq!(parse(line), Ok(Message::Reset));
    }

    #[test]
    fn greeting_is_ignored() {
        let line = r#"{"QMP": {"version": {"qemu": {"major": 11}}, "capabilities": ["oob"]}}"#;

        assert_eq!(parse(line), Ok(Message::Other));
    }

    #[test]
    fn event_with_other_data_is_ignored() {
        let line = r#"{"event": "X", "data": {"device": {"a": 1}}}"#;

        assert_eq!(parse(line), Ok(Message::Other));
    }

    #[test]
    fn non_json_line_is_an_error_with_the_line() {
        let error = parse("hello").expect_err("refused");

        assert!(error.contains("hello"), "{error}");
    }

    #[test]
    fn command_is_one_line() {
        let line = command(3, "device_del", &json!({ "id": "a\nb" }));

        let expected = r#"{"arguments":{"id":"a\nb"},"execute":"device_del","id":3}"#;
        assert_eq!(line, expected);
    }

    proptest! {
        #[test]
        fn any_line_is_handled(line in any::<String>()) {
            let _ = parse(&line);
        }
    }
}

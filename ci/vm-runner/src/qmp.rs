// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Messages to and from QEMU's monitor. Pure: text to text.

use serde::Deserialize;
use serde_json::{json, Value};

/// Events for which a guest reports a status: it was asked to eject a device, or does so by itself.
const EJECT_REQUEST: i64 = 3;
const OSPM_EJECT: i64 = 0x103;
/// Statuses that are no failure: done, and still at it.
const SUCCESS: i64 = 0;
const IN_PROGRESS: i64 = 0x84;

/// A message of QEMU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// QEMU carried out the command with this number, or refused it with this reason.
    Answer(u64, Result<(), String>),
    /// QEMU carried out the command with this number, and this is its text. Only commands of the
    /// monitor for people have one.
    Said(u64, String),
    /// QEMU carried out the command with this number, and this is its value.
    Number(u64, u64),
    /// QEMU carried out the command with this number, and this is its list.
    Listed(u64, Vec<Value>),
    /// The machine sleeps (ACPI S3).
    Suspended,
    /// The device with this name has left the machine.
    Deleted(String),
    /// The guest does not let the device with this name go.
    Kept(String),
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
    /// Of `ACPI_DEVICE_OST`.
    info: Option<Status>,
}

/// What the guest says of a device that it was asked to give back (`_OST` of ACPI 6.5, 6.3.5).
#[derive(Deserialize)]
struct Status {
    device: Option<String>,
    source: i64,
    status: i64,
}

impl Status {
    /// Returns the name of the device, if the guest keeps it.
    fn kept(self) -> Option<String> {
        let asked = [EJECT_REQUEST, OSPM_EJECT].contains(&self.source);
        let fails = ![SUCCESS, IN_PROGRESS].contains(&self.status);
        self.device.filter(|_| asked && fails)
    }
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
            Value::Number(number) => Message::Number(id, number.as_u64().unwrap_or(u64::MAX)),
            _ => Message::Answer(id, Ok(())),
        });
    }
    let (name, status) = match parsed.data {
        Some(data) => (data.device, data.info),
        None => (None, None),
    };
    match (parsed.event.as_deref(), name) {
        (Some("DEVICE_DELETED"), Some(Value::String(name))) => Ok(Message::Deleted(name)),
        (Some("ACPI_DEVICE_OST"), _) => Ok(status
            .and_then(Status::kept)
            .map_or(Message::Other, Message::Kept)),
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

    /// Returns QEMU's line about a status that the guest reports of `dimm0`.
    fn reported(source: u32, status: u32) -> Result<Message, String> {
        parse(&format!(
            r#"{{"event": "ACPI_DEVICE_OST", "data": {{"info": {{"device": "dimm0", "source": {source},
            "status": {status}, "slot": "0", "slot-type": "DIMM"}}}}}}"#
        ))
    }

    #[test]
    fn device_that_the_guest_keeps_is_named() {
        let kept = Ok(Message::Kept("dimm0".to_owned()));

        assert_eq!(reported(3, 0x81), kept);
        assert_eq!(reported(0x103, 1), kept);
    }

    #[test]
    fn device_that_the_guest_takes_or_still_frees_is_not_kept() {
        for (source, status) in [(3, 0x84), (3, 0), (1, 0x81)] {
            assert_eq!(reported(source, status), Ok(Message::Other));
        }
    }

    #[test]
    fn number_is_kept() {
        let message = parse(r#"{"return": 134217728, "id": 9}"#);

        assert_eq!(message, Ok(Message::Number(9, 134_217_728)));
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

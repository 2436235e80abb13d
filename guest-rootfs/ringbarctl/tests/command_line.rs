// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Tests of invalid command lines. None of them reaches a device.

use serde_json::Value;
use std::process::{Command, Output};

fn call(arguments: &[&str]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_ringbarctl"));
    let output = program.args(arguments).output();
    output.expect("the program starts")
}

#[test]
fn wrong_command_line_with_json_is_an_object() {
    let output = call(&["poke", "--json", "SCRATCH", "much"]);

    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert_eq!(output.stderr, b"");
    let answer: Value = serde_json::from_slice(&output.stdout).expect("one JSON value");
    let error = "invalid value 'much' for '<VALUE>': not a number: write 24, 0x18 or 0b1_1000";
    assert_eq!(answer["error"], error);
    let advice = "For more information, try '--help'.";
    assert_eq!(answer["advice"], advice);
}

#[test]
fn wrong_command_line_is_text_if_json_is_a_file() {
    let output = call(&["crc", "--length", "4K", "--", "--json"]);

    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert_eq!(output.stdout, b"");
    assert!(output.stderr.starts_with(b"error: "), "{output:?}");
}

#[test]
fn help_is_text_also_if_json_is_asked_for() {
    let output = call(&["info", "--json", "--help"]);

    assert!(output.status.success(), "{output:?}");
    let help = String::from_utf8_lossy(&output.stdout);
    assert!(help.starts_with("Shows what the device is"), "{help}");
}

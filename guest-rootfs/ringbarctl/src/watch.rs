// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `watch`: live counters, one line per interval.

use crate::error::Error;
use crate::options::Watch;
use crate::output;
use crate::registers;
use crate::sysfs::{number_after, SysfsDevice};
use ringbar_client::{Device, Mapping};
use ringbar_spec::regs::{COUNTER, ERROR_COUNT, RESET_GENERATION};
use serde::Serialize;
use std::fmt;
use std::path::Path;
use std::thread;

/// Lines after which the header is repeated.
const PAGE: u64 = 20;
const HEADER: &str =
    "  uptime s  resets  queues  windows  buffers         bytes  mappings  interrupts  errors";

/// Counters at one moment. A counter is `None` if the caller may not see it.
#[derive(Debug, Default, Serialize)]
struct Counters {
    /// Time since power-on or the last reset.
    uptime_ns: Option<u64>,
    resets: Option<u64>,
    /// Total of all users, counted by the driver.
    queues: Option<u64>,
    windows: Option<u64>,
    buffers: Option<u64>,
    bytes: Option<u64>,
    mappings: Option<u64>,
    /// Count since the guest started.
    interrupts: Option<u64>,
    /// Count since the device's log was last cleared.
    errors: Option<u64>,
}

/// A line of counters, with or without the header.
#[derive(Serialize)]
struct Line {
    #[serde(skip)]
    with_header: bool,
    #[serde(flatten)]
    counters: Counters,
}

/// Prints the requested number of lines.
pub(crate) fn run(node: &Path, options: &Watch, json: bool) -> Result<(), Error> {
    let device = Device::open(node)?;
    // Only with `CAP_SYS_RAWIO`. Without it the registers' columns are dashes.
    let registers = device.map_public_registers().ok();
    let sysfs = SysfsDevice::of(node);
    for number in 0..options.count.unwrap_or(u64::MAX) {
        if number > 0 {
            thread::sleep(options.interval);
        }
        // Fails if the device has been removed. Otherwise the registers below would raise SIGBUS
        // and end the process.
        device.info()?;
        let line = Line {
            with_header: number % PAGE == 0,
            counters: Counters::now(registers.as_ref(), &sysfs)?,
        };
        output::print(json, &line)?;
    }
    Ok(())
}

impl Counters {
    /// Reads the counters. Fails if the server has ended, as far as the registers are visible.
    fn now(registers: Option<&Mapping>, sysfs: &SysfsDevice) -> Result<Self, Error> {
        let word = |offset| registers.map(|registers| registers.read::<u32>(offset).into());
        let usage = sysfs.debugfs("usage").unwrap_or_default();
        let used = |what| number_after(usage.lines().next()?, what);
        let counters = Self {
            uptime_ns: registers.map(|registers| registers.read(COUNTER::INFO.offset)),
            resets: word(RESET_GENERATION::INFO.offset),
            queues: used("queues"),
            windows: used("windows"),
            buffers: used("buffers"),
            bytes: used("bytes"),
            mappings: sysfs
                .debugfs("mappings")
                .and_then(|text| number_after(&text, "count")),
            interrupts: sysfs.interrupts(),
            errors: word(ERROR_COUNT::INFO.offset),
        };
        // Last: a server that ends while the counters are read makes them all ones.
        registers.map(registers::check).transpose()?;
        Ok(counters)
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.with_header {
            writeln!(f, "{HEADER}")?;
        }
        let shown = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), |v| v.to_string());
        let counters = &self.counters;
        let uptime = counters.uptime_ns.map_or_else(
            || "-".to_owned(),
            |nanoseconds| format!("{:.1}", nanoseconds as f64 / 1e9),
        );
        writeln!(
            f,
            "{uptime:>10}  {:>6}  {:>6}  {:>7}  {:>7}  {:>12}  {:>8}  {:>10}  {:>6}",
            shown(counters.resets),
            shown(counters.queues),
            shown(counters.windows),
            shown(counters.buffers),
            shown(counters.bytes),
            shown(counters.mappings),
            shown(counters.interrupts),
            shown(counters.errors),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registers::tests::page_of_ones;

    #[test]
    fn line_is_as_wide_as_the_header() {
        let line = Line {
            with_header: true,
            counters: Counters {
                uptime_ns: Some(1_250_000_000),
                ..Counters::default()
            },
        };
        let text = line.to_string();
        let lengths: Vec<_> = text.lines().map(str::len).collect();

        assert_eq!(lengths, [HEADER.len(), HEADER.len()]);
        assert!(text.contains("       1.2       -"), "{text}");
    }

    #[test]
    fn device_without_a_server_has_no_line() {
        let sysfs = SysfsDevice::of(Path::new("/dev/no-such-node"));

        let error = Counters::now(Some(&page_of_ones()), &sysfs).expect_err("refused");

        assert!(
            error.to_string().starts_with("the device has no server"),
            "{error}"
        );
    }

    #[test]
    fn unreadable_values_are_null() {
        let line = Line {
            with_header: true,
            counters: Counters {
                errors: Some(3),
                ..Counters::default()
            },
        };
        let json = serde_json::to_value(&line).expect("JSON");

        assert_eq!(json["errors"], 3);
        assert!(json["uptime_ns"].is_null());
        assert!(json.get("with_header").is_none());
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Arguments after `file=` in `-plugin file=…,key=value`.

use std::ops::Range;
use std::path::PathBuf;

use thiserror::Error;

use crate::config::Function;

/// Options of the plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// File to write records to.
    pub(crate) out: PathBuf,
    /// Kind of records.
    pub(crate) what: What,
    /// Addresses of the code whose execution is recorded.
    pub(crate) range: Range<u64>,
    /// Beginning of the recording.
    pub(crate) from: From,
    /// Place of the device on the PCI bus, for accesses to its configuration space.
    pub(crate) function: Function,
    /// Socket of the device's server, which identifies the device. If empty, any device counts.
    pub(crate) socket: String,
    /// File with the names of the device's registers. Without it the device is ringbar's.
    pub(crate) registers: Option<PathBuf>,
}

/// Addresses of Linux's modules on x86-64. A kernel that can place itself at random leaves itself the
/// first half of them (`KERNEL_IMAGE_SIZE`).
const MODULES: Range<u64> = 0xffff_ffff_a000_0000..0xffff_ffff_ff00_0000;

/// Kind of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// Accesses to the device.
    Accesses,
    /// Executed code.
    Code,
}

/// Beginning of the recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// At the guest's mark, just before it loads the driver.
    Mark,
    /// With the first instruction.
    Boot,
}

/// Reason for refusing the options.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum OptionError {
    #[error("`{0}` is not key=value")]
    NoValue(String),
    #[error("there is no option `{0}`; there are: out, record, range, from, function, socket, registers")]
    Unknown(String),
    #[error("record={0}: write accesses or code")]
    BadRecord(String),
    #[error(
        "range={0}: write two hexadecimal addresses, the lower one first, as in 0x7c00-0x7e00"
    )]
    BadRange(String),
    #[error("from={0}: write mark or boot")]
    BadFrom(String),
    #[error("function={0}: write bus:device.function in hexadecimal, as in 01:00.0")]
    BadFunction(String),
    #[error("out=FILE is missing")]
    NoOut,
}

impl Options {
    /// Parses words of the form `key=value`.
    pub(crate) fn parse<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, OptionError> {
        let mut out = None;
        let mut what = What::Accesses;
        let mut range = MODULES;
        let mut from = From::Mark;
        let mut function = Function::BEHIND_FIRST_PORT;
        let mut socket = String::new();
        let mut registers = None;
        for word in words {
            let (key, value) = word
                .split_once('=')
                .ok_or_else(|| OptionError::NoValue(word.to_owned()))?;
            match key {
                "out" => out = Some(PathBuf::from(value)),
                "record" => {
                    what = match value {
                        "accesses" => What::Accesses,
                        "code" => What::Code,
                        _ => return Err(OptionError::BadRecord(value.to_owned())),
                    }
                }
                "range" => {
                    range =
                        addresses(value).ok_or_else(|| OptionError::BadRange(value.to_owned()))?;
                }
                "from" => {
                    from = match value {
                        "mark" => From::Mark,
                        "boot" => From::Boot,
                        _ => return Err(OptionError::BadFrom(value.to_owned())),
                    }
                }
                "function" => {
                    function = Function::parse(value)
                        .ok_or_else(|| OptionError::BadFunction(value.to_owned()))?;
                }
                "socket" => value.clone_into(&mut socket),
                "registers" => registers = Some(PathBuf::from(value)),
                _ => return Err(OptionError::Unknown(key.to_owned())),
            }
        }
        Ok(Self {
            out: out.ok_or(OptionError::NoOut)?,
            what,
            range,
            from,
            function,
            socket,
            registers,
        })
    }
}

/// Parses two addresses with `-` between them. The second one is not in the range.
fn addresses(text: &str) -> Option<Range<u64>> {
    let hex = |text: &str| u64::from_str_radix(text.strip_prefix("0x")?, 16).ok();
    let (begin, end) = text.split_once('-')?;
    let range = hex(begin)?..hex(end)?;
    (!range.is_empty()).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_alone_records_from_the_mark_on() {
        let options = Options::parse(["out=/t/trace.jsonl"]).expect("options");

        assert_eq!(options.out, PathBuf::from("/t/trace.jsonl"));
        assert_eq!(options.from, From::Mark);
    }

    #[test]
    fn every_option_is_taken() {
        let all = [
            "record=code",
            "range=0x7c00-0x7e00",
            "from=boot",
            "function=02:1f.7",
            "socket=/s",
            "registers=/r",
            "out=x",
        ];

        let options = Options::parse(all).expect("options");
        assert_eq!(options.what, What::Code);
        assert_eq!(options.range, 0x7c00..0x7e00);
        assert_eq!(options.from, From::Boot);
        assert_eq!(Some(options.function), Function::parse("02:1f.7"));
        assert_eq!(options.socket, "/s");
        assert_eq!(options.registers, Some(PathBuf::from("/r")));
    }

    #[test]
    fn invalid_options_are_refused_by_name() {
        let refused = |word| Options::parse(["out=x", word]).expect_err("refused");

        assert_eq!(refused("boot"), OptionError::NoValue("boot".into()));
        assert_eq!(refused("form=boot"), OptionError::Unknown("form".into()));
        assert_eq!(refused("record=x"), OptionError::BadRecord("x".into()));
        for range in ["1", "0x1", "1-2", "0x2-0x1"] {
            let word = format!("range={range}");
            let refused = Options::parse(["out=x", &word]).expect_err("refused");
            assert_eq!(refused, OptionError::BadRange(range.into()));
        }
        assert_eq!(refused("from=probe"), OptionError::BadFrom("probe".into()));
        assert_eq!(refused("function=1"), OptionError::BadFunction("1".into()));
    }

    #[test]
    fn file_must_be_named() {
        assert_eq!(Options::parse([]), Err(OptionError::NoOut));
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Arguments after `file=` in `-plugin file=…,key=value`.

use std::path::PathBuf;

use thiserror::Error;

use crate::config::Function;

/// Options of the plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// File to write records to.
    pub(crate) out: PathBuf,
    /// Beginning of the recording.
    pub(crate) from: From,
    /// Place of the device on the PCI bus, for accesses to its configuration space.
    pub(crate) function: Function,
    /// Socket of the device's server, which identifies the device. If empty, any device counts.
    pub(crate) socket: String,
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
    #[error("there is no option `{0}`; there are: out, from, function, socket")]
    Unknown(String),
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
        let mut from = From::Mark;
        let mut function = Function::BEHIND_FIRST_PORT;
        let mut socket = String::new();
        for word in words {
            let (key, value) = word
                .split_once('=')
                .ok_or_else(|| OptionError::NoValue(word.to_owned()))?;
            match key {
                "out" => out = Some(PathBuf::from(value)),
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
                _ => return Err(OptionError::Unknown(key.to_owned())),
            }
        }
        Ok(Self {
            out: out.ok_or(OptionError::NoOut)?,
            from,
            function,
            socket,
        })
    }
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
        let options = Options::parse(["from=boot", "function=02:1f.7", "socket=/s", "out=x"]);

        let options = options.expect("options");
        assert_eq!(options.from, From::Boot);
        assert_eq!(Some(options.function), Function::parse("02:1f.7"));
        assert_eq!(options.socket, "/s");
    }

    #[test]
    fn invalid_options_are_refused_by_name() {
        let refused = |word| Options::parse(["out=x", word]).expect_err("refused");

        assert_eq!(refused("boot"), OptionError::NoValue("boot".into()));
        assert_eq!(refused("form=boot"), OptionError::Unknown("form".into()));
        assert_eq!(refused("from=probe"), OptionError::BadFrom("probe".into()));
        assert_eq!(refused("function=1"), OptionError::BadFunction("1".into()));
    }

    #[test]
    fn file_must_be_named() {
        assert_eq!(Options::parse([]), Err(OptionError::NoOut));
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Names for accesses, and lines about errors of the guest.

use std::collections::HashSet;
use std::fmt;

use log::Level;
use ringbar_endpoint::client_log::note;
use ringbar_endpoint::config_space;
use ringbar_endpoint::function::Trapped;
use ringbar_model::LoggedError;
use ringbar_spec::error::ErrorCode;
use ringbar_spec::layout::REGISTER_BAR;
use ringbar_spec::names::NamedByte;

/// Log target of traced accesses: `--trace` switches it on.
pub const TARGET: &str = "ringbar_server::trace";

/// An offset in BAR 0, shown as the name of a register or of a field of a shared page, with the
/// index in an array, and the byte unless it is the first: `KICK[3]`, `SCRATCH+7`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegisterName(pub u64);

impl fmt::Display for RegisterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NamedByte::at(self.0) {
            Some(byte) => byte.fmt(f),
            None => write!(f, "{:#07x} (no register)", self.0),
        }
    }
}

/// Bytes of an access, shown as one little-endian number.
#[derive(Clone, Copy, Debug)]
pub struct Value<'a>(pub &'a [u8]);

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            0..=8 => {
                f.write_str("0x")?;
                self.0
                    .iter()
                    .rev()
                    .try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            length => write!(f, "{length} bytes"),
        }
    }
}

/// A trapped access, shown by name.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a>(pub &'a Trapped<'a>);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Trapped {
            write,
            region,
            offset,
            data,
        } = *self.0;
        f.write_str(if write { "write " } else { "read " })?;
        match region {
            REGISTER_BAR => write!(f, "{}", RegisterName(offset))?,
            config_space::REGION => write!(f, "config {offset:#05x}")?,
            bar => write!(f, "BAR {bar} {offset:#x}")?,
        }
        write!(f, " {} {}", data.len(), Value(data))
    }
}

/// Log of the guest's errors, with one warning per kind.
#[derive(Debug, Default)]
pub struct GuestErrors {
    told: HashSet<u16>,
}

impl GuestErrors {
    /// Logs an error of the device, with the call that caused it: the first of its kind as a
    /// warning, others at level debug.
    pub fn note(&mut self, error: &LoggedError, cause: impl fmt::Display) {
        let LoggedError { code, value, .. } = *error;
        let (name, queue) = (name(code), Queue(error.queue()));
        // A guest can make errors without end. One warning per kind bounds what it can write to the
        // host's log.
        if self.told.insert(code.0) {
            note(
                module_path!(),
                Level::Warn,
                format_args!(
                    "guest error {name}{queue}, value {value:#x}, after {cause}; \
                     more of this kind at level debug{}",
                    hint(error)
                ),
            );
        } else {
            log::debug!("guest error {name}{queue}, value {value:#x}, after {cause}");
        }
    }
}

/// The queue concerned, shown if there is one.
struct Queue(Option<u16>);

impl fmt::Display for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(queue) => write!(f, " on queue {queue}"),
            None => Ok(()),
        }
    }
}

/// Returns what the operator should know of an error that need not be the guest's.
fn hint(error: &LoggedError) -> &'static str {
    match (error.code, error.value) {
        // No driver asks for that, but it is the first fault of a block of zeros.
        (ErrorCode::BAD_ENTRIES, 0) => {
            ". If the block that the device read is all zeros, QEMU keeps the guest's memory to \
             itself: give its memory backend share=on"
        }
        _ => "",
    }
}

/// Returns the name of an error code in the data sheet.
fn name(code: ErrorCode) -> &'static str {
    ErrorCode::ALL
        .iter()
        .find(|(known, _)| *known == code)
        .map_or("unknown", |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn register_is_shown_by_name() {
        assert_eq!(RegisterName(0).to_string(), "IDENT");
        assert_eq!(RegisterName(0x1f).to_string(), "SCRATCH+7");
    }

    #[test]
    fn array_register_is_shown_with_index() {
        assert_eq!(
            RegisterName(0x3f_0000 + 3 * 0x1_0000).to_string(),
            "KICK[3]"
        );
    }

    #[test]
    fn offset_without_register_is_shown_as_number() {
        assert_eq!(RegisterName(0x34).to_string(), "0x00034 (no register)");
        assert_eq!(
            RegisterName(u64::MAX).to_string(),
            "0xffffffffffffffff (no register)"
        );
    }

    #[test]
    fn value_is_shown_most_significant_byte_first() {
        assert_eq!(Value(&[1, 2, 3, 4]).to_string(), "0x04030201");
    }

    #[test]
    fn trapped_access_shows_direction_name_width_and_value() {
        let write = Trapped {
            write: true,
            region: 0,
            offset: 0x1_0000,
            data: b"RST!",
        };

        assert_eq!(Named(&write).to_string(), "write RESET 4 0x21545352");
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The command line.

use crate::bench;
use crate::number::{self, Width};
use crate::place::RegisterPlace;
use clap::{Args, Parser, Subcommand, ValueEnum};
use ringbar_bench::PAIRS;
use ringbar_client::Part;
use std::path::PathBuf;
use std::time::Duration;

/// Shows a ringbar device and runs its operations.
///
/// Exit status: 0 if all is done, or if the reader of the output stopped reading; 1 if the driver,
/// the device or a file refused, and the message gives advice; 2 if the command line is wrong; 3 if
/// the device's bytes are wrong; 101 after a panic. If the device is removed meanwhile, SIGBUS may
/// end the program: 135 in a shell.
#[derive(Debug, Parser)]
#[command(name = "ringbarctl", version, max_term_width = 100)]
pub(crate) struct Options {
    /// Node of the device
    #[arg(
        long,
        global = true,
        value_name = "NODE",
        default_value = "/dev/ringbar0"
    )]
    pub(crate) device: PathBuf,
    /// Print JSON, one object per line; an error is an object too, with `error` and `advice`
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Command to run.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Command to run.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Shows what the device is and what its limits are
    Info,
    /// Shows the device's pages and memory: location, kind of access, owner of the mapping
    Regions,
    /// Reads public registers; needs CAP_SYS_RAWIO
    Peek(Peek),
    /// Writes a public register; needs CAP_SYS_RAWIO
    Poke(Poke),
    /// Copies bytes on the device from one memory to another, and compares them
    Copy(Copy),
    /// Fills memory on the device with a value, and compares it
    Fill(Fill),
    /// Computes a CRC-32C on the device
    Crc(Crc),
    /// Shows live counters, one line per second; a counter that the caller may not see is a dash
    Watch(Watch),
    /// Measures the rows that need the guest alone; `make bench` on the host measures all
    Bench(Bench),
}

/// Options of `peek`.
#[derive(Debug, Args)]
pub(crate) struct Peek {
    /// Registers by name, or offsets in BAR 0 such as 0x18; all public registers if none is given
    #[arg(value_name = "REGISTER|OFFSET")]
    pub(crate) places: Vec<RegisterPlace>,
    /// Bytes per access; if not given, the width of the register, or 4 for an offset
    #[arg(long, value_name = "1|2|4|8")]
    pub(crate) width: Option<Width>,
}

/// Options of `poke`.
#[derive(Debug, Args)]
pub(crate) struct Poke {
    /// A register by name, or an offset in BAR 0 such as 0x18
    #[arg(value_name = "REGISTER|OFFSET")]
    pub(crate) place: RegisterPlace,
    /// Value: decimal, 0x hexadecimal or 0b binary; `_` may stand between digits
    #[arg(value_parser = number::parse)]
    pub(crate) value: u64,
    /// Bytes of the access; if not given, the width of the register, or 4 for an offset
    #[arg(long, value_name = "1|2|4|8")]
    pub(crate) width: Option<Width>,
}

/// Bytes for the device.
#[derive(Debug, Args)]
pub(crate) struct Source {
    /// File with the bytes, `-` for standard input; if not given, the device makes a pattern
    pub(crate) input: Option<PathBuf>,
    /// Bytes of the pattern; K, M and G may follow the number
    #[arg(long, value_name = "SIZE", default_value = "4K", value_parser = number::size,
          conflicts_with = "input")]
    pub(crate) length: u64,
    /// Seed of the pattern
    #[arg(long, default_value = "1", value_parser = number::parse, conflicts_with = "input")]
    pub(crate) seed: u64,
}

/// Options of `copy`.
#[derive(Debug, Args)]
pub(crate) struct Copy {
    #[command(flatten)]
    pub(crate) source: Source,
    /// File for the copied bytes, `-` for standard output (the answer then goes to standard error);
    /// none if not given
    #[arg(requires = "input")]
    pub(crate) output: Option<PathBuf>,
    /// Memory to copy from
    #[arg(long, value_enum, default_value_t = MemoryChoice::Buffer)]
    pub(crate) from: MemoryChoice,
    /// Memory to copy to
    #[arg(long, value_enum, default_value_t = MemoryChoice::Buffer)]
    pub(crate) to: MemoryChoice,
}

/// Options of `fill`.
#[derive(Debug, Args)]
pub(crate) struct Fill {
    /// File for the bytes, `-` for standard output (the answer then goes to standard error); none
    /// if not given
    pub(crate) output: Option<PathBuf>,
    /// Bytes to fill; K, M and G may follow the number
    #[arg(long, value_name = "SIZE", default_value = "4K", value_parser = number::size)]
    pub(crate) length: u64,
    /// Eight bytes to repeat, as a number, its lowest byte first
    #[arg(long, default_value = "0", value_parser = number::parse)]
    pub(crate) value: u64,
    /// Memory to fill
    #[arg(long, value_enum, default_value_t = MemoryChoice::Buffer)]
    pub(crate) to: MemoryChoice,
}

/// Options of `crc`.
#[derive(Debug, Args)]
pub(crate) struct Crc {
    #[command(flatten)]
    pub(crate) source: Source,
    /// Memory that holds the bytes
    #[arg(long, value_enum, default_value_t = MemoryChoice::Buffer)]
    pub(crate) from: MemoryChoice,
}

/// Options of `watch`.
#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// Interval between two lines, in seconds, from 0.01 to 86400
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = number::seconds)]
    pub(crate) interval: Duration,
    /// Lines to print; no limit if not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
}

/// Options of `bench`.
#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// Rows to measure, by name; all if none is given
    #[arg(value_name = "ROW", value_parser = bench::row())]
    pub(crate) rows: Vec<String>,
    /// Pairs per row, from 1 to 10000
    #[arg(long, value_name = "N", default_value_t = PAIRS as u64,
          value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub(crate) pairs: u64,
}

/// Memory that the device can access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MemoryChoice {
    /// A DMA buffer, in the guest's memory
    Buffer,
    /// Device memory, mapped write-combining
    WriteCombining,
    /// Device memory, mapped uncached
    Uncached,
    /// Device memory, mapped page by page at the first access
    Lazy,
}

impl MemoryChoice {
    /// Returns the part of the device memory, if it is one.
    pub(crate) fn part(self) -> Option<Part> {
        match self {
            Self::Buffer => None,
            Self::WriteCombining => Some(Part::WriteCombining),
            Self::Uncached => Some(Part::Uncached),
            Self::Lazy => Some(Part::Lazy),
        }
    }

    /// Returns its name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Buffer => "buffer",
            Self::WriteCombining => "write-combining",
            Self::Uncached => "uncached",
            Self::Lazy => "lazy",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::error::ErrorKind;
    use clap::CommandFactory as _;

    fn parse(line: &str) -> Result<Options, clap::Error> {
        Options::try_parse_from(line.split(' '))
    }

    #[track_caller]
    fn assert_refused(line: &str, kind: ErrorKind, reason: &str) {
        let error = parse(line).expect_err("refused");
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().contains(reason), "{error}");
    }

    #[test]
    fn command_line_definition_is_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn every_argument_has_a_help_text() {
        for command in Options::command().get_subcommands() {
            assert!(command.get_about().is_some(), "{command}");
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{command}: {argument}");
            }
        }
    }

    #[test]
    fn global_options_may_follow_the_command() {
        let options = parse("ringbarctl info --json --device /dev/ringbar1").expect("understood");

        assert!(options.json);
        assert_eq!(options.device, PathBuf::from("/dev/ringbar1"));
    }

    #[test]
    fn output_is_the_second_file() {
        let options = parse("ringbarctl copy in out --to lazy").expect("understood");

        let Command::Copy(copy) = options.command else {
            panic!("{options:?}");
        };
        assert_eq!(copy.source.input, Some("in".into()));
        assert_eq!(copy.output, Some("out".into()));
        assert_eq!(
            (copy.from, copy.to),
            (MemoryChoice::Buffer, MemoryChoice::Lazy)
        );
    }

    #[test]
    fn length_of_a_file_is_its_own() {
        let line = "ringbarctl crc in --length 4K";
        assert_refused(line, ErrorKind::ArgumentConflict, "cannot be used with");
    }

    #[test]
    fn admin_register_is_refused_with_the_reason() {
        let line = "ringbarctl poke RESET 1";
        assert_refused(line, ErrorKind::ValueValidation, "the driver's alone");
    }

    #[test]
    fn count_of_no_lines_is_refused() {
        let line = "ringbarctl watch --count 0";
        assert_refused(line, ErrorKind::ValueValidation, "0 is not in 1..");
    }

    /// Asserts that both ends of a range are accepted, that values beyond them are not, and that
    /// the help names them.
    #[track_caller]
    fn assert_range(command: &str, option: &str, values: [&str; 4]) {
        let is_taken = |value| parse(&format!("ringbarctl {command} --{option} {value}")).is_ok();
        assert_eq!(values.map(is_taken), [false, true, true, false]);
        let [_, first, last, _] = values;
        let all = Options::command();
        let command = all.find_subcommand(command).expect("a command");
        let mut arguments = command.get_arguments();
        let argument = arguments.find(|argument| argument.get_long() == Some(option));
        let help = argument.and_then(|argument| argument.get_help());
        let help = help.expect("it has a help text").to_string();
        let range = format!("from {first} to {last}");
        assert!(help.contains(&range), "{help}");
    }

    #[test]
    fn help_names_the_range_of_a_number() {
        assert_range("watch", "interval", ["0.009", "0.01", "86400", "86401"]);
        assert_range("bench", "pairs", ["0", "1", "10000", "10001"]);
    }

    #[test]
    fn words_of_memories_are_the_shown_ones() {
        for memory in MemoryChoice::value_variants() {
            let value = memory.to_possible_value().expect("none is hidden");
            assert_eq!(value.get_name(), memory.name());
        }
    }
}

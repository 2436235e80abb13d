// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use ringbar_conformance::case::Group;

/// Judges a vfio-user server: one case per rule of the protocol, well-formed and malformed.
///
/// The server listens on SOCKET, or --server-command starts it. Each case has its own connection.
/// After the case, the server must serve a new client. The kit asks for the device's properties,
/// and skips cases about others with the reason. It reads configuration space, and writes the
/// interrupt line register with the value that it has. Only the groups region and robustness read
/// other registers.
///
/// A rule comes from the protocol's document (spec), from the needs of QEMU's client (qemu), or
/// from servers that trust no client (strict).
#[derive(Clone, Debug, Parser)]
#[command(
    version,
    after_help = "Exit status: 0 if no case failed, 1 if one did, 2 if the server could not be judged"
)]
pub(crate) struct Options {
    /// Socket of the server
    #[arg(value_name = "SOCKET", required_unless_present = "list")]
    pub(crate) socket: Option<PathBuf>,

    /// Run only this group; may be given more than once
    #[arg(long, value_name = "GROUP", value_enum)]
    pub(crate) group: Vec<Group>,

    /// Run only cases whose name, group/case, contains TEXT; may be given more than once
    #[arg(long, value_name = "TEXT")]
    pub(crate) case: Vec<String>,

    /// Show the cases and the sources of their rules, and run none
    #[arg(long)]
    pub(crate) list: bool,

    /// Seed of the random messages; the same seed makes the same messages [default: random]
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,

    /// Number of random messages in each case that sends them
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    pub(crate) messages: u64,

    /// Seconds without an answer after which the server counts as hung
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub(crate) timeout: Duration,

    /// Shell command that starts the server, now and whenever it has ended
    #[arg(long, value_name = "COMMAND")]
    pub(crate) server_command: Option<String>,

    /// File to which the output of --server-command is appended; without it, the output is dropped
    #[arg(long, value_name = "FILE", requires = "server_command")]
    pub(crate) server_log: Option<PathBuf>,

    /// Also write the results as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,

    /// Show only cases that did not pass
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("must be more than 0".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_is_consistent() {
        use clap::CommandFactory as _;
        Options::command().debug_assert();
    }

    #[test]
    fn each_group_is_among_all() {
        use clap::ValueEnum as _;

        assert_eq!(Group::ALL, Group::value_variants());
    }

    #[test]
    fn groups_have_their_names_on_the_command_line_and_in_json() {
        use clap::ValueEnum as _;
        for group in Group::ALL {
            let value = group.to_possible_value().expect("none is hidden");

            assert_eq!(value.get_name(), group.name());
            assert_eq!(serde_json::json!(group), group.name());
        }
    }

    #[test]
    fn timeout_must_be_more_than_0() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for bad in ["0", "-1", "nan", "soon"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}

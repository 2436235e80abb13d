// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::ArgPredicate;
use clap::{Parser, ValueEnum};
use ringbar_endpoint::config_space::MSI_VECTORS;
use ringbar_spec::ids::BOOT_NUMBER_MAX;
use ringbar_spec::layout::{DEVICE_MEMORY_MAX, DEVICE_MEMORY_MIN, DEVICE_MEMORY_SIZE, MAX_QUEUES};

use crate::sandbox::{Format, Parts};

/// Default number of queues.
const QUEUES: u16 = 8;
/// Default polling time in microseconds: a kick costs about as much.
const POLL_TIME: u32 = 50;

/// Serves a ringbar PCI device to QEMU's vfio-user-pci over a UNIX socket.
///
/// Exit status: 0 when the client has gone and after SIGINT or SIGTERM, 1 after an error, 2 if the
/// command line is wrong, 101 after a panic.
#[derive(Clone, Debug, Parser)]
#[command(version, override_usage = "ringbar-server --socket <PATH> [OPTIONS]")]
pub struct Options {
    /// Socket to listen on; QEMU gets the same path. In its sandbox the server cannot remove it in
    /// the end, the next one does
    #[arg(
        long,
        value_name = "PATH",
        required = false,
        required_unless_present = "print_sandbox",
        default_value_if("print_sandbox", ArgPredicate::IsPresent, "none")
    )]
    pub socket: PathBuf,

    /// Kind of interrupts; QEMU 11.1.3 aborts when it frees an unplugged device with msix (ci/README.md)
    #[arg(long, value_enum, default_value_t = InterruptKind::Msix)]
    pub interrupts: InterruptKind,

    /// Number of queues, 1 to 64
    #[arg(long, value_name = "N", default_value_t = QUEUES,
          value_parser = clap::value_parser!(u16).range(1..=MAX_QUEUES as i64))]
    pub queues: u16,

    /// How long the queues are polled after the last work before they sleep; 0 for not at all
    #[arg(long, value_name = "MICROSECONDS", default_value_t = POLL_TIME)]
    pub poll_time: u32,

    /// Device memory: a power of two, K, M and G may follow the number
    #[arg(long, value_name = "SIZE", default_value = "16M", value_parser = parse_memory_size)]
    pub device_memory: usize,

    /// Boot number of the first client's device, by which the driver tells this device from others in
    /// its place; those of later clients follow from it. Drawn if not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(BOOT_NUMBER_MAX)))]
    pub boot_number: Option<u32>,

    /// End with the first client, instead of waiting for the next one
    #[arg(long)]
    pub once: bool,

    /// Parts of the sandbox: all, none, or some of landlock, seccomp and limits with commas between
    #[arg(long, value_name = "PARTS", default_value = "all")]
    pub sandbox: Parts,

    /// Enter the sandbox, print what it consists of here, and end
    #[arg(long, value_enum, value_name = "FORMAT", num_args = 0..=1, require_equals = true,
          default_missing_value = "table")]
    pub print_sandbox: Option<Format>,

    /// Socket of a broker that hands out the files behind BARs, so that this server can take over from
    /// another one
    #[arg(long, value_name = "PATH")]
    pub region_files: Option<PathBuf>,

    /// What to log: a level, or target=level with commas between
    #[arg(long, value_name = "FILTER", default_value = "info")]
    pub log: String,

    /// Write what the device does to this file, for the report
    #[arg(long, value_name = "FILE")]
    pub events: Option<PathBuf>,

    /// Log each trapped access by register name
    #[arg(long)]
    pub trace: bool,
}

impl Options {
    /// Returns the options of a command line with nothing but the socket.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self {
            socket: socket.into(),
            interrupts: InterruptKind::Msix,
            queues: QUEUES,
            poll_time: POLL_TIME,
            device_memory: DEVICE_MEMORY_SIZE,
            boot_number: None,
            once: false,
            sandbox: Parts::ALL,
            print_sandbox: None,
            region_files: None,
            log: String::new(),
            events: None,
            trace: false,
        }
    }

    /// Returns the time for which the queues are polled after the last work.
    pub fn poll_time(&self) -> Duration {
        Duration::from_micros(self.poll_time.into())
    }

    /// Returns the boot number for a device that is made now.
    pub fn boot_number(&self) -> u32 {
        self.boot_number
            .unwrap_or_else(|| fastrand::u32(1..=BOOT_NUMBER_MAX))
    }

    /// Returns the options for the device of the next client.
    pub fn next_boot(mut self) -> Self {
        // Not the next number: the generation of a device that was reset once is that too.
        let drawn = |number: u32| fastrand::Rng::with_seed(number.into()).u32(1..=BOOT_NUMBER_MAX);
        self.boot_number = self.boot_number.map(drawn);
        self
    }

    /// Returns the number of interrupt vectors: one for errors and one per queue, as far as the
    /// kind of interrupts has them (data sheet 1).
    pub fn vectors(&self) -> u16 {
        let wanted = self.queues.saturating_add(1);
        match self.interrupts {
            InterruptKind::Msix => wanted,
            InterruptKind::Msi => wanted.next_power_of_two().min(MSI_VECTORS),
        }
    }
}

/// Kind of interrupts that the device offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum InterruptKind {
    /// MSI-X, a vector for errors and one a queue.
    Msix,
    /// MSI, the next power of two of vectors, at most 32.
    Msi,
}

/// Parses a size such as `64K`, and checks it against the limits of the device memory (data sheet
/// 13).
fn parse_memory_size(text: &str) -> Result<usize, String> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'K' | b'k') => (text.get(..text.len().saturating_sub(1)), 10),
        Some(b'M' | b'm') => (text.get(..text.len().saturating_sub(1)), 20),
        Some(b'G' | b'g') => (text.get(..text.len().saturating_sub(1)), 30),
        _ => (Some(text), 0),
    };
    let size = digits
        .and_then(|digits| digits.parse::<usize>().ok())
        .and_then(|number| number.checked_mul(1 << shift))
        .ok_or("not a number with K, M or G behind it")?;
    if size.is_power_of_two() && (DEVICE_MEMORY_MIN..=DEVICE_MEMORY_MAX).contains(&size) {
        Ok(size)
    } else {
        Err(format!(
            "{size} bytes is not a power of two from {DEVICE_MEMORY_MIN} (256K) to \
             {DEVICE_MEMORY_MAX} (1G)"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_size_takes_suffixes() {
        let sizes = ["262144", "256K", "2m", "1G"].map(parse_memory_size);

        assert_eq!(
            sizes,
            [Ok(256 << 10), Ok(256 << 10), Ok(2 << 20), Ok(1 << 30)]
        );
    }

    #[test]
    fn memory_size_below_minimum_names_value_and_limit() {
        let error = parse_memory_size("128K").unwrap_err();

        assert!(
            error.contains("131072") && error.contains("262144"),
            "{error}"
        );
    }

    #[test]
    fn memory_size_other_than_a_power_of_two_is_refused() {
        assert!(parse_memory_size("24M").is_err());
    }

    #[test]
    fn memory_size_beyond_64_bits_is_refused() {
        assert!(parse_memory_size("99999999999999999999").is_err());
        assert!(parse_memory_size("18446744073709551615G").is_err());
    }

    #[test]
    fn memory_size_without_digits_is_refused() {
        assert!(parse_memory_size("").is_err());
        assert!(parse_memory_size("M").is_err());
    }

    #[test]
    fn boot_numbers_of_later_devices_follow_from_the_first() {
        let numbers = || {
            let mut options = Options::new("unused");
            options.boot_number = Some(7);
            [(); 3].map(|()| {
                let number = options.boot_number();
                options = options.clone().next_boot();
                number
            })
        };

        let [first, second, third] = numbers();

        assert_eq!(first, 7);
        assert!(second.abs_diff(first) > 1000 && third.abs_diff(second) > 1000);
        assert_eq!(numbers(), [first, second, third]);
    }

    #[test]
    fn drawn_boot_numbers_differ() {
        let options = Options::new("unused");

        let numbers = [(); 4].map(|()| options.boot_number());

        assert!(
            numbers.windows(2).any(|pair| pair[0] != pair[1]),
            "{numbers:?}"
        );
    }

    #[test]
    fn msi_vectors_are_a_power_of_two_of_at_most_32() {
        let vectors = [1, 2, 64].map(|queues| {
            let mut options = Options::new("unused");
            options.interrupts = InterruptKind::Msi;
            options.queues = queues;
            options.vectors()
        });

        assert_eq!(vectors, [2, 4, 32]);
    }

    #[test]
    fn msix_vectors_are_one_more_than_the_queues() {
        let mut options = Options::new("unused");
        options.queues = 64;

        assert_eq!(options.vectors(), 65);
    }
}

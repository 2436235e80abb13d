// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Runs a target with inputs from a seed. Needs no compiler but Rust's, and repeats the same
//! inputs.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use fastrand::Rng;
use ringbar_fuzz::TARGETS;

/// Most memory by which the program may grow, in KiB.
const GROWTH: u64 = 64 << 10;

/// Fuzzes a target with inputs from a seed.
///
/// Input number N of seed S is always the same. A failure prints seed and number. With --save, each
/// input is first written to a file, which can become a regression test.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Exit status: 0 if no input failed, 101 if one did"
)]
struct Options {
    /// Target to fuzz
    #[arg(value_parser = TARGETS.iter().map(|target| target.name).collect::<Vec<_>>())]
    target: String,

    /// Ends after this many messages, operations or descriptors [default: a short run's]
    #[arg(long, value_name = "N")]
    count: Option<u64>,

    /// Seed of the inputs [default: random]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// Number of the first input
    #[arg(long, value_name = "N", default_value_t = 0)]
    from: u64,

    /// Write each input to this file before it is tried
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let Some(target) = TARGETS.iter().find(|it| it.name == options.target) else {
        return ExitCode::FAILURE;
    };
    let (short, counted) = target.short;
    let wanted = options.count.unwrap_or(short);
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..));
    println!("{}: seed {seed}", options.target);
    let start = Instant::now();
    let before = peak_memory();
    let (mut number, mut done) = (options.from, 0);
    // An input may make nothing.
    while done < wanted && number - options.from < wanted {
        let input = input(seed, number, target.longest);
        if let Some(path) = &options.save {
            fs::write(path, &input).expect("the file can be written");
        }
        let failure = Failure { seed, number };
        done += (target.run)(&input);
        std::mem::forget(failure);
        number += 1;
    }
    let growth = peak_memory().saturating_sub(before);
    println!(
        "{done} {counted} in {} inputs, {:.1?}, {:.0} a second, memory grew by {growth} KiB",
        number - options.from,
        start.elapsed(),
        done as f64 / start.elapsed().as_secs_f64()
    );
    assert!(done >= wanted, "inputs of which hardly anything is made");
    assert!(growth <= GROWTH, "memory grew by more than {GROWTH} KiB");
    ExitCode::SUCCESS
}

fn input(seed: u64, number: u64, longest: usize) -> Vec<u8> {
    let mut rng = Rng::with_seed(seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    let length = rng.usize(1..longest);
    let mut input = vec![0; length];
    rng.fill(&mut input);
    input
}

/// Prints the number of the input if it fails.
struct Failure {
    seed: u64,
    number: u64,
}

impl Drop for Failure {
    fn drop(&mut self) {
        eprintln!("repeat with --seed {} --from {}", self.seed, self.number);
    }
}

/// Returns the peak memory of this process in KiB; 0 if the system does not report it.
fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok())
        .unwrap_or(0)
}

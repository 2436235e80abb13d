// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What the guest's command line says to test programs.

/// The number that `NAME=NUMBER` gives on the kernel command line, if it is there.
pub fn number(name: &str) -> Option<u64> {
    let line = std::fs::read_to_string("/proc/cmdline").expect("procfs is mounted");
    let word = line
        .split_whitespace()
        .filter_map(|word| word.split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))?;
    Some(
        word.parse()
            .unwrap_or_else(|_| panic!("{name}={word} is no number")),
    )
}

/// `ringbar.seed`, to repeat a run that failed; else a number that is different in each run.
///
/// Prints it, so that it can be given the next time.
pub fn seed() -> u64 {
    let seed = number("ringbar.seed").unwrap_or_else(crate::seed);
    println!("# seed {seed}; SEED={seed} repeats it");
    seed
}

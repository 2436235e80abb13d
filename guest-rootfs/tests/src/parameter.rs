// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Parameters of test programs on the kernel command line.

/// Returns the word of `NAME=WORD` on the kernel command line, if it is there.
pub fn word(name: &str) -> Option<String> {
    let line = std::fs::read_to_string("/proc/cmdline").expect("procfs is mounted");
    line.split_whitespace()
        .filter_map(|word| word.split_once('='))
        .find_map(|(key, value)| (key == name).then(|| value.to_owned()))
}

/// Returns the number of `NAME=NUMBER` on the kernel command line, if it is there.
pub fn number(name: &str) -> Option<u64> {
    let word = word(name)?;
    Some(
        word.parse()
            .unwrap_or_else(|_| panic!("{name}={word} is not a number")),
    )
}

/// Returns a repeat count: `full` with `ringbar.full=1`, as `make soak` has it, or `short`.
pub fn count(full: u64, short: u64) -> u64 {
    if number("ringbar.full") == Some(1) {
        full
    } else {
        short
    }
}

/// Returns and prints the seed of a test: `ringbar.seed` on the kernel command line, or a number
/// that differs each time. A failed run can be repeated with the printed number.
pub fn seed() -> u64 {
    let seed = number("ringbar.seed").unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.map_or(1, |time| time.as_nanos() as u64)
    });
    println!("# seed {seed}");
    seed
}

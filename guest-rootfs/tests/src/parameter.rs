// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What the guest's command line says to test programs.

/// What `NAME=WORD` gives on the kernel command line, if it is there.
pub fn word(name: &str) -> Option<String> {
    let line = std::fs::read_to_string("/proc/cmdline").expect("procfs is mounted");
    line.split_whitespace()
        .filter_map(|word| word.split_once('='))
        .find_map(|(key, value)| (key == name).then(|| value.to_owned()))
}

/// The number that `NAME=NUMBER` gives on the kernel command line, if it is there.
pub fn number(name: &str) -> Option<u64> {
    let word = word(name)?;
    Some(
        word.parse()
            .unwrap_or_else(|_| panic!("{name}={word} is no number")),
    )
}

/// A big count: `full` if `ringbar.full=1` asks for it, as `make test` does; else `short`.
pub fn count(full: u64, short: u64) -> u64 {
    if number("ringbar.full") == Some(1) {
        full
    } else {
        short
    }
}

/// The seed of a test: `ringbar.seed` on the kernel command line, else a number that is different each
/// time. Printed, so that a run that failed can be repeated.
pub fn seed() -> u64 {
    let seed = number("ringbar.seed").unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.map_or(1, |time| time.as_nanos() as u64)
    });
    println!("# seed {seed}");
    seed
}

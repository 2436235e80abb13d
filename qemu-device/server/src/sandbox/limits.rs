// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Resource limits.

use std::io;

use ringbar_spec::setup::{MAX_SEGMENTS, MAX_WINDOWS};
use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};

use super::Limit;
use crate::options::Options;

/// Standard streams, socket, client, signals, device, and some to spare.
const OWN_FILES: u64 = 32;
/// Most descriptors that the kernel delivers with one piece of data.
const MESSAGE_FILES: u64 = 253;
/// Files of guest memory.
const MEMORY_FILES: u64 = 256;

/// Stacks of threads, messages, DMA ranges, and what the allocator keeps.
const OWN_DATA: u64 = 64 << 20;
/// Segments of all windows. A segment is two words. The allocator may need room for the old and the
/// new list.
const WINDOW_DATA: u64 = 2 * 16 * MAX_WINDOWS as u64 * MAX_SEGMENTS as u64;
/// Data of one queue.
const QUEUE_DATA: u64 = 64 << 10;

/// Lowers the limits to the needs of a server with these options. A limit that is lower already
/// stays.
///
/// The address space has no limit: the client decides on the size of guest memory.
pub(super) fn set(options: &Options) -> io::Result<Vec<Limit>> {
    [
        (Resource::Nofile, "open files", files(options)),
        (Resource::Data, "bytes of data", data(options)),
        (Resource::Core, "bytes of core files", 0),
    ]
    .into_iter()
    .map(|(resource, name, wanted)| {
        let hard = getrlimit(resource).maximum;
        // A process without privileges cannot raise a hard limit. The attempt would fail, where a
        // lower limit may well be enough.
        let value = hard.map_or(wanted, |hard| hard.min(wanted));
        let limit = Rlimit {
            current: Some(value),
            maximum: Some(value),
        };
        setrlimit(resource, limit)?;
        Ok(Limit { name, value })
    })
    .collect()
}

/// Returns the most descriptors that a server with these options has open.
fn files(options: &Options) -> u64 {
    // The eventfds of the vectors, and new ones for all of them in a message that arrives.
    let eventfds = 2 * u64::from(options.vectors());
    OWN_FILES + MESSAGE_FILES + MEMORY_FILES + eventfds
}

/// Returns the most bytes of data that a server with these options needs.
fn data(options: &Options) -> u64 {
    OWN_DATA + WINDOW_DATA + QUEUE_DATA * u64::from(options.queues)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_grow_with_the_queues() {
        let mut small = Options::new("unused");
        small.queues = 1;
        let mut big = small.clone();
        big.queues = 64;

        assert!(files(&big) >= files(&small) + 63);
        assert!(data(&big) > data(&small));
    }
}

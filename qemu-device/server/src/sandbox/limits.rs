// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Resource limits.

use std::io;

use ringbar_spec::setup::{MAX_SEGMENTS, MAX_WINDOWS};
use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};

use super::Limit;
use crate::options::Options;

/// Standard streams, socket, client, signals, device, and some to spare.
const OWN_FILES: u64 = 32;
/// Descriptors that the kernel lets come with one piece of data.
const MESSAGE_FILES: u64 = 253;
/// Files of guest memory.
const MEMORY_FILES: u64 = 256;

/// Stacks of threads, messages, DMA ranges, and what the allocator keeps.
const OWN_DATA: u64 = 64 << 20;
/// A segment of a window is two words. The allocator may need room for the old and the new one.
const WINDOW_DATA: u64 = 2 * 16 * MAX_WINDOWS as u64 * MAX_SEGMENTS as u64;
/// What the device knows of a queue.
const QUEUE_DATA: u64 = 64 << 10;

/// Lowers the limits to what a server with these options needs. One that is lower already stays.
///
/// There is none for the address space: the client decides how much guest memory there is.
pub(super) fn set(options: &Options) -> io::Result<Vec<Limit>> {
    [
        (Resource::Nofile, "open files", files(options)),
        (Resource::Data, "bytes of data", data(options)),
        (Resource::Core, "bytes of core files", 0),
    ]
    .into_iter()
    .map(|(resource, name, wanted)| {
        let hard = getrlimit(resource).maximum;
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

fn files(options: &Options) -> u64 {
    OWN_FILES + MESSAGE_FILES + MEMORY_FILES + u64::from(options.vectors())
}

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

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Polls the ring without a system call: the shortest way to a completion.

use ringbar_client::{descriptors, Device, Queue};
use ringbar_spec::ring::Completion;
use ringbar_spec::wake::Word;
use std::error::Error;
use std::hint::spin_loop;

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let device = Device::open("/dev/ringbar0")?;
    let mut queue = device.create_queue(16)?;
    for tag in 0..10 {
        queue.push(descriptors::nop(tag))?;
    }
    queue.submit();
    while queue.in_flight() > 0 {
        let completion = next(&mut queue)?;
        println!("# completed: {}", completion.tag);
    }
    Ok(())
}

/// Polls for a completion. A dead server is noticed by its heartbeat: the device changes that word
/// while it is awake.
fn next(queue: &mut Queue) -> Result<Completion, ringbar_client::Error> {
    loop {
        let heartbeat = queue.word(Word::Heartbeat);
        for _ in 0..100_000 {
            if let Some(completion) = queue.pop()? {
                return Ok(completion);
            }
            spin_loop();
        }
        if queue.word(Word::Heartbeat) == heartbeat {
            queue.check()?;
        }
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Waits for completions with an eventfd, which can be one of many in an event loop.

use ringbar_client::{descriptors, Device};
use rustix::event::{eventfd, EventfdFlags};
use std::error::Error;
use std::os::fd::AsFd;

/// Number of descriptors to carry out.
const COUNT: u32 = 10;

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let device = Device::open("/dev/ringbar0")?;
    let mut queue = device.create_queue(16)?;
    let event = eventfd(0, EventfdFlags::CLOEXEC)?;
    queue.set_event_fd(Some(event.as_fd()))?;

    for tag in 0..COUNT {
        queue.push(descriptors::nop(tag))?;
    }
    queue.submit();

    let mut taken = 0;
    while taken < COUNT {
        // Sleep only if an interrupt is still to come. Otherwise the read would block for ever.
        if queue.arm(1)? {
            let mut signals = [0; 8];
            rustix::io::read(&event, &mut signals)?;
        }
        while let Some(completion) = queue.pop()? {
            println!("# completed: {}", completion.tag);
            taken += 1;
        }
    }
    Ok(())
}

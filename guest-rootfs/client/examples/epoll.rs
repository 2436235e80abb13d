// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Waits for completions with epoll, beside the other files of a program.

use ringbar_client::{descriptors, Device};
use rustix::event::epoll;
use std::error::Error;

/// Number of descriptors to carry out.
const COUNT: u32 = 10;

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let device = Device::open("/dev/ringbar0")?;
    let mut queue = device.create_queue(16)?;
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let name = epoll::EventData::new_u64(0);
    epoll::add(&epoll, &device, name, epoll::EventFlags::IN)?;

    for tag in 0..COUNT {
        queue.push(descriptors::nop(tag))?;
    }
    queue.submit();

    let mut taken = 0;
    while taken < COUNT {
        let mut events = Vec::with_capacity(1);
        epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), None)?;
        // The file stays readable until the last completion is taken. Otherwise `wait` returns at
        // once, over and over.
        while let Some(completion) = queue.pop()? {
            println!("# completed: {}", completion.tag);
            taken += 1;
        }
    }
    Ok(())
}

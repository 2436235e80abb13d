// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Copies from one buffer to another on the device: open, map, submit, wait.

use ringbar_client::{descriptors, Device, Rights};
use ringbar_spec::ring::Status;
use std::error::Error;
use std::time::Duration;

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let device = Device::open("/dev/ringbar0")?;
    // The rings and both buffers are mapped into this process.
    let mut queue = device.create_queue(16)?;
    let source = device.create_buffer(1000, Rights::Read)?;
    let destination = device.create_buffer(1000, Rights::Write)?;
    source.mapping().write_bytes(0, b"from here to there");

    queue.push(descriptors::copy(
        0,
        (source.window(), 0),
        (destination.window(), 100),
        18,
    ))?;
    queue.submit();
    queue.wait(1, Duration::from_secs(10))?;
    let completion = queue.pop()?.ok_or("a wait that ended well leaves one")?;

    assert_eq!(Status(completion.status), Status::OK);
    let bytes = destination.mapping().read_bytes(100, 18);
    println!("# copied: {}", String::from_utf8(bytes)?);
    Ok(())
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! 32-bit processes: the driver refuses each of their calls by name. Such a process could do
//! everything but map, as its mmap offsets are too short for the driver's.

mod call;

use call::{Call, Low};
use ringbar_tests::{case, open, run, Skip, NODE};
use ringbar_uapi::ioctl::{Info, INFO};
use rustix::io::Errno;
use std::process::ExitCode;

fn main() -> ExitCode {
    run()
}

/// Returns a refusal as a 32-bit system call returns it.
fn refused() -> Result<i32, Errno> {
    Err(Errno::OPNOTSUPP)
}

#[case]
fn open_is_refused() -> Result<(), Skip> {
    let call = Call::new()?;
    let path = Low::new(format!("{NODE}\0").as_bytes());

    assert_eq!(call.open(&path), refused());
    Ok(())
}

#[case]
fn ioctl_on_a_file_that_was_opened_in_64_bit_is_refused() -> Result<(), Skip> {
    let call = Call::new()?;
    let device = open();
    let info = Low::new(&[0x5a; size_of::<Info>()]);

    assert_eq!(call.ioctl(device.file(), INFO, &info), refused());

    assert_eq!(info.bytes(), [0x5a; size_of::<Info>()]);
    Ok(())
}

#[case]
fn mmap_on_a_file_that_was_opened_in_64_bit_is_refused() -> Result<(), Skip> {
    let call = Call::new()?;
    let device = open();

    assert_eq!(call.mmap(device.file(), 0), refused());
    Ok(())
}

#[case]
fn calls_of_the_same_process_in_64_bit_go_on() -> Result<(), Skip> {
    let call = Call::new()?;
    let device = open();
    let info = Low::new(&[0; size_of::<Info>()]);

    assert_eq!(call.ioctl(device.file(), INFO, &info), refused());

    assert!(device.info().is_ok());
    Ok(())
}

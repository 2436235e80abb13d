// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Windows on parts of buffers: their bytes and rights, refusals, closing, and reuse of memory.

mod gone;
mod pieces;
mod refused;
mod reused;
mod shown;

use ringbar_client::{descriptors, Error, Part, Queue};
use ringbar_spec::ring::{Descriptor, Status};
use ringbar_tests::{carry_out, run};
use rustix::io::Errno;
use std::process::ExitCode;

const UNTOUCHED: u8 = 0xa5;
const DEVICE_PARTS: [Part; 3] = [Part::WriteCombining, Part::Uncached, Part::Lazy];

fn main() -> ExitCode {
    run()
}

fn fill(window: u16, offset: u64, length: u32) -> Descriptor {
    descriptors::fill(0, u64::MAX, (window, offset), length)
}

fn copy(source: (u16, u64), destination: (u16, u64), length: u32) -> Descriptor {
    descriptors::copy(0, source, destination, length)
}

#[track_caller]
fn ends_with(queue: &mut Queue, descriptor: Descriptor, status: Status) {
    let completion = carry_out(queue, descriptor);
    assert_eq!(Status(completion.status), status, "{descriptor:?}");
}

#[track_caller]
fn refused<T>(result: Result<T, Error>, errno: Errno) {
    let error = result.err().expect("the call is refused");
    assert_eq!(error.errno(), Some(errno), "{error}");
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Serial ports to the runner.

use ringbar_ports::Port;
use rustix::fs::OFlags;
use rustix::termios::{tcgetattr, tcsetattr, OptionalActions};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;

/// Opens a port without echo and without a special meaning of any byte. Returns `None` if the machine
/// lacks it: there may be a node without a port behind it.
pub(crate) fn open(port: Port) -> Option<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    options.custom_flags(OFlags::NOCTTY.bits().cast_signed());
    let port = options.open(port.node()?).ok()?;
    let mut modes = tcgetattr(&port).ok()?;
    modes.make_raw();
    tcsetattr(&port, OptionalActions::Now, &modes).ok()?;
    Some(port)
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Serves one client: `ringbar-example-sum SOCKET`.

use std::error::Error;
use std::os::unix::net::UnixListener;
use std::{env, fs};

use ringbar_endpoint::Connection;
use ringbar_example_sum::Sum;

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args_os().nth(1).ok_or("which socket?")?;
    let listener = UnixListener::bind(&path)?;
    let (socket, _address) = listener.accept()?;
    fs::remove_file(&path)?;
    Connection::new(socket).serve(&mut Sum::endpoint()?)?;
    Ok(())
}

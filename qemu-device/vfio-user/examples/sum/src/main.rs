// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Serves the device to QEMU over a UNIX socket.

use std::error::Error;
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use ringbar_endpoint::socket::Socket;
use ringbar_endpoint::Connection;
use ringbar_example_sum::{Sum, REGISTERS};

/// Longest time for which a client may take nothing. The next client waits for its end.
const SEND_TIME: Duration = Duration::from_secs(30);

/// Serves the PCI device `sum` to one client after the other.
#[derive(Debug, Parser)]
struct Options {
    /// Socket that QEMU connects to
    #[arg(long, value_name = "PATH", required_unless_present = "registers")]
    socket: Option<PathBuf>,
    /// Serve one client, and end with status 1 if it had to be dropped
    #[arg(long)]
    once: bool,
    /// Print BAR, offset and name of each register, for a trace of the guest's accesses, and end
    #[arg(long, conflicts_with_all = ["socket", "once"])]
    registers: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let done = match &options.socket {
        Some(socket) => run(socket, options.once),
        None => print_registers(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints the registers, one per line.
fn print_registers() -> Result<(), Box<dyn Error>> {
    let mut out = io::stdout().lock();
    for (offset, name) in REGISTERS {
        writeln!(out, "0 {offset:#04x} {name}")?;
    }
    Ok(())
}

/// Serves clients. Fails if the socket cannot be used, and with `once` if the client was dropped.
fn run(path: &Path, once: bool) -> Result<(), Box<dyn Error>> {
    let socket = Socket::bind(path)?;
    socket.listen()?;
    // A program that starts this server waits for this line.
    eprintln!("listening on {}", path.display());
    loop {
        let served = serve(socket.accept()?);
        if once {
            return served;
        }
        match served {
            Ok(()) => eprintln!("client gone"),
            // The next client may be a better one.
            Err(error) => eprintln!("client dropped: {error}"),
        }
    }
}

/// Serves a device as after power-on until the client is gone.
fn serve(client: UnixStream) -> Result<(), Box<dyn Error>> {
    client.set_write_timeout(Some(SEND_TIME))?;
    Connection::new(client).serve(&mut Sum::endpoint()?)?;
    Ok(())
}

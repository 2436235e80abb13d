// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Hands the region files of the first server to the next one.

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use log::Level;
use ringbar_endpoint::client_log::note;
use ringbar_endpoint::region_files::{self, Handed};
use ringbar_endpoint::socket::Socket;

use crate::exchange::Exchange;
use crate::peer::SharedFd;
use crate::socket;

/// Answers all servers that have connected for region files. A client without an exchange has none
/// yet.
pub fn hand_out(listener: &Socket, exchange: Option<&Exchange<SharedFd>>) {
    loop {
        match socket::accept(listener) {
            Ok(Some(server)) => answer(&server, exchange),
            Ok(None) => return,
            // A server that got nothing says so itself.
            Err(error) => {
                return note(
                    module_path!(),
                    Level::Warn,
                    format_args!("cannot hand out region files: {error}"),
                )
            }
        }
    }
}

/// Answers one server.
fn answer(server: &UnixStream, exchange: Option<&Exchange<SharedFd>>) {
    // It makes all bytes 0, which must not happen to memory that another server works on.
    if exchange.is_some_and(|exchange| !exchange.is_dead()) {
        return note(
            module_path!(),
            Level::Warn,
            format_args!("no region files for a new server while another one is connected"),
        );
    }
    let files = exchange.map(|exchange| exchange.record().region_files());
    let files = files.unwrap_or_default();
    let handed: Vec<Handed<_>> = files
        .iter()
        .map(|known| Handed {
            region: known.region,
            file: known.file.as_fd(),
        })
        .collect();
    match region_files::send(server, &handed) {
        Ok(()) => note(
            module_path!(),
            Level::Info,
            format_args!("{} region files handed to a new server", handed.len()),
        ),
        Err(error) => note(
            module_path!(),
            Level::Warn,
            format_args!("cannot hand out region files: {error}"),
        ),
    }
}

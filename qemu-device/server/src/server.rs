// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The server from its socket to the end of its client.

use std::path::Path;
use std::{fs, process, thread};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::backend;
use crate::error::Error;
use crate::options::Options;
use crate::socket::Socket;
use crate::state::State;

/// A device that listens for its client.
pub struct Server {
    socket: Socket,
    state: State,
    options: Options,
}

impl Server {
    /// Makes the device and its socket. Clients can connect from now on.
    pub fn bind(options: &Options) -> Result<Self, Error> {
        Ok(Self {
            state: State::new(options)?,
            socket: Socket::bind(&options.socket)?,
            options: options.clone(),
        })
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        self.socket.path()
    }

    /// Serves client after client, each with a device as after power-on; with
    /// [`once`](Options::once) only the first, and how that one ends is the result. The socket is
    /// removed in the end.
    ///
    /// A client that comes while there is another one waits until that is gone.
    pub fn run(self) -> Result<(), Error> {
        let Self {
            socket,
            mut state,
            options,
        } = self;
        loop {
            let result = backend::serve(socket.accept()?, state, options.poll_time());
            match result {
                result if options.once => return result,
                Ok(()) => log::info!("client gone"),
                Err(error) => log::warn!("{error}"),
            }
            state = State::new(&options)?;
        }
    }

    /// Makes SIGTERM and SIGINT remove the socket and end the process with status 0.
    pub fn exit_on_signals(&self) -> Result<(), Error> {
        let start = |source| Error::Start {
            name: "signal handling",
            source,
        };
        let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(start)?;
        let path = self.path().to_owned();
        thread::Builder::new()
            .name("signals".into())
            .spawn(move || {
                if signals.forever().next().is_some() {
                    log::info!("asked to end");
                    // It may be gone already, if the client is.
                    let _gone = fs::remove_file(&path);
                    process::exit(0);
                }
            })
            .map(|_| ())
            .map_err(start)
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The server from its socket to the end of its client.

use std::path::Path;
use std::time::Duration;
use std::{fs, process, thread};

use log::Level;
use ringbar_endpoint::client_log::note;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::backend;
use crate::error::Error;
use crate::events::Events;
use crate::options::Options;
use crate::sandbox::{self, Report};
use crate::socket::Socket;
use crate::state::State;

/// How long what the system lacks is waited for until the next try.
const PAUSE: Duration = Duration::from_millis(100);

/// A device that listens for its client.
pub struct Server {
    socket: Socket,
    state: State,
    // Opened once: the sandbox lets nobody open files.
    events: Events,
    options: Options,
}

impl Server {
    /// Makes the device and its socket. Clients can connect from now on.
    pub fn bind(options: &Options) -> Result<Self, Error> {
        let events = match &options.events {
            Some(path) => Events::append(path).map_err(|source| Error::Events {
                path: path.clone(),
                source,
            })?,
            None => Events::default(),
        };
        Ok(Self {
            state: State::new(options, events.clone())?,
            events,
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
    /// A client that comes while there is another one waits until that is gone, and until the system
    /// has the files and memory for it.
    pub fn run(self) -> Result<(), Error> {
        let Self {
            socket,
            mut state,
            events,
            options,
        } = self;
        loop {
            let client = match options.once {
                true => socket.accept()?,
                false => patiently(|| socket.accept(), Error::is_shortage)?,
            };
            let result = backend::serve(client, state, options.poll_time());
            match result {
                result if options.once => return result,
                Ok(()) => note(module_path!(), Level::Info, format_args!("client gone")),
                Err(error) => note(module_path!(), Level::Warn, format_args!("{error}")),
            }
            // It has been made with these options before.
            state = patiently(|| State::new(&options, events.clone()), |_| true)?;
        }
    }

    /// Makes the process this server's own: locks it into its sandbox, and lets SIGTERM and SIGINT
    /// end it with status 0. The socket is removed then, if the sandbox leaves a way to do that.
    ///
    /// To be called while there is one thread.
    pub fn own_process(&mut self) -> Result<Report, Error> {
        let start = |source| Error::Start {
            name: "signal handling",
            source,
        };
        // Makes sockets, which the sandbox denies.
        let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(start)?;
        let report = sandbox::enter(&self.options)?;
        let removable = report.leaves_files().then(|| self.path().to_owned());
        if removable.is_none() {
            self.socket.leave_file();
        }
        thread::Builder::new()
            .name("signals".into())
            .spawn(move || {
                if signals.forever().next().is_some() {
                    log::info!("asked to end");
                    if let Some(path) = removable {
                        // It may be gone already, if the client is.
                        let _gone = fs::remove_file(&path);
                    }
                    process::exit(0);
                }
            })
            .map_err(start)?;
        Ok(report)
    }
}

/// Tries again and again as long as it fails in a way that may pass.
fn patiently<T>(
    attempt: impl Fn() -> Result<T, Error>,
    may_pass: impl Fn(&Error) -> bool,
) -> Result<T, Error> {
    loop {
        match attempt() {
            Err(error) if may_pass(&error) => {
                note(module_path!(), Level::Warn, format_args!("{error}"));
                // Not a sleep, which is a system call more that the sandbox would have to allow.
                thread::park_timeout(PAUSE);
            }
            result => return result,
        }
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The server from its socket to the end of its client.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;
use std::{fs, process, thread};

use log::Level;
use ringbar_endpoint::client_log::note;
use ringbar_endpoint::region_files::RegionFiles;
use ringbar_endpoint::socket::Socket;
use ringbar_endpoint::{Connection, Endpoint, Work, Worker};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::error::Error;
use crate::events::Events;
use crate::host::ServedMemory;
use crate::options::Options;
use crate::ringbar::{self, Ringbar};
use crate::sandbox::{self, Report};

/// Time between two tries to get files or memory that the system lacks.
const PAUSE: Duration = Duration::from_millis(100);

/// Longest time for which a send to the client may block. A client that reads nothing is dropped
/// then, as the next one waits for its end.
const SEND_TIME: Duration = Duration::from_secs(30);

/// The devices of a server, and the way in which a client gets one.
pub trait Devices {
    /// A device.
    type Function: Work + Send + 'static;

    /// Makes a device as after power-on, that notes its work in `events` and has its own memory in
    /// these files.
    ///
    /// # Errors
    ///
    /// Fails if there is no device of this shape, if the system refuses memory, or if a file does
    /// not fit.
    fn make(
        &self,
        options: &Options,
        events: Events,
        files: &RegionFiles,
    ) -> Result<Endpoint<Self::Function>, Error>;

    /// Serves a device to a client until the client is gone.
    ///
    /// # Errors
    ///
    /// Fails if the system refuses a thread, or if the client was dropped.
    fn serve(&self, client: UnixStream, device: Endpoint<Self::Function>) -> Result<(), Error> {
        Ok(Connection::new(client).serve(&mut Worker::start(device)?)?)
    }
}

/// Devices that do as the data sheet says.
#[derive(Clone, Copy, Debug)]
pub struct Honest;

impl Devices for Honest {
    type Function = Ringbar<ServedMemory>;

    fn make(
        &self,
        options: &Options,
        events: Events,
        files: &RegionFiles,
    ) -> Result<Endpoint<Self::Function>, Error> {
        ringbar::endpoint_in_files(options, events, files)
    }
}

/// A device that listens for its client.
pub struct Server<D: Devices = Honest> {
    socket: Socket,
    devices: D,
    device: Endpoint<D::Function>,
    // Both opened once: the sandbox lets no process open files.
    events: Events,
    files: RegionFiles,
    options: Options,
}

impl Server {
    /// Makes the device and its socket. Clients can connect from now on.
    ///
    /// # Errors
    ///
    /// As [`Server::bind_with`].
    pub fn bind(options: &Options) -> Result<Self, Error> {
        Self::bind_with(Honest, options)
    }
}

impl<D: Devices> Server<D> {
    /// Makes one of these devices and its socket. Clients can connect from now on.
    ///
    /// # Errors
    ///
    /// Fails if the file for events, the socket or the memory of the device cannot be made, or if no
    /// broker hands out the files that the options ask for.
    pub fn bind_with(devices: D, options: &Options) -> Result<Self, Error> {
        let events = match &options.events {
            Some(path) => Events::append(path).map_err(|source| Error::Events {
                path: path.clone(),
                source,
            })?,
            None => Events::default(),
        };
        // First: a second server on this socket must not clear the memory of the first one.
        let socket = Socket::bind(&options.socket)?;
        let files = match &options.region_files {
            Some(path) => RegionFiles::from_broker(path)?,
            None => RegionFiles::default(),
        };
        let device = devices.make(options, events.clone(), &files)?;
        // Last: a broker hands out no files while it is connected to a server, even to this one.
        socket.listen()?;
        Ok(Self {
            device,
            devices,
            events,
            files,
            socket,
            options: options.clone(),
        })
    }

    /// Returns the path of the socket.
    pub fn path(&self) -> &Path {
        self.socket.path()
    }

    /// Serves client after client, each with a device as after power-on. With
    /// [`once`](Options::once) it serves only the first, and returns how that one ended. The socket
    /// is removed in the end.
    ///
    /// A client that comes while there is another one waits until that is gone, and until the
    /// system has the files and memory for it.
    ///
    /// # Errors
    ///
    /// Fails if no client can connect any more. With `once`, also if the client was dropped.
    pub fn run(self) -> Result<(), Error> {
        let Self {
            socket,
            devices,
            mut device,
            events,
            files,
            mut options,
        } = self;
        loop {
            // With `once` a caller waits for this process and reads its status: it learns of a
            // shortage at once. A server of many clients waits until the shortage is over.
            let client = match options.once {
                true => accept(&socket)?,
                false => patiently(|| accept(&socket), Error::is_shortage)?,
            };
            // Returns when the worker has ended, so no two devices run at a time.
            let result = devices.serve(client, device);
            match result {
                result if options.once => return result,
                Ok(()) => note(module_path!(), Level::Info, format_args!("client gone")),
                Err(error) => note(module_path!(), Level::Warn, format_args!("{error}")),
            }
            options = options.next_boot();
            // Options that were good for the first device are good for this one. So any error is a
            // shortage that may pass.
            device = patiently(|| devices.make(&options, events.clone(), &files), |_| true)?;
        }
    }

    /// Makes the process this server's own: locks it into its sandbox, and lets SIGTERM and SIGINT
    /// end it with status 0. The socket is removed then, if the sandbox leaves a way to do that.
    ///
    /// To be called while there is one thread.
    ///
    /// # Errors
    ///
    /// Fails if signals cannot be handled, or a part of the sandbox cannot be set up.
    pub fn own_process(&mut self) -> Result<Report, Error> {
        let start = |source| Error::Start {
            name: "signal handling",
            source,
        };
        // Before the sandbox, as this makes sockets.
        let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(start)?;
        let report = sandbox::enter(&self.options)?;
        let removable = report.leaves_files().then(|| self.path().to_owned());
        if removable.is_none() {
            // The sandbox does not let this process remove it.
            self.socket.leave_file();
        }
        // Only now: landlock covers the thread that enters the sandbox and its later children, not
        // its siblings.
        thread::Builder::new()
            .name("signals".into())
            .spawn(move || {
                if signals.forever().next().is_some() {
                    log::info!("asked to end");
                    if let Some(path) = removable {
                        // The client's end may have removed it already, which is as good.
                        let _gone = fs::remove_file(&path);
                    }
                    process::exit(0);
                }
            })
            .map_err(start)?;
        Ok(report)
    }
}

/// Waits for the next client.
fn accept(socket: &Socket) -> Result<UnixStream, Error> {
    let client = socket.accept().map_err(Error::Accept)?;
    client
        // Otherwise a client that reads nothing would hold the server for ever.
        .set_write_timeout(Some(SEND_TIME))
        .map_err(Error::Accept)?;
    Ok(client)
}

/// Tries again as long as the attempt fails in a way that may pass.
fn patiently<T>(
    attempt: impl Fn() -> Result<T, Error>,
    may_pass: impl Fn(&Error) -> bool,
) -> Result<T, Error> {
    loop {
        match attempt() {
            Err(error) if may_pass(&error) => {
                note(module_path!(), Level::Warn, format_args!("{error}"));
                // Not a sleep: that is one more system call that the sandbox would have to allow.
                thread::park_timeout(PAUSE);
            }
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_has_a_limited_time_to_take_what_it_is_sent() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let socket = Socket::bind(&path).unwrap();
        socket.listen().unwrap();
        let _client = UnixStream::connect(&path).unwrap();

        let accepted = accept(&socket).unwrap();

        assert_eq!(accepted.write_timeout().unwrap(), Some(SEND_TIME));
    }
}

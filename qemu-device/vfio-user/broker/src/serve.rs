// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! One client over its socket, and server after server for it.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use log::Level;
use ringbar_endpoint::client_log::note;
use ringbar_endpoint::socket::Socket;
use ringbar_vfio_user::Errno;
use rustix::event::{poll, PollFd, PollFlags, Timespec};

use crate::exchange::Exchange;
use crate::fault::{ClientFault, ServerFault};
use crate::hand_out::hand_out;
use crate::peer::{Arrived, End, Left, Peer, SharedFd};
use crate::socket;

/// Longest pause between two looks for a server.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Times of a broker.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Time for which a server may owe an answer.
    pub limit: Duration,
    /// Pause between two looks for a server. It doubles, up to a second, as long as servers come
    /// and cannot take over.
    pub pause: Duration,
}

/// Reason for which the broker ends.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No client can connect any more.
    #[error("cannot accept a client: {0}")]
    Accept(#[from] io::Error),
    /// The system does not wait for clients.
    #[error("cannot wait for a client: {0}")]
    Wait(#[from] Errno),
    /// The only client was dropped.
    #[error("client dropped: {0}")]
    Dropped(#[from] ClientFault),
}

/// Sockets and times of a broker, beside its clients.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// Path on which servers listen.
    pub server: &'a Path,
    /// Socket on which servers get region files, if there is one.
    pub files: Option<&'a Socket>,
    /// Times.
    pub times: Times,
}

/// A client with its exchange, and the server of the moment.
struct Session<'a> {
    client: Peer,
    server: Option<Peer>,
    /// A server that was left and has not closed its connection: it may still write memory of the
    /// client.
    left: Option<Left>,
    /// Whether the client sends nothing any more. It may still wait for answers.
    leaving: bool,
    exchange: Exchange<SharedFd>,
    around: Surroundings<'a>,
    /// Time of the next look for a server, and the pause before it.
    look: Instant,
    pause: Duration,
}

/// Events of the sockets of one wait.
#[derive(Clone, Copy)]
struct Ready {
    client: PollFlags,
    server: PollFlags,
    files: bool,
}

/// Serves client after client. With `once` it serves only the first.
///
/// # Errors
///
/// Fails if no client can connect any more. With `once`, also if the client was dropped.
pub fn run(listener: &Socket, around: Surroundings<'_>, once: bool) -> Result<(), Error> {
    loop {
        let Some(client) = socket::accept(listener)? else {
            wait_for_client(listener, around.files)?;
            continue;
        };
        let served = serve(client, around);
        if once {
            return Ok(served?);
        }
        match served {
            Ok(()) => note(module_path!(), Level::Info, format_args!("client gone")),
            Err(fault) => note(
                module_path!(),
                Level::Warn,
                format_args!("client dropped: {fault}"),
            ),
        }
    }
}

/// Waits until a client has connected. Meanwhile no server gets a region file.
fn wait_for_client(client: &Socket, files: Option<&Socket>) -> Result<(), Errno> {
    let listeners = [Some(client), files].into_iter().flatten();
    let mut watched: Vec<PollFd<'_>> = listeners
        .map(|listener| PollFd::new(listener, PollFlags::IN))
        .collect();
    match poll(&mut watched, None) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => return Err(error),
    }
    if let Some(files) = files {
        hand_out(files, None);
    }
    Ok(())
}

/// Serves a client until it is gone. Looks for a server whenever there is none.
///
/// # Errors
///
/// Fails if the client was dropped.
pub fn serve(client: UnixStream, around: Surroundings<'_>) -> Result<(), ClientFault> {
    let mut session = Session {
        client: Peer::new(client).map_err(ClientFault::Socket)?,
        server: None,
        left: None,
        leaving: false,
        exchange: Exchange::new(around.times.limit),
        around,
        look: Instant::now(),
        pause: around.times.pause,
    };
    while session.turn()? {}
    Ok(())
}

impl Session<'_> {
    /// Waits for the next event and works on it. Returns false if the client is gone.
    fn turn(&mut self) -> Result<bool, ClientFault> {
        self.look_for_server();
        let ready = self.wait()?;
        let now = Instant::now();
        if !ready.server.difference(PollFlags::OUT).is_empty() {
            self.receive_from_server(now)?;
        }
        // After the server, whose end may have come first.
        if let Some(files) = self.around.files.filter(|_| ready.files) {
            hand_out(files, Some(&self.exchange));
        }
        let is_there = ready.client.is_empty() || self.receive_from_client(ready.client, now)?;
        // At once, not after another wait: this is the way of each access that the guest waits for.
        self.send_to_server(now)?;
        let is_there = is_there && self.send_to_client(now)?;
        // Last: an answer that has come in time was taken before.
        if let Err(fault) = self.exchange.tick(now) {
            self.drop_server(fault)?;
        }
        Ok(is_there && (!self.leaving || self.exchange.owes_client()))
    }

    /// Connects to the server, if there is none and it is time to look for one.
    fn look_for_server(&mut self) {
        let now = Instant::now();
        if self.server.is_some() || now < self.look {
            return;
        }
        // Otherwise the client would use memory again that the server before still writes.
        if self.left.as_mut().is_some_and(Left::is_there) {
            self.look = now.checked_add(self.pause).unwrap_or(now);
            return;
        }
        self.left = None;
        match socket::connect_to(self.around.server).and_then(Peer::new) {
            Ok(peer) => {
                self.server = Some(peer);
                self.exchange.server_came(now);
                note(
                    module_path!(),
                    Level::Info,
                    format_args!("connected to {}", self.around.server.display()),
                );
            }
            Err(error) => log::debug!("no server at {}: {error}", self.around.server.display()),
        }
        self.look = now.checked_add(self.pause).unwrap_or(now);
    }

    /// Waits until a socket is ready or a time has come.
    fn wait(&self) -> Result<Ready, ClientFault> {
        let wanted = |reads: bool, writes: bool| {
            let mut events = PollFlags::empty();
            events.set(PollFlags::IN, reads);
            events.set(PollFlags::OUT, writes);
            events
        };
        let exchange = &self.exchange;
        let client = wanted(self.reads_client(), exchange.for_client().is_some());
        let server = wanted(exchange.reads_server(), exchange.for_server().is_some());
        // The client is watched even if nothing is wanted of it: its end is reported in any case.
        let mut watched = vec![PollFd::new(self.client.socket(), client)];
        // A server of which nothing is wanted is not: its end would be reported without end.
        let server = self
            .server
            .as_ref()
            .filter(|_| !server.is_empty())
            .map(|peer| PollFd::new(peer.socket(), server));
        let files = self
            .around
            .files
            .map(|files| PollFd::new(files, PollFlags::IN));
        let has_server = server.is_some();
        let has_files = files.is_some();
        watched.extend(server.into_iter().chain(files));
        let look = self.server.is_none().then_some(self.look);
        let next = exchange.deadline().into_iter().chain(look).min();
        let timeout = next.map(|next| timespec(next.saturating_duration_since(Instant::now())));
        match poll(&mut watched, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(ClientFault::Socket(error)),
        }
        let mut events = watched.iter().map(PollFd::revents);
        let mut next = |is_there: bool| match is_there {
            true => events.next().unwrap_or_else(PollFlags::empty),
            false => PollFlags::empty(),
        };
        Ok(Ready {
            client: next(true),
            server: next(has_server),
            files: !next(has_files).is_empty(),
        })
    }

    /// Receives what the client has sent, as far as it may be read. Returns false if the client is
    /// gone.
    fn receive_from_client(&mut self, ready: PollFlags, now: Instant) -> Result<bool, ClientFault> {
        // These mean the end of both halves of the connection: no answer could arrive.
        let is_there = !ready.intersects(PollFlags::HUP | PollFlags::ERR);
        if !self.reads_client() {
            return Ok(is_there);
        }
        match self.client.receive() {
            Ok(None) => Ok(true),
            Ok(Some(arrived)) => {
                self.take(arrived, now)?;
                Ok(true)
            }
            Err(End::Closed | End::Truncated) => {
                self.leaving = true;
                Ok(is_there)
            }
            Err(End::Violation(violation)) => Err(violation.into()),
            Err(End::Descriptors) => Err(ClientFault::Descriptors),
            Err(End::Socket(error)) => Err(ClientFault::Socket(error)),
        }
    }

    /// Returns whether to read from the client.
    fn reads_client(&self) -> bool {
        !self.leaving && self.exchange.reads_client()
    }

    /// Takes a message of the client.
    fn take(&mut self, arrived: Arrived, now: Instant) -> Result<(), ClientFault> {
        let message = &arrived.message;
        let command = message.header.command;
        let errno = if arrived.has_surplus_fds() {
            Errno::INVAL
        } else if arrived.too_long {
            Errno::MSGSIZE
        } else {
            return match self.exchange.take_from_client(arrived.message, now) {
                Ok(()) => Ok(()),
                Err(fault) => self.drop_server(fault),
            };
        };
        note(
            module_path!(),
            Level::Warn,
            format_args!(
                "client: command {command} of {} bytes with {} descriptors is beyond the limits",
                message.header.size, arrived.fd_count
            ),
        );
        self.exchange.refuse(message, errno);
        if !self.exchange.record().is_agreed() {
            self.send_to_client(now)?;
            return Err(ClientFault::TooLong(message.header.size));
        }
        Ok(())
    }

    /// Sends what waits for the client, as far as it takes it. Returns false if the client is gone.
    fn send_to_client(&mut self, now: Instant) -> Result<bool, ClientFault> {
        while let Some(message) = self.exchange.for_client() {
            match self.client.send(message) {
                Ok(true) => self.exchange.client_took(now),
                Ok(false) => {
                    self.exchange.client_blocks();
                    break;
                }
                Err(Errno::PIPE | Errno::CONNRESET) => return Ok(false),
                Err(error) => return Err(ClientFault::Socket(error)),
            }
        }
        Ok(true)
    }

    /// Receives what the server has sent.
    fn receive_from_server(&mut self, now: Instant) -> Result<(), ClientFault> {
        while self.exchange.reads_server()
            && let Some(server) = &mut self.server
        {
            let received = server.receive().map_err(ServerFault::from);
            let was_live = self.exchange.is_live();
            let taken = received.and_then(|arrived| {
                let Some(arrived) = arrived else {
                    return Ok(false);
                };
                self.exchange.take_from_server(checked(arrived)?, now)?;
                Ok(true)
            });
            match taken {
                Ok(true) => self.note_live(was_live),
                Ok(false) => break,
                Err(fault) => return self.drop_server(fault),
            }
        }
        Ok(())
    }

    /// Sends what waits for the server, as far as it takes it.
    fn send_to_server(&mut self, now: Instant) -> Result<(), ClientFault> {
        while let (Some(server), Some(message)) = (&mut self.server, self.exchange.for_server()) {
            match server.send(message) {
                Ok(true) => self.exchange.server_took(now),
                Ok(false) => break,
                Err(_) => {
                    // It may have answered before it left.
                    self.receive_from_server(now)?;
                    return self.drop_server(ServerFault::Closed);
                }
            }
        }
        Ok(())
    }

    /// Notes that a server has taken over.
    fn note_live(&mut self, was_live: bool) {
        if !was_live && self.exchange.is_live() {
            self.pause = self.around.times.pause;
            note(
                module_path!(),
                Level::Info,
                format_args!("the new server has taken over"),
            );
        }
    }

    /// Leaves the server, and answers all that it owes.
    fn drop_server(&mut self, fault: ServerFault) -> Result<(), ClientFault> {
        let Some(server) = self.server.take() else {
            return Ok(());
        };
        if !fault.is_end() {
            self.left = Some(server.leave());
        }
        if !self.exchange.is_live() {
            // A server that cannot take over would be asked without end.
            self.pause = self.pause.saturating_mul(2).min(LONGEST_PAUSE);
        }
        note(
            module_path!(),
            Level::Warn,
            format_args!("server dropped: {fault}; a new one gets memory once this one has closed its connection"),
        );
        let now = Instant::now();
        self.look = now.checked_add(self.pause).unwrap_or(now);
        let result = self.exchange.server_gone(fault);
        // Also without a version: the client should see the server's last answer before the end.
        self.send_to_client(now)?;
        result
    }
}

/// Fails if a message of a server is beyond the limits.
fn checked(arrived: Arrived) -> Result<crate::Message<SharedFd>, ServerFault> {
    let header = arrived.message.header;
    if arrived.too_long {
        return Err(ServerFault::TooLong(header.size));
    }
    if arrived.has_surplus_fds() {
        return Err(ServerFault::Fds {
            command: header.command,
            count: arrived.fd_count,
            limit: ringbar_vfio_user::wire::KERNEL_MAX_FDS,
        });
    }
    Ok(arrived.message)
}

impl From<End> for ServerFault {
    fn from(end: End) -> Self {
        match end {
            End::Closed => Self::Closed,
            End::Truncated => Self::Truncated,
            End::Violation(violation) => Self::Violation(violation),
            End::Descriptors => Self::Descriptors,
            End::Socket(error) => Self::Socket(error),
        }
    }
}

/// Returns a time for the system.
fn timespec(time: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: time.subsec_nanos().into(),
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! One client over a socket.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use log::Level;
use ringbar_vfio_user::wire::{command, Header, HEADER_SIZE, SHORTEST_WITH_FDS};
use ringbar_vfio_user::{Action, Device, Errno, Session, Violation};

use crate::client_log;
use crate::client_memory::{ClientMemory, Mailbox};
use crate::stream::Stream;

/// Most bytes that are received at once.
const BUFFER: usize = 64 << 10;
/// Bytes that are received at first of a message: those of the shortest that takes descriptors, so
/// that any message which ends before them takes none. A read of a register, and a write of four
/// bytes, then need no second call.
const FIRST: usize = SHORTEST_WITH_FDS;

/// A client over a socket. [`serve`](Self::serve) returns when the client has ended.
#[derive(Debug)]
pub struct Connection {
    stream: Arc<Stream>,
    mailbox: Arc<Mailbox>,
}

/// Reason for which a client was dropped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Lost {
    /// The client broke the protocol.
    #[error(transparent)]
    Violation(#[from] Violation),
    /// File descriptors were lost on the way. Those that came cannot be attributed to their
    /// messages.
    #[error("file descriptors were lost; is the limit of open files too low?")]
    Descriptors,
    /// The client took nothing of a message within the socket's time limit.
    #[error("the client did not take a message within the time limit of the socket")]
    NotTaken,
    /// The socket failed.
    #[error("socket: {0}")]
    Socket(io::Error),
}

impl From<Errno> for Lost {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::AGAIN => Self::NotTaken,
            _ => Self::Socket(errno.into()),
        }
    }
}

impl Connection {
    /// Takes over a socket that a client has connected to. If the socket has a time limit for
    /// writing, that is the longest time for which the client may take nothing.
    pub fn new(socket: UnixStream) -> Self {
        Self {
            stream: Arc::new(Stream::new(socket)),
            mailbox: Arc::default(),
        }
    }

    /// Starts a thread that can read and write memory of the client by message.
    ///
    /// As soon as the client is gone each of its accesses fails. The thread must end then.
    ///
    /// # Errors
    ///
    /// Fails if the system refuses a thread.
    pub fn spawn<T: Send + 'static>(
        &self,
        name: &str,
        work: impl FnOnce(ClientMemory) -> T + Send + 'static,
    ) -> io::Result<JoinHandle<T>> {
        let stream = Arc::clone(&self.stream);
        let mailbox = Arc::clone(&self.mailbox);
        Builder::new()
            .name(name.to_owned())
            .spawn(move || work(ClientMemory::new(stream, mailbox)))
    }

    /// Serves the device until the client is gone, which is no error even in mid-message.
    ///
    /// Afterwards the connection is closed, and threads that wait for the client's memory wake up.
    ///
    /// # Errors
    ///
    /// Fails if the client was dropped.
    pub fn serve<D: Device<Fd = OwnedFd>>(self, device: &mut D) -> Result<(), Lost> {
        let result = self.receive(device);
        // Also after an error: without the end of the stream, threads that wait for an answer would
        // wait for ever.
        self.stream.close();
        self.mailbox.close();
        match result {
            Err(Lost::Socket(error)) if is_hang_up(&error) => Ok(()),
            other => other,
        }
    }

    /// Receives and carries out messages until the client is gone.
    fn receive<D: Device<Fd = OwnedFd>>(&self, device: &mut D) -> Result<(), Lost> {
        let mut session = Session::new();
        let mut buffer = vec![0; BUFFER];
        loop {
            // In the middle of a message no more than the session wants.
            let between = session.end().is_ok();
            let wanted = match between {
                true => FIRST,
                false => session.wanted().min(BUFFER),
            };
            if between {
                self.stream.wait()?;
            }
            let received = self
                .stream
                .receive(buffer.get_mut(..wanted).unwrap_or_default())?;
            if received.incomplete {
                return Err(Lost::Descriptors);
            }
            let bytes = buffer.get(..received.length).unwrap_or_default();
            // The end of the stream. In the middle of a message it is only logged: the client is
            // gone in any case.
            if bytes.is_empty() {
                if let Err(violation) = session.end() {
                    log::debug!("{violation}");
                }
                return Ok(());
            }
            // Asked before and after, as this receive may be the one that negotiates.
            let negotiated = session.client_limits().is_some();
            let mut sent = Ok(());
            let mut act = |action: Action<'_, OwnedFd>| {
                if let Err(error) = self.act(action) {
                    sent = Err(error);
                }
            };
            let result = match received.fds.is_empty() {
                true => session.receive(bytes, [], device, &mut act),
                false => {
                    // They belong to the last message that begins here. The system ends a receive
                    // with the bytes that descriptors came with, and messages that end before take
                    // none.
                    let start = if between { last_start(bytes) } else { 0 };
                    let (before, bytes) = bytes.split_at(start);
                    session
                        .receive(before, [], device, &mut act)
                        .and_then(|()| session.receive(bytes, received.fds, device, &mut act))
                }
            };
            if let (false, Some(limits)) = (negotiated, session.client_limits()) {
                self.mailbox.set_client(limits);
            }
            // A message that could not be sent comes first: the client does not follow any more,
            // whatever it has broken.
            sent?;
            result?;
        }
    }

    /// Carries out an action of the session.
    fn act(&self, action: Action<'_, OwnedFd>) -> Result<(), Errno> {
        match action {
            Action::Send { bytes, file } => return self.stream.send(bytes, file),
            Action::Answer(answer) => {
                if let Err(unexpected) = self.mailbox.deliver(&answer) {
                    client_log::note(module_path!(), Level::Warn, format_args!("{unexpected}"));
                }
            }
            Action::Refused { command, refusal } => {
                // QEMU asks for interrupt types that a device need not have. As warnings they would
                // stand in the log of each start.
                let level = match command {
                    command::DEVICE_GET_IRQ_INFO => Level::Debug,
                    _ => Level::Warn,
                };
                let name = command::Name(command);
                client_log::note(module_path!(), level, format_args!("{name}: {refusal}"));
            }
        }
        Ok(())
    }
}

/// Returns where the last message begins of those that begin in `bytes`, the first of them with the
/// first byte.
fn last_start(bytes: &[u8]) -> usize {
    let mut start = 0;
    while let Some(header) = bytes.get(start..).and_then(Header::parse) {
        // A size below that of a header ends the connection, so nothing follows.
        let size = usize::try_from(header.size).unwrap_or(usize::MAX);
        let size = size.max(HEADER_SIZE);
        match start.checked_add(size) {
            Some(next) if next < bytes.len() => start = next,
            _ => break,
        }
    }
    start
}

/// Checks whether the error means that the client ended.
fn is_hang_up(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
    )
}

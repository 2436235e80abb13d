// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A relay between client and server, for two things that the client of `vfio_user` cannot do: it
//! maps memory with fewer rights than all, and notices when the server refuses. All else passes
//! unchanged.

use rustix::io::Errno;
use rustix::net::{
    recvmsg, sendmsg, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use tempfile::TempDir;
use vfio_bindings::bindings::vfio::{VFIO_DMA_MAP_FLAG_READ, VFIO_DMA_MAP_FLAG_WRITE};

/// Most bytes that pass at once.
const CHUNK: usize = 64 << 10;
/// Commands (vfio-user, "Commands").
const DMA_MAP: u16 = 2;
const DMA_UNMAP: u16 = 3;
const GET_IRQ_INFO: u16 = 7;
const REGION_READ: u16 = 9;
const REGION_WRITE: u16 = 10;
/// Bytes of the header, and offsets in it: of the command, of the flags, and of the error number.
const HEADER: usize = 16;
const COMMAND_AT: usize = 2;
const FLAGS_AT: usize = 8;
const ERROR_AT: usize = 12;
/// Flag of a reply: the command was refused.
const REFUSED: u32 = 1 << 5;
/// Offsets of the flags of a `DMA_MAP`, and of the number of bytes of a `REGION_READ`.
const MAP_FLAGS_AT: usize = HEADER + 4;
const COUNT_AT: usize = HEADER + 12;
/// Most descriptors that the kernel delivers with one message.
const DESCRIPTORS: usize = 253;

/// Flags of a `DMA_MAP` for all rights.
pub const READ_WRITE: u32 = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE;

/// The relay. Its threads end when either side hangs up.
pub(crate) struct Relay {
    talk: Arc<Mutex<Talk>>,
    socket: PathBuf,
    _folder: TempDir,
}

/// State of both sides. The client waits for the reply to each command before it sends the next.
struct Talk {
    /// Flags with which memory is mapped.
    map_flags: u32,
    /// Length of the reply for which the client waits, even if the reply is a refusal.
    awaited: Option<usize>,
    /// Error number of the last command, if it was refused.
    refusal: Option<Errno>,
}

impl Relay {
    /// Connects to the server, and waits for a client on a socket of its own.
    ///
    /// # Errors
    ///
    /// Fails if the server does not listen, or the system refuses a socket.
    pub(crate) fn start(server: &Path) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let socket = folder.path().join("socket");
        let listener = UnixListener::bind(&socket)?;
        let server = UnixStream::connect(server)?;
        let talk = Arc::new(Mutex::new(Talk {
            map_flags: READ_WRITE,
            awaited: None,
            refusal: None,
        }));
        let [asked, answered] = [talk.clone(), talk.clone()];
        thread::spawn(move || -> io::Result<()> {
            let (client, _) = listener.accept()?;
            let (there, back) = (server.try_clone()?, client.try_clone()?);
            thread::spawn(move || pass(&there, &back, |reply| lock(&answered).answer(reply)));
            pass(&client, &server, |command| lock(&asked).ask(command));
            Ok(())
        });
        Ok(Self {
            talk,
            socket,
            _folder: folder,
        })
    }

    /// Returns the path of the socket for the client.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Maps memory with these flags from now on.
    pub(crate) fn map_with(&self, flags: u32) {
        lock(&self.talk).map_flags = flags;
    }

    /// Takes the error number of the last command, if the server refused it.
    pub(crate) fn refusal(&self) -> Option<Errno> {
        lock(&self.talk).refusal.take()
    }
}

/// Locks the state. A panic of the other thread leaves it usable.
fn lock(talk: &Mutex<Talk>) -> MutexGuard<'_, Talk> {
    talk.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Talk {
    /// Writes the flags into a `DMA_MAP`, and notes the reply for which the client waits. The
    /// client sends a command in one piece.
    fn ask(&mut self, command: &mut [u8]) {
        let number = get(command, COMMAND_AT).map(u16::from_ne_bytes);
        if number == Some(DMA_MAP)
            && let Some(flags) = command.get_mut(MAP_FLAGS_AT..MAP_FLAGS_AT + 4)
        {
            flags.copy_from_slice(&self.map_flags.to_ne_bytes());
        }
        let count = get(command, COUNT_AT).map_or(0, u32::from_ne_bytes);
        self.refusal = None;
        self.awaited = Some(match number {
            Some(DMA_UNMAP) => HEADER + 24,
            Some(GET_IRQ_INFO | REGION_WRITE) => HEADER + 16,
            Some(REGION_READ) => HEADER + 16 + count as usize,
            _ => HEADER,
        });
    }

    /// Notes a refusal, which is a header only, and makes it as long as the reply for which the
    /// client waits.
    fn answer(&mut self, reply: &mut Vec<u8>) {
        // Later pieces belong to the same reply.
        let Some(awaited) = self.awaited.take() else {
            return;
        };
        let [flags, error] = [FLAGS_AT, ERROR_AT].map(|at| get(reply, at).map(u32::from_ne_bytes));
        if flags.unwrap_or(0) & REFUSED != 0 {
            let error = error.and_then(|error| i32::try_from(error).ok());
            self.refusal = Some(error.map_or(Errno::IO, Errno::from_raw_os_error));
            // The client reads a fixed length and would wait for the rest for ever.
            reply.resize(awaited.max(HEADER), 0);
        }
    }
}

/// Returns the bytes at an offset of a message.
fn get<const N: usize>(message: &[u8], at: usize) -> Option<[u8; N]> {
    message.get(at..at + N)?.try_into().ok()
}

/// Passes on all bytes, until one side hangs up.
fn pass(from: &UnixStream, to: &UnixStream, look: impl Fn(&mut Vec<u8>)) {
    let mut bytes = vec![0; CHUNK];
    while let Ok(true) = pass_once(from, to, &mut bytes, &look) {}
    // Ends the other side as well. An error means that it has ended already.
    let _gone = to.shutdown(Shutdown::Both);
}

/// Passes on one message or a piece of it. Returns whether there was one.
fn pass_once(
    from: &UnixStream,
    to: &UnixStream,
    bytes: &mut [u8],
    look: &impl Fn(&mut Vec<u8>),
) -> io::Result<bool> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC;
    let received = recvmsg(from, &mut [IoSliceMut::new(bytes)], &mut control, flags)?;
    let descriptors: Vec<OwnedFd> = control
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
            _ => None,
        })
        .flatten()
        .collect();
    let mut message = bytes[..received.bytes].to_vec();
    if message.is_empty() {
        return Ok(false);
    }
    look(&mut message);
    let mut message = &message[..];
    let borrowed: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !borrowed.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(&borrowed));
    }
    while !message.is_empty() {
        let sent = sendmsg(
            to,
            &[IoSlice::new(message)],
            &mut control,
            SendFlags::NOSIGNAL,
        )?;
        // The descriptors go with the first bytes. With the next ones they would be sent again.
        control.clear();
        message = &message[sent..];
    }
    Ok(true)
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Stands between client and server and lets the client map memory with fewer rights: that of
//! `vfio_user` always asks for both. All else passes as it is.

use ringbar_vectors::scene::Rights;
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
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;
use std::thread;
use tempfile::TempDir;
use vfio_bindings::bindings::vfio::{VFIO_DMA_MAP_FLAG_READ, VFIO_DMA_MAP_FLAG_WRITE};

/// Bytes that pass at once.
const CHUNK: usize = 64 << 10;
/// Command of a `DMA_MAP` message (vfio-user, "Commands"), and the places in the message of the
/// command and of the flags.
const DMA_MAP: [u8; 2] = 2_u16.to_ne_bytes();
const COMMAND_AT: usize = 2;
const FLAGS_AT: usize = 16 + 4;
/// Descriptors that come with a message of this device.
const DESCRIPTORS: usize = 4;

/// The relay. Its threads end when either side hangs up.
pub(crate) struct Relay {
    flags: Arc<AtomicU32>,
    socket: PathBuf,
    _folder: TempDir,
}

impl Relay {
    /// Connects to the server, and waits for a client on a socket of its own.
    pub(crate) fn start(server: &Path) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let socket = folder.path().join("socket");
        let listener = UnixListener::bind(&socket)?;
        let server = UnixStream::connect(server)?;
        let flags = Arc::new(AtomicU32::new(flags(Rights::ReadWrite)));
        let asked = flags.clone();
        thread::spawn(move || -> io::Result<()> {
            let (client, _) = listener.accept()?;
            let (there, back) = (server.try_clone()?, client.try_clone()?);
            thread::spawn(move || pass(&there, &back, |_| {}));
            pass(&client, &server, |message| restrict(message, &asked));
            Ok(())
        });
        Ok(Self {
            flags,
            socket,
            _folder: folder,
        })
    }

    /// Where the client is to connect.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// From now on memory is mapped with these rights.
    pub(crate) fn map_with(&self, rights: Rights) {
        self.flags.store(flags(rights), Ordering::SeqCst);
    }
}

fn flags(rights: Rights) -> u32 {
    match rights {
        Rights::Read => VFIO_DMA_MAP_FLAG_READ,
        Rights::Write => VFIO_DMA_MAP_FLAG_WRITE,
        Rights::ReadWrite => VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
    }
}

/// Puts the flags into a `DMA_MAP`. The client sends that in one piece, and waits for the answer.
fn restrict(message: &mut [u8], asked: &AtomicU32) {
    if message.get(COMMAND_AT..COMMAND_AT + 2) == Some(&DMA_MAP)
        && let Some(flags) = message.get_mut(FLAGS_AT..FLAGS_AT + 4)
    {
        flags.copy_from_slice(&asked.load(Ordering::SeqCst).to_ne_bytes());
    }
}

/// Passes on what comes, until one side hangs up.
fn pass(from: &UnixStream, to: &UnixStream, change: impl Fn(&mut [u8])) {
    let mut bytes = vec![0; CHUNK];
    while let Ok(true) = pass_once(from, to, &mut bytes, &change) {}
    // The other side learns of it, unless it knows.
    let _gone = to.shutdown(Shutdown::Both);
}

/// Passes on one message or a piece of it. Says whether there was one.
fn pass_once(
    from: &UnixStream,
    to: &UnixStream,
    bytes: &mut [u8],
    change: &impl Fn(&mut [u8]),
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
    let Some(mut message) = bytes.get_mut(..received.bytes).filter(|it| !it.is_empty()) else {
        return Ok(false);
    };
    change(message);
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
        control.clear();
        message = &mut message[sent..];
    }
    Ok(true)
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Files of regions that outlive a server.
//!
//! A client maps the file of a region once, and for good. A server that takes over from another one
//! must use the same file, or it works on memory that the client never touches. A broker between
//! client and server keeps the files. It hands them to a server that connects to a socket of its
//! own, in one piece:
//!
//! | bytes | |
//! |---|---|
//! | 4 | version of this format, 1 |
//! | 4 | number of files |
//! | 4 per file | index of the region |
//!
//! The file descriptors come with the first byte, in the same order.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use ringbar_vfio_user::wire::{Fields, MAX_FDS};
use ringbar_vfio_user::Errno;

use crate::error::Error;
use crate::memory::SharedMemory;
use crate::passing;

/// Version of the format.
const VERSION: u32 = 1;
/// Bytes before the first file.
const HEAD: usize = 8;
/// Bytes per file.
const ENTRY: usize = 4;
/// Longest time that a broker may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Source of the memory behind regions.
///
/// By default each device gets new files. With [`kept`](Self::kept) all devices of a process have
/// the same, and with [`from_broker`](Self::from_broker) those of an earlier process.
///
/// ```
/// use ringbar_endpoint::region_files::RegionFiles;
///
/// # fn main() -> Result<(), ringbar_endpoint::Error> {
/// let files = RegionFiles::kept();
/// let first = files.memory(0, "registers", 4096)?;
/// first.store(8, 7);
///
/// let second = files.memory(0, "registers", 4096)?;
/// assert_eq!(second.load(8), Some(0)); // the same file, as after power-on
/// second.store(8, 9);
/// assert_eq!(first.load(8), Some(9));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct RegionFiles {
    /// Files by index of their region; `None` if each device has its own.
    kept: Option<Mutex<BTreeMap<u32, Arc<File>>>>,
}

/// A file on its way to a server.
#[derive(Debug)]
pub struct Handed<Fd> {
    /// Index of the region.
    pub region: u32,
    /// The file.
    pub file: Fd,
}

impl RegionFiles {
    /// Makes a source that keeps each file for later devices of this process.
    pub fn kept() -> Self {
        Self {
            kept: Some(Mutex::default()),
        }
    }

    /// Takes the files of a broker that listens on `path`: none if no client has any yet. They are
    /// kept for all devices of this process.
    ///
    /// Call it before the server listens. The broker may connect at once, and then hands out nothing.
    ///
    /// # Errors
    ///
    /// Fails if no broker hands files out there.
    pub fn from_broker(path: &Path) -> Result<Self, Error> {
        let receive = || {
            let socket = UnixStream::connect(path)?;
            socket.set_read_timeout(Some(PATIENCE))?;
            receive(&socket)
        };
        let handed = receive().map_err(|source| Error::Broker {
            path: path.to_owned(),
            source,
        })?;
        let files = handed
            .into_iter()
            .map(|handed| (handed.region, Arc::new(File::from(handed.file))));
        Ok(Self {
            kept: Some(Mutex::new(files.collect())),
        })
    }

    /// Returns memory of `size` bytes for a region, all 0: in the file that is kept for it, or else in
    /// a new one. The name shows up in `/proc`, if it is new.
    ///
    /// # Errors
    ///
    /// Fails if the system refuses the memory, or if the file that is kept has another size or may
    /// change its size.
    pub fn memory(
        &self,
        region: u32,
        name: &'static str,
        size: usize,
    ) -> Result<SharedMemory, Error> {
        let Some(kept) = &self.kept else {
            return SharedMemory::new(name, size);
        };
        let mut kept = kept.lock();
        if let Some(file) = kept.get(&region) {
            return SharedMemory::over(Arc::clone(file), name, size);
        }
        let memory = SharedMemory::new(name, size)?;
        kept.insert(region, memory.shared_file());
        Ok(memory)
    }
}

/// Hands files to a server that has connected for them, without waiting.
///
/// # Errors
///
/// Fails if there are more than [`MAX_FDS`] files, or the server does not take them at once.
pub fn send(socket: &UnixStream, files: &[Handed<BorrowedFd<'_>>]) -> io::Result<()> {
    if files.len() > MAX_FDS {
        return Err(Errno::TOOBIG.into());
    }
    let count = u32::try_from(files.len()).map_err(io::Error::other)?;
    let mut bytes = [VERSION, count].map(u32::to_ne_bytes).concat();
    for file in files {
        bytes.extend(file.region.to_ne_bytes());
    }
    let fds: Vec<BorrowedFd<'_>> = files.iter().map(|handed| handed.file).collect();
    // A new connection has room for these few bytes.
    let sent = passing::send(socket, &[IoSlice::new(&bytes)], &fds)?;
    if sent != bytes.len() {
        return Err(io::ErrorKind::WriteZero.into());
    }
    Ok(())
}

/// Receives the files of a broker.
///
/// # Errors
///
/// Fails if the broker sends anything else.
pub fn receive(socket: &UnixStream) -> io::Result<Vec<Handed<OwnedFd>>> {
    let wrong = |text: String| io::Error::new(io::ErrorKind::InvalidData, text);
    let mut buffer = [0; HEAD + ENTRY * MAX_FDS];
    // One piece, as the broker sends it with one call.
    let received = passing::receive(socket, &mut buffer)?;
    if received.length == 0 {
        return Err(wrong(
            "the broker hands out no files: another server is connected to it".into(),
        ));
    }
    let mut fields = Fields(buffer.get(..received.length).unwrap_or_default());
    let (version, count) = (fields.u32(), fields.u32());
    if version != Some(VERSION) {
        return Err(wrong(format!(
            "it is no broker, or one of another version: its first word is {version:?}, not {VERSION}"
        )));
    }
    let fds = received.fds.len();
    if received.incomplete || count.and_then(|count| usize::try_from(count).ok()) != Some(fds) {
        return Err(wrong(format!("{fds} descriptors, not {count:?}")));
    }
    received
        .fds
        .into_iter()
        .map(|file| {
            let region = fields
                .u32()
                .ok_or_else(|| wrong(format!("{} bytes for {fds} files", received.length)))?;
            Ok(Handed { region, file })
        })
        .collect()
}

/// Reason for which a file that is kept cannot be the memory of a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unfit {
    /// Its size is not that of the region.
    #[error("it has {0} bytes: start the server with the options of the first one")]
    Size(u64),
    /// It may shrink or grow, or is no file of `memfd_create`.
    #[error("it is not sealed against a change of its size")]
    Unsealed,
}

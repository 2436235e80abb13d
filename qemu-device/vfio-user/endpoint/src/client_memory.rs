// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Memory of the client, read and written by message.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use ringbar_vfio_user::requests::{NotSent, Requests, Ticket, Unexpected};
use ringbar_vfio_user::session::{Answer, ClientLimits};
use ringbar_vfio_user::wire::MAX_TRANSFER;
use ringbar_vfio_user::Errno;

use crate::stream::Stream;

/// Most bytes that one message reads, even if the client accepts more. Of an answer that is longer
/// than its socket buffer, some 200 KiB, QEMU 11.1 sends the start and never the rest.
const MAX_READ: usize = 64 << 10;

/// Access to memory of the client by message: the way to memory that came without a file.
///
/// Each call waits for the client's answer, and the client answers nothing while it waits for a
/// reply itself. So this type exists only on threads that [`Connection::spawn`] has made, and
/// cannot leave them: a method of the device has no way to get hold of it. The type cannot check
/// one more rule: no lock that such a method takes may be held during a call.
///
/// [`Connection::spawn`]: crate::Connection::spawn
pub struct ClientMemory {
    stream: Arc<Stream>,
    mailbox: Arc<Mailbox>,
    /// Makes the type neither `Send` nor `Sync`.
    _on_this_thread: PhantomData<*const ()>,
}

/// Meeting point of the threads that ask and the thread that receives.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    requests: Requests,
    answers: BTreeMap<Ticket, Result<Vec<u8>, Errno>>,
    client: Option<ClientLimits>,
    closed: bool,
}

impl fmt::Debug for ClientMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientMemory").finish_non_exhaustive()
    }
}

impl ClientMemory {
    pub(crate) fn new(stream: Arc<Stream>, mailbox: Arc<Mailbox>) -> Self {
        Self {
            stream,
            mailbox,
            _on_this_thread: PhantomData,
        }
    }

    /// Reads memory at a DMA address.
    ///
    /// # Errors
    ///
    /// Fails with the errors of the client, and with [`Errno::PIPE`] once it is gone. The bytes
    /// that have been read by then are in `data`.
    pub fn read(&self, address: u64, data: &mut [u8]) -> Result<(), Errno> {
        let piece = self.mailbox.longest_transfer()?.min(MAX_READ);
        let mut address = Some(address);
        for part in data.chunks_mut(piece) {
            let from = address.ok_or(Errno::OVERFLOW)?;
            let bytes =
                self.ask(|requests, client| Ok(requests.read(from, part.len(), client)?))?;
            if bytes.len() != part.len() {
                return Err(Errno::PROTO);
            }
            part.copy_from_slice(&bytes);
            address = advance(from, part.len());
        }
        Ok(())
    }

    /// Writes memory at a DMA address.
    ///
    /// # Errors
    ///
    /// Fails with the errors of the client, and with [`Errno::PIPE`] once it is gone. A part may
    /// have been written by then.
    pub fn write(&self, address: u64, data: &[u8]) -> Result<(), Errno> {
        let piece = self.mailbox.longest_transfer()?;
        let mut address = Some(address);
        for part in data.chunks(piece) {
            let to = address.ok_or(Errno::OVERFLOW)?;
            self.ask(|requests, client| Ok(requests.write(to, part, client)?))?;
            address = advance(to, part.len());
        }
        Ok(())
    }

    /// Sends a request and waits for its result.
    fn ask(
        &self,
        mut build: impl FnMut(&mut Requests, ClientLimits) -> Result<(Ticket, &[u8]), Refused>,
    ) -> Result<Vec<u8>, Errno> {
        let (ticket, message) = self.mailbox.issue(&mut build)?;
        // Not under the mailbox's lock: the receiving thread takes it for each answer, and must
        // never wait for a send.
        match self.stream.send(&message, None) {
            Ok(()) => self.mailbox.wait(ticket),
            Err(error) => {
                log::debug!("cannot ask for memory of the client: {error}");
                self.mailbox.forget(ticket);
                Err(Errno::PIPE)
            }
        }
    }
}

/// Reason for which a request was not built.
struct Refused(NotSent);

impl From<NotSent> for Refused {
    fn from(reason: NotSent) -> Self {
        Self(reason)
    }
}

impl Mailbox {
    /// Notes the limits that the client has negotiated.
    pub(crate) fn set_client(&self, limits: ClientLimits) {
        self.inner.lock().client = Some(limits);
    }

    /// Delivers an answer of the client.
    pub(crate) fn deliver(&self, answer: &Answer<'_>) -> Result<(), Unexpected> {
        let mut inner = self.inner.lock();
        let completed = inner.requests.complete(answer)?;
        let result = completed.result.map(<[u8]>::to_vec);
        inner.answers.insert(completed.ticket, result);
        self.changed.notify_all();
        Ok(())
    }

    /// Notes that no more answers come, and wakes all waiting threads.
    pub(crate) fn close(&self) {
        self.inner.lock().closed = true;
        self.changed.notify_all();
    }

    /// Forgets a request that no thread waits for any more. Its answer may have come already.
    fn forget(&self, ticket: Ticket) {
        let mut inner = self.inner.lock();
        inner.requests.forget(ticket);
        // An answer that stayed here would be given to a later request with the same number.
        inner.answers.remove(&ticket);
        self.changed.notify_all();
    }

    /// Returns the most bytes of one transfer, which client and server both take.
    fn longest_transfer(&self) -> Result<usize, Errno> {
        let client = self.inner.lock().client.ok_or(Errno::NOTCONN)?;
        Ok(usize::try_from(client.transfer).map_or(MAX_TRANSFER, |most| most.min(MAX_TRANSFER)))
    }

    /// Builds a request. Waits while too many requests are pending.
    fn issue(
        &self,
        build: &mut impl FnMut(&mut Requests, ClientLimits) -> Result<(Ticket, &[u8]), Refused>,
    ) -> Result<(Ticket, Vec<u8>), Errno> {
        let mut inner = self.inner.lock();
        loop {
            if inner.closed {
                return Err(Errno::PIPE);
            }
            let client = inner.client.ok_or(Errno::NOTCONN)?;
            match build(&mut inner.requests, client) {
                Ok((ticket, message)) => return Ok((ticket, message.to_vec())),
                Err(Refused(NotSent::Busy)) => self.changed.wait(&mut inner),
                Err(Refused(_)) => return Err(Errno::INVAL),
            }
        }
    }

    /// Waits for the answer to a request.
    fn wait(&self, ticket: Ticket) -> Result<Vec<u8>, Errno> {
        let mut inner = self.inner.lock();
        loop {
            if let Some(answer) = inner.answers.remove(&ticket) {
                return answer;
            }
            if inner.closed {
                inner.requests.forget(ticket);
                return Err(Errno::PIPE);
            }
            self.changed.wait(&mut inner);
        }
    }
}

/// Returns the address behind `length` bytes; `None` at the end of the address space.
fn advance(address: u64, length: usize) -> Option<u64> {
    address.checked_add(u64::try_from(length).ok()?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn request_that_cannot_be_sent_is_forgotten() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        let mailbox = Arc::new(Mailbox::default());
        mailbox.set_client(ClientLimits::default());
        let memory = ClientMemory::new(Arc::new(Stream::new(ours)), Arc::clone(&mailbox));

        let result = memory.read(0, &mut [0; 4]);

        assert_eq!(result, Err(Errno::PIPE));
        assert_eq!(mailbox.inner.lock().requests.pending(), 0);
    }
}

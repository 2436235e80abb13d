// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A client that can send anything.
//!
//! Most cases use [`Client::ask`]. It sends the message, and right behind it a probe with a known
//! reply. Everything before the probe's reply is the reply to the message. So the client notices a
//! missing reply without waiting, and always detects a server that lost its place in the stream.
//! The stream is *in step* while the server knows where each message begins.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{
    recvmsg, sendmsg, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};

use crate::outcome::{ensure, fail, local, Outcome};
use crate::requests;
use crate::survey::Survey;
use crate::wire::{parse_header, Message, Request, HEADER, TYPE_MASK};

/// Most descriptors that the kernel accepts with one message.
pub(crate) const MOST_FDS: usize = 253;
/// Longest message that the client accepts from a server: the most that QEMU accepts.
const LONGEST: u32 = (64 << 20) + 64;
/// Most bytes per read.
const AT_ONCE: usize = 65_536;
/// First id of the probes, away from those of other messages.
const PROBE_IDS: u16 = 0xa000;

/// A connection to the server.
#[derive(Debug)]
pub(crate) struct Client {
    stream: UnixStream,
    timeout: Duration,
    survey: Rc<Survey>,
    next_id: u16,
    next_probe: u16,
    inbox: Vec<u8>,
    inbox_fds: Vec<OwnedFd>,
    /// The case has ended the connection itself.
    ended: bool,
}

/// Result of a read.
enum Arrival {
    Bytes,
    End,
}

impl Client {
    /// Connects, and sends nothing yet.
    pub(crate) fn connect(
        path: &Path,
        timeout: Duration,
        survey: Rc<Survey>,
    ) -> std::io::Result<Self> {
        let stream = UnixStream::connect(path)?;
        stream.set_write_timeout(Some(timeout))?;
        Ok(Self {
            stream,
            timeout,
            survey,
            next_id: 0,
            next_probe: PROBE_IDS,
            inbox: Vec::new(),
            inbox_fds: Vec::new(),
            ended: false,
        })
    }

    /// Returns the server's properties.
    pub(crate) fn survey(&self) -> Rc<Survey> {
        Rc::clone(&self.survey)
    }

    /// Returns the time after which a server counts as hung.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Returns another descriptor of this end of the connection.
    pub(crate) fn own_socket(&self) -> Outcome<OwnedFd> {
        local(self.stream.try_clone(), "dup").map(OwnedFd::from)
    }

    /// Returns whether the case expects more of this connection.
    pub(crate) fn in_use(&self) -> bool {
        !self.ended
    }

    /// Negotiates as QEMU does.
    pub(crate) fn negotiate(&mut self) -> Outcome<Message> {
        let sent = self.send(requests::version(requests::QEMU_VERSION))?;
        let reply = self.reply_to(sent)?;
        ensure(!reply.is_error(), || {
            format!("VERSION as QEMU sends it: error {}", reply.error)
        })?;
        Ok(reply)
    }

    /// Sends a message. Returns its id and command.
    pub(crate) fn send(&mut self, request: Request) -> Outcome<Sent> {
        let sent = Sent {
            id: request.id.unwrap_or(self.next_id),
            command: request.command,
        };
        self.next_id = self.next_id.wrapping_add(1) % PROBE_IDS;
        self.send_bytes(&request.to_bytes(sent.id), &request.fds)?;
        Ok(sent)
    }

    /// Sends bytes, and descriptors with the first of them.
    ///
    /// A closed connection is no error here: the client can still read what the server sent before.
    pub(crate) fn send_bytes(&mut self, bytes: &[u8], fds: &[OwnedFd]) -> Outcome {
        let borrowed: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
        let mut rest = bytes;
        let mut first = true;
        while !rest.is_empty() {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FDS))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            if first && !borrowed.is_empty() {
                control.push(SendAncillaryMessage::ScmRights(&borrowed));
            }
            let part = [IoSlice::new(rest)];
            match sendmsg(&self.stream, &part, &mut control, SendFlags::NOSIGNAL) {
                Ok(sent) => rest = rest.get(sent..).unwrap_or_default(),
                Err(Errno::INTR) => continue,
                Err(Errno::PIPE | Errno::CONNRESET) => return Ok(()),
                Err(Errno::AGAIN) => return fail("the server takes no more bytes"),
                Err(error) => return local(Err(error), "sendmsg"),
            }
            first = false;
        }
        Ok(())
    }

    /// Returns the next message, or `None` if the server closed the connection between two
    /// messages.
    ///
    /// Refuses requests of the server in between, as a client may.
    pub(crate) fn receive(&mut self) -> Outcome<Option<Message>> {
        let deadline = Instant::now() + self.timeout;
        loop {
            if let Some(message) = self.take_message()? {
                if message.flags & TYPE_MASK != 0 {
                    return Ok(Some(message));
                }
                self.refuse(&message)?;
            } else if matches!(self.arrive(self.wanted(), deadline)?, Arrival::End) {
                return match self.inbox.len() {
                    0 => Ok(None),
                    length => fail(format!(
                        "connection closed inside a message, after {length} bytes of it"
                    )),
                };
            }
        }
    }

    /// Returns the well-formed reply to `sent`. It may be an error.
    pub(crate) fn reply_to(&mut self, sent: Sent) -> Outcome<Message> {
        match self.receive()? {
            Some(message) => check_reply(message, sent),
            None => fail("connection closed instead of a reply"),
        }
    }

    /// Sends `request` and a probe. Returns the message before the probe's reply.
    pub(crate) fn ask(&mut self, request: Request) -> Outcome<Option<Message>> {
        let sent = self.send(request)?;
        self.answer_before_probe(sent)
    }

    /// Sends a probe. Returns the reply to `sent`, if it comes before the probe's.
    pub(crate) fn answer_before_probe(&mut self, sent: Sent) -> Outcome<Option<Message>> {
        let probe = self.send_probe()?;
        let mut answer = None;
        loop {
            let Some(message) = self.receive()? else {
                return fail("the server closed the connection, and no message had asked for it");
            };
            if message.id == probe.id {
                self.check_probe(message, probe)?;
                return Ok(answer);
            }
            ensure(answer.is_none(), || {
                format!(
                    "a second reply: id {}, command {}",
                    message.id, message.command
                )
            })?;
            answer = Some(check_reply(message, sent)?);
        }
    }

    /// Fails unless the stream is still in step.
    pub(crate) fn alive(&mut self) -> Outcome {
        let probe = self.send_probe()?;
        match self.receive()? {
            Some(message) => self.check_probe(message, probe),
            None => fail("the server closed the connection, and no message had asked for it"),
        }
    }

    /// Fails unless the server carries out `request` and confirms it.
    pub(crate) fn accepted(&mut self, request: Request) -> Outcome<Message> {
        match self.ask(request)? {
            Some(reply) if reply.is_error() => fail(format!("refused with error {}", reply.error)),
            Some(reply) => Ok(reply),
            None => fail("no reply"),
        }
    }

    /// Fails unless the server refuses `request` and stays in step.
    ///
    /// The protocol allows a refusal with error number 0. A separate rule, `refused_with_reason`,
    /// asks for another number. So a server that always sends 0 breaks that rule alone.
    pub(crate) fn refused(&mut self, request: Request) -> Outcome<u32> {
        match self.ask(request)? {
            Some(reply) if reply.is_error() => Ok(reply.error),
            Some(_) => fail("accepted"),
            None => fail("no reply"),
        }
    }

    /// Fails like [`refused`](Self::refused), and also if the refusal has no reason.
    pub(crate) fn refused_with_reason(&mut self, request: Request) -> Outcome {
        let error = self.refused(request)?;
        ensure(error != 0, || {
            "refused with error 0, which QEMU takes for success".into()
        })
    }

    /// Fails like [`refused`](Self::refused), and also if the refusal has another error number.
    pub(crate) fn refused_with(&mut self, request: Request, errno: Errno) -> Outcome {
        let error = self.refused(request)?;
        let wanted = errno.raw_os_error();
        ensure(i32::try_from(error) == Ok(wanted), || {
            format!("refused with error {error} instead of {wanted} ({errno})")
        })
    }

    /// Fails unless the server replies to `request`, in any way, and stays in step.
    pub(crate) fn answered(&mut self, request: Request) -> Outcome<Message> {
        match self.ask(request)? {
            Some(reply) => Ok(reply),
            None => fail("no reply"),
        }
    }

    /// Fails if the server replies to `request` or falls out of step.
    pub(crate) fn silent(&mut self, request: Request) -> Outcome {
        match self.ask(request)? {
            None => Ok(()),
            Some(reply) => fail(format!(
                "a reply with error {}, although none was wanted",
                reply.error
            )),
        }
    }

    /// Fails unless the server refuses, ignores the message, or closes the connection. Uses the
    /// connection up.
    pub(crate) fn not_carried_out(&mut self, sent: Sent) -> Outcome {
        self.end_of_writing();
        while let Some(message) = self.receive()? {
            ensure(check_reply(message, sent)?.is_error(), || {
                "carried out".into()
            })?;
        }
        Ok(())
    }

    /// Fails unless the server refuses, or closes the connection, without waiting for more. Uses
    /// the connection up.
    pub(crate) fn refused_or_closed(&mut self, sent: Sent) -> Outcome {
        let message = self.receive()?;
        self.close();
        match message {
            None => Ok(()),
            Some(message) => ensure(check_reply(message, sent)?.is_error(), || "accepted".into()),
        }
    }

    /// Ends the client's direction. From now on the connection need not be in step.
    pub(crate) fn end_of_writing(&mut self) {
        self.ended = true;
        // An error means that the connection is closed already, which serves as well.
        let _closed = self.stream.shutdown(std::net::Shutdown::Write);
    }

    /// Closes the connection.
    pub(crate) fn close(&mut self) {
        self.ended = true;
        let _closed = self.stream.shutdown(std::net::Shutdown::Both);
    }

    /// Returns the length of the first bytes that arrive, as one read returns them.
    pub(crate) fn first_bytes(&mut self) -> Outcome<usize> {
        self.arrive(AT_ONCE, Instant::now() + self.timeout)?;
        Ok(self.inbox.len())
    }

    fn send_probe(&mut self) -> Outcome<Sent> {
        let id = self.next_probe;
        self.next_probe = PROBE_IDS | id.wrapping_add(1);
        self.send(requests::get_info().id(id))
    }

    fn check_probe(&self, message: Message, probe: Sent) -> Outcome {
        let lost = "the stream is out of step";
        let reply = match check_reply(message, probe) {
            Ok(reply) => reply,
            Err(reason) => return fail(format!("{lost}: {reason}")),
        };
        ensure(
            !reply.is_error() && reply.payload == self.survey.info,
            || format!("{lost}: the reply to GET_INFO has changed"),
        )
    }

    /// Refuses a command of the server.
    fn refuse(&mut self, message: &Message) -> Outcome {
        if message.flags & crate::wire::NO_REPLY != 0 {
            return Ok(());
        }
        let mut refusal = Request::new(message.command)
            .id(message.id)
            .flags(crate::wire::TYPE_REPLY | crate::wire::ERROR);
        refusal.error = u32::try_from(Errno::INVAL.raw_os_error()).unwrap_or(1);
        let bytes = refusal.to_bytes(message.id);
        self.send_bytes(&bytes, &[])
    }

    /// Removes a whole message from the received bytes.
    fn take_message(&mut self) -> Outcome<Option<Message>> {
        let Some((size, mut message)) = parse_header(&self.inbox) else {
            return Ok(None);
        };
        let length = size as usize;
        ensure(length >= HEADER && size <= LONGEST, || {
            format!("a message that claims to have {size} bytes")
        })?;
        let Some(payload) = self.inbox.get(HEADER..length) else {
            return Ok(None);
        };
        message.payload = payload.to_vec();
        message.fds = std::mem::take(&mut self.inbox_fds);
        self.inbox.drain(..length);
        Ok(Some(message))
    }

    /// Returns how many bytes are missing: from the header, or from its message once the header is
    /// complete. A client that
    /// never reads more can attribute descriptors to their message.
    fn wanted(&self) -> usize {
        let whole = parse_header(&self.inbox).map_or(HEADER, |(size, _)| size as usize);
        whole.saturating_sub(self.inbox.len())
    }

    /// Reads at most `limit` bytes once, as soon as some arrive.
    fn arrive(&mut self, limit: usize, deadline: Instant) -> Outcome<Arrival> {
        if !wait(&self.stream, PollFlags::IN, deadline)? {
            return fail(format!(
                "no reply within {:.0?}: hung, or it waits for more bytes",
                self.timeout
            ));
        }
        let mut bytes = vec![0; limit.min(AT_ONCE)];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FDS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let received = recvmsg(
            &self.stream,
            &mut parts,
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        );
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(fds) = message {
                self.inbox_fds.extend(fds);
            }
        }
        match received.map(|received| received.bytes) {
            Ok(0) | Err(Errno::CONNRESET) => Ok(Arrival::End),
            Ok(length) => {
                self.inbox
                    .extend_from_slice(bytes.get(..length).unwrap_or_default());
                Ok(Arrival::Bytes)
            }
            Err(Errno::INTR | Errno::AGAIN) => Ok(Arrival::Bytes),
            Err(error) => local(Err(error), "recvmsg"),
        }
    }
}

/// Properties that a reply must repeat.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    /// Id of the command.
    pub(crate) id: u16,
    /// Number of the command.
    pub(crate) command: u16,
}

/// Waits until `events` happen on `fd`, or it is hung up.
pub(crate) fn wait(fd: impl AsFd, events: PollFlags, deadline: Instant) -> Outcome<bool> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = local(Timespec::try_from(left), "time to wait")?;
        match poll(&mut [PollFd::new(&fd, events)], Some(&left)) {
            Ok(ready) => return Ok(ready > 0),
            Err(Errno::INTR) => {}
            Err(error) => return local(Err(error), "poll"),
        }
    }
}

/// Checks the rules for every reply to `sent`.
fn check_reply(reply: Message, sent: Sent) -> Outcome<Message> {
    ensure(reply.is_reply(), || {
        format!(
            "a message with flags {:#x}, which is not a reply",
            reply.flags
        )
    })?;
    ensure(reply.id == sent.id, || {
        format!("reply has id {} instead of {}", reply.id, sent.id)
    })?;
    ensure(reply.command == sent.command, || {
        format!(
            "reply has command {} instead of {}",
            reply.command, sent.command
        )
    })?;
    if reply.is_error() {
        ensure(reply.payload.is_empty(), || {
            format!("error reply with {} bytes of payload", reply.payload.len())
        })?;
        ensure(reply.fds.is_empty(), || {
            "error reply with descriptors".into()
        })?;
    } else {
        ensure(reply.error == 0, || {
            format!("error {} in a reply without the error flag", reply.error)
        })?;
    }
    ensure(reply.flags & !(TYPE_MASK | crate::wire::ERROR) == 0, || {
        format!("reply with flags {:#x}", reply.flags)
    })?;
    Ok(reply)
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A client that can send anything.
//!
//! Its most important way to talk is [`Client::ask`]: the message in question, and right behind it
//! a probe whose answer is known. Whatever comes before the probe's answer is the answer to the
//! message, so that "no answer" is seen without waiting, and a server that lost its place in the
//! stream is always found.

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

/// Most descriptors that the kernel lets one message have.
pub const MOST_FDS: usize = 253;
/// Longest message that we take from a server: what QEMU accepts at most.
const LONGEST: u32 = (64 << 20) + 64;
/// Most bytes of one read.
const AT_ONCE: usize = 65_536;
/// Where the ids of probes begin, away from those of other messages.
const PROBE_IDS: u16 = 0xa000;

/// A connection to the server.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    timeout: Duration,
    survey: Rc<Survey>,
    next_id: u16,
    next_probe: u16,
    inbox: Vec<u8>,
    inbox_fds: Vec<OwnedFd>,
    /// The case took the connection down itself.
    ended: bool,
}

/// What a read found.
enum Arrival {
    Bytes,
    End,
}

impl Client {
    /// Connects, and says nothing yet.
    pub fn connect(path: &Path, timeout: Duration, survey: Rc<Survey>) -> std::io::Result<Self> {
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

    /// What the server said it has.
    pub fn survey(&self) -> Rc<Survey> {
        Rc::clone(&self.survey)
    }

    /// How long a server may take before it counts as hung.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Another descriptor of this end of the connection.
    pub fn own_socket(&self) -> Outcome<OwnedFd> {
        local(self.stream.try_clone(), "dup").map(OwnedFd::from)
    }

    /// Whether the case expects more of this connection.
    pub fn in_use(&self) -> bool {
        !self.ended
    }

    /// Negotiates as QEMU does.
    pub fn negotiate(&mut self) -> Outcome<Message> {
        let sent = self.send(requests::version(requests::QEMU_VERSION))?;
        let reply = self.reply_to(sent)?;
        ensure(!reply.is_error(), || {
            format!("VERSION as QEMU sends it: error {}", reply.error)
        })?;
        Ok(reply)
    }

    /// Sends a message. Returns its id and command.
    pub fn send(&mut self, request: Request) -> Outcome<Sent> {
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
    /// A server that has closed the connection is no error here: what it said before is still to
    /// be read.
    pub fn send_bytes(&mut self, bytes: &[u8], fds: &[OwnedFd]) -> Outcome {
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

    /// The next message; `None` if the server closed the connection between two messages.
    ///
    /// What the server asks of us in between is refused, as a client may.
    pub fn receive(&mut self) -> Outcome<Option<Message>> {
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

    /// The reply to `sent`, well-formed, error or not.
    pub fn reply_to(&mut self, sent: Sent) -> Outcome<Message> {
        match self.receive()? {
            Some(message) => check_reply(message, sent),
            None => fail("connection closed instead of a reply"),
        }
    }

    /// Sends `request` and a probe, and returns what came before the probe's answer.
    pub fn ask(&mut self, request: Request) -> Outcome<Option<Message>> {
        let sent = self.send(request)?;
        self.answer_before_probe(sent)
    }

    /// Sends a probe, and returns the answer to `sent` if one comes before the probe's.
    pub fn answer_before_probe(&mut self, sent: Sent) -> Outcome<Option<Message>> {
        let probe = self.send_probe()?;
        let mut answer = None;
        loop {
            let Some(message) = self.receive()? else {
                return fail("connection closed, and it was no reason to");
            };
            if message.id == probe.id {
                self.check_probe(message, probe)?;
                return Ok(answer);
            }
            ensure(answer.is_none(), || {
                format!(
                    "a second answer: id {}, command {}",
                    message.id, message.command
                )
            })?;
            answer = Some(check_reply(message, sent)?);
        }
    }

    /// Whether the stream is still in step.
    pub fn alive(&mut self) -> Outcome {
        let probe = self.send_probe()?;
        match self.receive()? {
            Some(message) => self.check_probe(message, probe),
            None => fail("connection closed, and it was no reason to"),
        }
    }

    /// The server must carry out `request` and say so.
    pub fn accepted(&mut self, request: Request) -> Outcome<Message> {
        match self.ask(request)? {
            Some(reply) if reply.is_error() => fail(format!("refused with error {}", reply.error)),
            Some(reply) => Ok(reply),
            None => fail("no reply"),
        }
    }

    /// The server must refuse `request` and stay in step.
    ///
    /// The protocol allows it to give no reason. That it gives one is a rule of its own, so that
    /// one that never does is judged by the other rules as well.
    pub fn refused(&mut self, request: Request) -> Outcome<u32> {
        match self.ask(request)? {
            Some(reply) if reply.is_error() => Ok(reply.error),
            Some(_) => fail("accepted"),
            None => fail("no reply"),
        }
    }

    /// As [`refused`](Self::refused), with a reason.
    pub fn refused_with_reason(&mut self, request: Request) -> Outcome {
        let error = self.refused(request)?;
        ensure(error != 0, || {
            "refused with error 0, which QEMU takes for success".into()
        })
    }

    /// As [`refused`](Self::refused), with this very error number.
    pub fn refused_with(&mut self, request: Request, errno: Errno) -> Outcome {
        let error = self.refused(request)?;
        let wanted = errno.raw_os_error();
        ensure(i32::try_from(error) == Ok(wanted), || {
            format!("refused with error {error} instead of {wanted} ({errno})")
        })
    }

    /// The server may do as it likes with `request`, but must answer it and stay in step.
    pub fn answered(&mut self, request: Request) -> Outcome<Message> {
        match self.ask(request)? {
            Some(reply) => Ok(reply),
            None => fail("no reply"),
        }
    }

    /// The server must not answer `request`, and stay in step.
    pub fn silent(&mut self, request: Request) -> Outcome {
        match self.ask(request)? {
            None => Ok(()),
            Some(reply) => fail(format!(
                "answered though no reply was wanted, with error {}",
                reply.error
            )),
        }
    }

    /// The server must refuse, close the connection, or ignore what was sent. The connection is
    /// used up.
    pub fn not_carried_out(&mut self, sent: Sent) -> Outcome {
        self.end_of_writing();
        while let Some(message) = self.receive()? {
            ensure(check_reply(message, sent)?.is_error(), || {
                "carried out".into()
            })?;
        }
        Ok(())
    }

    /// The server must refuse what was sent, or close the connection, without waiting for more.
    /// The connection is used up.
    pub fn refused_or_closed(&mut self, sent: Sent) -> Outcome {
        let message = self.receive()?;
        self.close();
        match message {
            None => Ok(()),
            Some(message) => ensure(check_reply(message, sent)?.is_error(), || "accepted".into()),
        }
    }

    /// Nothing more will be sent; the connection no longer has to be in step.
    pub fn end_of_writing(&mut self) {
        self.ended = true;
        // It is closed already then, which serves as well.
        let _closed = self.stream.shutdown(std::net::Shutdown::Write);
    }

    /// Closes the connection.
    pub fn close(&mut self) {
        self.ended = true;
        let _closed = self.stream.shutdown(std::net::Shutdown::Both);
    }

    /// The first bytes that come, as one read gives them.
    pub fn first_bytes(&mut self) -> Outcome<usize> {
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
            || format!("{lost}: GET_INFO is answered in another way than before"),
        )
    }

    /// Answers a command of the server.
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

    /// Takes a whole message out of what has arrived.
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

    /// What is missing of the next message's header, or then of the message. Who never reads more
    /// knows which message descriptors came with.
    fn wanted(&self) -> usize {
        let whole = parse_header(&self.inbox).map_or(HEADER, |(size, _)| size as usize);
        whole.saturating_sub(self.inbox.len())
    }

    /// Reads once, at most `limit` bytes, when there is something.
    fn arrive(&mut self, limit: usize, deadline: Instant) -> Outcome<Arrival> {
        if !wait(&self.stream, PollFlags::IN, deadline)? {
            return fail(format!(
                "no answer within {:.0?}: hung, or it waits for more bytes",
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

/// What a reply is compared with.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// Id of the command.
    pub id: u16,
    /// Its number.
    pub command: u16,
}

/// Waits until `events` happen on `fd`, or it is hung up.
pub fn wait(fd: impl AsFd, events: PollFlags, deadline: Instant) -> Outcome<bool> {
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

/// What holds for each reply to `sent`.
fn check_reply(reply: Message, sent: Sent) -> Outcome<Message> {
    ensure(reply.is_reply(), || {
        format!("an answer with flags {:#x}, which is no reply", reply.flags)
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
            format!("error {} in a reply that is no error", reply.error)
        })?;
    }
    ensure(reply.flags & !(TYPE_MASK | crate::wire::ERROR) == 0, || {
        format!("reply with flags {:#x}", reply.flags)
    })?;
    Ok(reply)
}

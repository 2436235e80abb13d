// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! One client and its servers, without sockets and without a clock.
//!
//! Each request of the client that wants a reply gets exactly one: the server's, or that of
//! [`dead`](crate::dead) if there is no server, if it leaves, breaks the protocol or takes too long.

mod link;
mod reply;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use log::Level;
use ringbar_endpoint::client_log::note;
use ringbar_vfio_user::wire::{command, KERNEL_MAX_FDS, MAX_MESSAGE};
use ringbar_vfio_user::Errno;

use crate::dead;
use crate::fault::{ClientFault, ServerFault};
use crate::message::{Descriptor, Message};
use crate::record::{is_change, Record};
use link::{Link, Replay};

pub use link::{MAX_CHANGES, MAX_STEPS};

/// Most requests of the client that a server owes an answer. The client is not read beyond.
pub const MAX_OWED: usize = 256;
/// Most requests of servers that the client owes an answer. Those beyond are refused.
pub const MAX_ASKED: usize = 64;
/// Bytes for one peer, or owed to one, beyond which the other is not read: two of the longest
/// messages.
pub const MAX_WAITING: usize = 2 * MAX_MESSAGE;
/// Descriptors in messages that wait, beyond which the client is not read.
pub const MAX_WAITING_FDS: usize = KERNEL_MAX_FDS;

/// A client, its record, and the server of the moment.
#[derive(Debug)]
pub struct Exchange<Fd> {
    /// Time for which the server may owe an answer.
    limit: Duration,
    record: Record<Fd>,
    link: Link<Fd>,
    /// Requests that were passed to the server and wait for its answer.
    owed: VecDeque<Message<Fd>>,
    /// Requests of servers that wait for the client's answer.
    asked: Vec<Asked>,
    to_client: VecDeque<Message<Fd>>,
    to_server: VecDeque<Message<Fd>>,
    /// Time since which the server owes something; `None` if it owes nothing.
    since: Option<Instant>,
    /// Whether the client does not take its next message.
    blocked: bool,
    /// Whether a server has had a message of the client.
    begun: bool,
}

/// A request of a server.
#[derive(Debug)]
struct Asked {
    id: u16,
    command: u16,
    /// Whether the server that asked is still there.
    current: bool,
}

impl<Fd: Descriptor> Exchange<Fd> {
    /// Makes the exchange of a client that has sent nothing yet, without a server.
    pub fn new(limit: Duration) -> Self {
        Self {
            limit,
            record: Record::default(),
            link: Link::Absent,
            owed: VecDeque::new(),
            asked: Vec::new(),
            to_client: VecDeque::new(),
            to_server: VecDeque::new(),
            since: None,
            blocked: false,
            begun: false,
        }
    }

    /// Returns the record.
    pub fn record(&self) -> &Record<Fd> {
        &self.record
    }

    /// Returns whether there is no server.
    pub fn is_dead(&self) -> bool {
        matches!(self.link, Link::Absent)
    }

    /// Returns whether messages go to the server, so that it has been told the whole record.
    pub fn is_live(&self) -> bool {
        matches!(self.link, Link::Live)
    }

    /// Returns whether to read from the client. Not while much waits, and not before there is the
    /// first server: without a version nobody can answer for it.
    pub fn reads_client(&self) -> bool {
        let waiting = [&self.owed, &self.to_client, &self.to_server];
        let fds: usize = waiting.iter().map(|list| fds(list)).sum();
        (self.record.is_agreed() || self.is_live())
            && self.owed.len() < MAX_OWED
            && waiting.iter().all(|list| bytes(list) < MAX_WAITING)
            && fds < MAX_WAITING_FDS
    }

    /// Returns whether to read from the server. Not while much waits for the client, or for the
    /// server itself.
    pub fn reads_server(&self) -> bool {
        !self.is_dead()
            && bytes(&self.to_client) < MAX_WAITING
            && bytes(&self.to_server) < MAX_WAITING
    }

    /// Returns whether the client waits for an answer, or for one to be sent.
    pub fn owes_client(&self) -> bool {
        !self.owed.is_empty() || !self.to_client.is_empty()
    }

    /// Returns the next message for the client.
    pub fn for_client(&self) -> Option<&Message<Fd>> {
        self.to_client.front()
    }

    /// Returns the next message for the server.
    pub fn for_server(&self) -> Option<&Message<Fd>> {
        self.to_server.front()
    }

    /// Takes note that the client has taken its next message.
    pub fn client_took(&mut self, now: Instant) {
        self.to_client.pop_front();
        if self.blocked && self.to_client.is_empty() {
            self.blocked = false;
            self.progress(now);
        }
    }

    /// Takes note that the client does not take its next message now. Until it has taken all,
    /// answers of the server may wait unread, so the server has no time limit.
    pub fn client_blocks(&mut self) {
        self.blocked = true;
    }

    /// Takes note that the server has taken its next message.
    pub fn server_took(&mut self, now: Instant) {
        self.to_server.pop_front();
        // Otherwise a server that takes all and answers nothing would have time without end.
        if self.owed.is_empty() && !self.link.waits() {
            self.progress(now);
        }
    }

    /// Returns the time at which to call [`tick`](Self::tick).
    pub fn deadline(&self) -> Option<Instant> {
        self.since
            .filter(|_| !self.blocked)
            .and_then(|since| since.checked_add(self.limit))
    }

    /// Fails if the server has owed something for too long.
    pub fn tick(&self, now: Instant) -> Result<(), ServerFault> {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return Ok(());
        }
        let oldest = self.owed.front().map(|request| request.header.command);
        Err(match oldest.or(self.link.waits_for()) {
            Some(command) => ServerFault::NoAnswer {
                command,
                limit: self.limit,
            },
            None => ServerFault::NotTaken(self.limit),
        })
    }

    /// Takes note of a server that has connected. It gets the record first.
    pub fn server_came(&mut self, now: Instant) {
        self.to_server.clear();
        if !self.record.is_agreed() {
            self.link = Link::Live;
            return;
        }
        self.link = Link::Replaying(Replay::new(self.record.replay().collect()));
        self.next_step(now);
    }

    /// Takes note that the server is gone, or was dropped. All that it owed is answered in its
    /// place.
    ///
    /// # Errors
    ///
    /// Fails if the client has spoken and no version was agreed on: there is nothing that another
    /// server could be told.
    pub fn server_gone(&mut self, fault: ServerFault) -> Result<(), ClientFault> {
        self.link = Link::Absent;
        self.to_server.clear();
        self.since = None;
        for asked in &mut self.asked {
            asked.current = false;
        }
        if self.begun && !self.record.is_agreed() {
            return Err(ClientFault::NoVersion(fault));
        }
        for request in std::mem::take(&mut self.owed) {
            self.answer(&request);
        }
        Ok(())
    }

    /// Takes a message of the client.
    ///
    /// # Errors
    ///
    /// Fails if the server must be dropped. The client has its answer all the same.
    pub fn take_from_client(
        &mut self,
        message: Message<Fd>,
        now: Instant,
    ) -> Result<(), ServerFault> {
        if message.is_reply() {
            self.client_answered(message, now);
        } else if self.is_live() {
            self.forward(message, now);
        } else {
            let done = self.answer(&message);
            // The server gets it when it has been told all that was before.
            if let Link::Replaying(replay) = &mut self.link
                && done
                && is_change(&message)
            {
                replay.add(&message)?;
            }
        }
        Ok(())
    }

    /// Refuses a request of the client that cannot be passed on.
    pub fn refuse(&mut self, request: &Message<Fd>, errno: Errno) {
        if request.wants_reply() {
            self.to_client.push_back(request.refusal(errno));
        }
    }

    /// Takes a message of the server.
    ///
    /// # Errors
    ///
    /// Fails if the server must be dropped. The message has had no effect then.
    pub fn take_from_server(
        &mut self,
        message: Message<Fd>,
        now: Instant,
    ) -> Result<(), ServerFault> {
        if !message.is_reply() {
            return self.server_asks(message, now);
        }
        match &mut self.link {
            Link::Replaying(replay) => {
                replay.check(&message)?;
                self.next_step(now);
            }
            Link::Live | Link::Absent => self.server_answered(message, now)?,
        }
        Ok(())
    }

    /// Passes a request of the client to the server.
    fn forward(&mut self, request: Message<Fd>, now: Instant) {
        self.begun = true;
        if let Err(error) = self.record.check(&request) {
            note(module_path!(), Level::Warn, format_args!("{error}"));
            self.refuse(&request, error.errno());
            return;
        }
        if request.wants_reply() {
            self.owed.push_back(request.clone());
        } else {
            self.remember(&request, None);
        }
        self.send(request, now);
    }

    /// Answers a request of the client in place of the server. Returns whether it was carried out.
    fn answer(&mut self, request: &Message<Fd>) -> bool {
        let reply = dead::answer(request, &mut self.record);
        let done = !reply.is_error();
        if request.wants_reply() {
            self.to_client.push_back(reply);
        }
        done
    }

    /// Takes the server's answer to a request of the client.
    fn server_answered(&mut self, reply: Message<Fd>, now: Instant) -> Result<(), ServerFault> {
        let id = reply.header.id;
        let index = self
            .owed
            .iter()
            .position(|request| request.header.id == id)
            .ok_or(ServerFault::Unasked(id))?;
        if let Some(request) = self.owed.get(index) {
            reply::check(request, &reply)?;
        }
        if let Some(request) = self.owed.remove(index) {
            // Before the reply goes out: the record lets go of descriptors that the client knows to
            // be closed then.
            self.remember(&request, Some(&reply));
        }
        self.to_client.push_back(reply);
        self.progress(now);
        Ok(())
    }

    /// Takes a request of the server.
    fn server_asks(&mut self, message: Message<Fd>, now: Instant) -> Result<(), ServerFault> {
        let (id, command) = (message.header.id, message.header.command);
        if !matches!(command, command::DMA_READ | command::DMA_WRITE) {
            return Err(ServerFault::Request(command));
        }
        reply::check_fds(&message, 0)?;
        if message.wants_reply() {
            if self.asked.len() >= MAX_ASKED {
                note(
                    module_path!(),
                    Level::Warn,
                    format_args!("server: {MAX_ASKED} requests to the client are the limit"),
                );
                self.send(message.refusal(Errno::BUSY), now);
                return Ok(());
            }
            self.asked.push(Asked {
                id,
                command,
                current: true,
            });
        }
        self.to_client.push_back(message);
        Ok(())
    }

    /// Takes the client's answer to a request of a server.
    fn client_answered(&mut self, reply: Message<Fd>, now: Instant) {
        let header = reply.header;
        // The first with this number: a client answers in order, so an older one is answered first.
        let index = self
            .asked
            .iter()
            .position(|asked| (asked.id, asked.command) == (header.id, header.command));
        // An answer that was not asked for, or asked by a server that is gone, is dropped.
        if let Some(index) = index
            && self.asked.remove(index).current
        {
            self.send(reply, now);
        }
    }

    /// Notes a request that the server has carried out.
    fn remember(&mut self, request: &Message<Fd>, reply: Option<&Message<Fd>>) {
        if let Err(error) = self.record.note(request, reply) {
            note(
                module_path!(),
                Level::Debug,
                format_args!("a new server will lack this: {error}"),
            );
        }
    }

    /// Sends the next request of the record, or lets the client through if there is none.
    fn next_step(&mut self, now: Instant) {
        let Link::Replaying(replay) = &mut self.link else {
            return;
        };
        match replay.next_request() {
            Some(request) => {
                self.to_server.push_back(request);
                self.since = Some(now);
            }
            None => {
                self.link = Link::Live;
                self.progress(now);
            }
        }
    }

    /// Puts a message into the line for the server.
    fn send(&mut self, message: Message<Fd>, now: Instant) {
        self.to_server.push_back(message);
        self.since.get_or_insert(now);
    }

    /// Gives the server its whole time again, if it owes something.
    fn progress(&mut self, now: Instant) {
        let owes = !self.owed.is_empty() || !self.to_server.is_empty() || self.link.waits();
        self.since = owes.then_some(now);
    }
}

/// Returns the number of bytes of these messages.
fn bytes<Fd>(messages: &VecDeque<Message<Fd>>) -> usize {
    messages.iter().map(Message::size).sum()
}

/// Returns the number of descriptors of these messages.
fn fds<Fd>(messages: &VecDeque<Message<Fd>>) -> usize {
    messages.iter().map(|message| message.fds.len()).sum()
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The server of the moment, and what it must be told before it serves the client.

use std::collections::VecDeque;

use log::Level;
use ringbar_endpoint::client_log::note;
use ringbar_vfio_user::wire::command::{self, Name};
use ringbar_vfio_user::wire::MAX_DMA_MAPS;

use super::reply;
use crate::fault::ServerFault;
use crate::message::{Descriptor, Message};
use crate::record::{Step, MAX_EVENTFDS, MAX_INFOS, MAX_WRITES};

/// Most messages of the record that wait for a new server: twice as many as a record can have, so
/// that the client may change all of it meanwhile.
pub const MAX_STEPS: usize = 2 * (1 + MAX_INFOS + MAX_DMA_MAPS + MAX_WRITES + MAX_EVENTFDS);

/// Most bytes of the requests that the client sends while a new server is told the record.
pub const MAX_CHANGES: usize = 16 << 20;

/// The server of the moment.
#[derive(Debug)]
pub(super) enum Link<Fd> {
    /// There is none.
    Absent,
    /// It is being told the record.
    Replaying(Replay<Fd>),
    /// Messages pass.
    Live,
}

/// The record on its way to a new server, one message at a time.
#[derive(Debug)]
pub(super) struct Replay<Fd> {
    steps: VecDeque<Step<Fd>>,
    /// Bytes of the steps that were added since the start.
    added: usize,
    /// The one that was sent, and its number.
    sent: Option<(u16, Step<Fd>)>,
    next_id: u16,
}

impl<Fd: Descriptor> Link<Fd> {
    /// Returns whether the server owes an answer to a message of the record.
    pub(super) fn waits(&self) -> bool {
        self.waits_for().is_some()
    }

    /// Returns the command of the message of the record that the server owes an answer.
    pub(super) fn waits_for(&self) -> Option<u16> {
        match self {
            Self::Replaying(Replay {
                sent: Some((_, step)),
                ..
            }) => Some(step.command),
            _ => None,
        }
    }
}

impl<Fd: Descriptor> Replay<Fd> {
    /// Makes the replay of these steps.
    pub(super) fn new(steps: VecDeque<Step<Fd>>) -> Self {
        Self {
            steps,
            added: 0,
            sent: None,
            next_id: 0,
        }
    }

    /// Returns the next request; `None` at the end.
    pub(super) fn next_request(&mut self) -> Option<Message<Fd>> {
        let step = self.steps.pop_front()?;
        let id = self.next_id;
        self.next_id = id.wrapping_add(1);
        let request = Message::request(id, step.command, step.payload.clone(), step.fds.clone());
        self.sent = Some((id, step));
        Some(request)
    }

    /// Adds a request that the client has sent meanwhile.
    ///
    /// # Errors
    ///
    /// Fails if too many wait.
    pub(super) fn add(&mut self, request: &Message<Fd>) -> Result<(), ServerFault> {
        self.added = self.added.saturating_add(request.size());
        if self.steps.len() >= MAX_STEPS || self.added > MAX_CHANGES {
            return Err(ServerFault::Behind);
        }
        self.steps.push_back(Step::repeat(request));
        Ok(())
    }

    /// Fails if the server's answer is not that of a server that can take over.
    pub(super) fn check(&mut self, answer: &Message<Fd>) -> Result<(), ServerFault> {
        let unasked = ServerFault::Unasked(answer.header.id);
        let (id, step) = self.sent.take().ok_or(unasked.clone())?;
        if answer.header.id != id {
            return Err(unasked);
        }
        let request = Message::request(id, step.command, step.payload.clone(), Vec::new());
        reply::check(&request, answer)?;
        let error = answer.header.error;
        match &step.expected {
            Some(expected) => compare(&request, expected, answer)?,
            None if !answer.is_error() => {}
            None if step.command == command::VERSION => return Err(ServerFault::Version(error)),
            // The client may have sent this while there was no server to refuse it. If it were the
            // end of this server, it would be that of each later one, too.
            None => note(
                module_path!(),
                Level::Warn,
                format_args!(
                    "the new server refuses {} of the record with error {error}: it lacks this",
                    Name(step.command)
                ),
            ),
        }
        Ok(())
    }
}

/// Fails if an answer describes another device than that of the first server.
fn compare<Fd: Descriptor>(
    request: &Message<Fd>,
    expected: &Message<Fd>,
    answer: &Message<Fd>,
) -> Result<(), ServerFault> {
    let index = index(request);
    let same_kind = expected.is_error() == answer.is_error();
    if !same_kind || expected.payload != answer.payload || expected.fds.len() != answer.fds.len() {
        return Err(ServerFault::Differs {
            command: request.header.command,
            index,
        });
    }
    // The client has mapped the first server's file for good. A server with another one would work
    // on memory that the guest never touches.
    let mut files = expected.fds.iter().zip(&answer.fds);
    if !files.all(|(known, new)| known.is_same_file(new)) {
        return Err(ServerFault::OtherFile(index));
    }
    Ok(())
}

/// Returns the index that a question is about.
fn index<Fd>(request: &Message<Fd>) -> u32 {
    if request.header.command == command::DEVICE_GET_INFO {
        return 0;
    }
    let mut fields = request.fields();
    let (_argsz, _flags) = (fields.u32(), fields.u32());
    fields.u32().unwrap_or_default()
}

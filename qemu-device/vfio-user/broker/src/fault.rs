// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Reasons for which the broker leaves a peer.

use std::time::Duration;

use ringbar_vfio_user::wire::command::Name;
use ringbar_vfio_user::wire::MAX_MESSAGE;
use ringbar_vfio_user::{Errno, Violation};

use crate::exchange::{MAX_CHANGES, MAX_STEPS};

/// Reason for which a server was dropped. The client goes on without one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerFault {
    /// It closed the connection.
    #[error("it closed the connection")]
    Closed,
    /// It closed the connection in the middle of a message.
    #[error("it ended in the middle of a message")]
    Truncated,
    /// Its bytes are no message.
    #[error("{0}")]
    Violation(Violation),
    /// Its message is too long.
    #[error("message of {0} bytes, the limit is {MAX_MESSAGE}")]
    TooLong(u32),
    /// Its message has too many file descriptors.
    #[error("{} with {count} file descriptors or more, the limit is {limit}", Name(*.command))]
    Fds {
        /// Command of the message.
        command: u16,
        /// Number that came.
        count: usize,
        /// Number that is allowed.
        limit: usize,
    },
    /// File descriptors were lost on the way.
    #[error("file descriptors were lost; is the limit of open files too low?")]
    Descriptors,
    /// It answers a message that does not wait for an answer.
    #[error("answer to message {0}, which does not wait for one")]
    Unasked(u16),
    /// It answers another command than the message with this number was.
    #[error("answer to {}, but {} was asked", Name(*.answer), Name(*.request))]
    Command {
        /// Command of the answer.
        answer: u16,
        /// Command of the request.
        request: u16,
    },
    /// Its answer is longer than the client has room for. QEMU would lose its place in the stream.
    #[error("answer of {size} bytes to {}, the client has room for {room}", Name(*.command))]
    Room {
        /// Command of the request.
        command: u16,
        /// Size of the answer.
        size: usize,
        /// Most bytes.
        room: usize,
    },
    /// It asks what no server may ask.
    #[error("{} is no command of a server", Name(*.0))]
    Request(u16),
    /// It did not answer in time.
    #[error("no answer to {} within {} ms", Name(*.command), limit.as_millis())]
    NoAnswer {
        /// Command of the oldest request.
        command: u16,
        /// The limit.
        limit: Duration,
    },
    /// It did not take its messages in time.
    #[error("it took no message within {} ms", .0.as_millis())]
    NotTaken(Duration),
    /// It refuses the version of the client.
    #[error("it refuses the client's VERSION with error {0}, which the first server accepted")]
    Version(u32),
    /// It describes another device than the client knows.
    #[error("its answer to {} for index {index} differs from that of the first server, which the client keeps: start the same device with the same options", Name(*.command))]
    Differs {
        /// Command of the request.
        command: u16,
        /// Index in the request, 0 for `DEVICE_GET_INFO`.
        index: u32,
    },
    /// It has other region files than the client has mapped.
    #[error("region {0} has another file than that of the first server, which the client has mapped: start the server so that it takes the broker's --region-files")]
    OtherFile(u32),
    /// The client changes more than the server takes over.
    #[error("the record grows faster than the server takes it: {MAX_STEPS} messages and {MAX_CHANGES} bytes are the limits")]
    Behind,
    /// The socket failed.
    #[error("socket: {0}")]
    Socket(Errno),
}

impl ServerFault {
    /// Returns whether the server has ended the connection itself.
    pub fn is_end(&self) -> bool {
        matches!(self, Self::Closed | Self::Truncated)
    }
}

/// Reason for which a client was dropped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientFault {
    /// Its bytes are no message.
    #[error(transparent)]
    Violation(#[from] Violation),
    /// Its first message is longer than any.
    #[error("message of {0} bytes, the limit is {MAX_MESSAGE}, before a version was agreed on")]
    TooLong(u32),
    /// File descriptors were lost on the way.
    #[error("file descriptors were lost; is the limit of open files too low?")]
    Descriptors,
    /// The server left before a version was agreed on.
    #[error("no version was agreed on before the server left: {0}")]
    NoVersion(ServerFault),
    /// The socket failed.
    #[error("socket: {0}")]
    Socket(Errno),
}

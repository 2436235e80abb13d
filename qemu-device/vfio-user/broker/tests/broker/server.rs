// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A server that works, and does one thing wrong when it is told to.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex};
use std::thread;

use ringbar_broker::Message;
use ringbar_vfio_user::wire::{Header, HEADER_SIZE};

use crate::client::{receive, send, SPECIAL};
use crate::common::payload_of_success;
use crate::PATIENCE;

/// Action of the server on the next special request.
#[derive(Clone, Debug, Default)]
pub(crate) enum Plan {
    /// It answers.
    #[default]
    Answer,
    /// It ends when it has read so many bytes.
    EndAfterRequest(usize),
    /// It ends when it has sent so many bytes of its answer.
    EndAfterReply(usize),
    /// It sends these bytes and ends.
    Speak(Vec<u8>),
}

/// A server in a thread of its own, that serves one client after the other.
pub(crate) struct Server {
    plan: Arc<Mutex<Plan>>,
}

/// A server that does only what the test tells it.
pub(crate) struct Puppet(pub(crate) UnixStream);

impl Server {
    /// Starts a server.
    pub(crate) fn run(listener: UnixListener) -> Self {
        let plan: Arc<Mutex<Plan>> = Arc::default();
        let shared = Arc::clone(&plan);
        // Ends with the process: it waits for clients for ever.
        thread::spawn(move || {
            for client in listener.incoming() {
                serve(&client.unwrap(), &shared);
            }
        });
        Self { plan }
    }

    /// Sets the plan for the next special request.
    pub(crate) fn plan(&self, plan: Plan) {
        *self.plan.lock().unwrap() = plan;
    }
}

/// Serves a client until it ends, or until a plan has been carried out.
fn serve(mut client: &UnixStream, plan: &Mutex<Plan>) {
    // One byte first: a plan may be to end before a request is whole.
    let mut first = [0];
    while client.read(&mut first).is_ok_and(|read| read == 1) {
        let next = plan.lock().unwrap().clone();
        if let Plan::EndAfterRequest(bytes) = next {
            *plan.lock().unwrap() = Plan::Answer;
            client.read_exact(&mut vec![0; bytes - 1]).unwrap();
            return;
        }
        let mut rest = [0; HEADER_SIZE - 1];
        client.read_exact(&mut rest).unwrap();
        let header = Header::parse(&[&first[..], &rest].concat()).unwrap();
        let mut payload = vec![0; header.size as usize - HEADER_SIZE];
        client.read_exact(&mut payload).unwrap();
        let request: Message<OwnedFd> = Message {
            header,
            payload: payload.into(),
            fds: Vec::new(),
        };
        let reply = success(&request);
        if header.id & SPECIAL == 0 {
            send(client, &reply, &[]);
            continue;
        }
        let bytes = [&reply.header.to_bytes()[..], &reply.payload].concat();
        *plan.lock().unwrap() = Plan::Answer;
        match next {
            Plan::Answer | Plan::EndAfterRequest(_) => send(client, &reply, &[]),
            Plan::EndAfterReply(sent) => return client.write_all(&bytes[..sent]).unwrap(),
            // The broker may have left in the middle of it.
            Plan::Speak(words) => return drop(client.write_all(&words)),
        }
    }
}

/// Returns the reply of a server that works.
pub(crate) fn success(request: &Message<OwnedFd>) -> Message<OwnedFd> {
    request.reply(&payload_of_success(
        request.header.command,
        &request.payload,
    ))
}

impl Puppet {
    /// Waits for the broker.
    pub(crate) fn accept(listener: &UnixListener) -> Self {
        let (client, _) = listener.accept().unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(client)
    }

    /// Receives the next request.
    #[track_caller]
    pub(crate) fn request(&self) -> Message<OwnedFd> {
        receive(&self.0).expect("the broker has left")
    }

    /// Receives the next request, and answers it. Returns the request.
    #[track_caller]
    pub(crate) fn serve(&self) -> Message<OwnedFd> {
        let request = self.request();
        send(&self.0, &success(&request), &[]);
        request
    }

    /// Answers all further requests, in a thread of its own.
    pub(crate) fn work(self) {
        thread::spawn(move || {
            while let Some(request) = receive(&self.0) {
                send(&self.0, &success(&request), &[]);
            }
        });
    }

    /// Waits until the broker has closed the connection.
    #[track_caller]
    pub(crate) fn assert_left(&self) {
        assert!(receive(&self.0).is_none());
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! One client and its servers: messages that pass, answers, requests for a new server.

mod handover;
mod nonsense;
mod passing;
mod patience;
mod random;
mod requests;

use std::slice;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use ringbar_broker::exchange::{MAX_ASKED, MAX_OWED, MAX_WAITING};
use ringbar_broker::fault::{ClientFault, ServerFault};
use ringbar_broker::{Exchange, Message};
use ringbar_vfio_user::testing::{
    self, dma_map, dma_unmap, interrupt_info, region_info, region_read, region_write,
    set_interrupts, version, words, VERSION_TEXT,
};
use ringbar_vfio_user::wire::{command, FLAG_NO_REPLY, MAX_TRANSFER};
use ringbar_vfio_user::Errno;

use crate::common::{file, message, payload_of_success, File, ALIVE};

const LIMIT: Duration = Duration::from_secs(1);
const CONNECT: u32 = 0x24;

/// An exchange with its time.
struct Bench {
    exchange: Exchange<File>,
    now: Instant,
    next_id: u16,
}

impl Bench {
    /// Makes an exchange without a server.
    fn new() -> Self {
        Self {
            exchange: Exchange::new(LIMIT),
            now: Instant::now(),
            next_id: 100,
        }
    }

    /// Makes an exchange that has agreed on a version with its first server.
    fn negotiated() -> Self {
        let mut bench = Self::new();
        bench.exchange.server_came(bench.now);
        bench.ask(&version(VERSION_TEXT), &[]);
        bench.serve();
        bench.take_replies();
        bench
    }

    /// Sends a request of the client with a number of its own. Returns the request.
    fn ask(&mut self, bytes: &[u8], fds: &[File]) -> Message<File> {
        let mut request = message(bytes, fds.to_vec());
        request.header.id = self.next_id;
        self.next_id += 1;
        let taken = self.exchange.take_from_client(request.clone(), self.now);
        assert_eq!(taken, Ok(()));
        request
    }

    /// Takes all messages for the client.
    fn take_replies(&mut self) -> Vec<Message<File>> {
        let mut taken = Vec::new();
        while let Some(message) = self.exchange.for_client() {
            taken.push(message.clone());
            self.exchange.client_took(self.now);
        }
        taken
    }

    /// Takes all messages for the server.
    fn take_requests(&mut self) -> Vec<Message<File>> {
        let mut taken = Vec::new();
        while let Some(message) = self.exchange.for_server() {
            taken.push(message.clone());
            self.exchange.server_took(self.now);
        }
        taken
    }

    /// Answers all requests as a server that works, until there are no more. Returns them.
    fn serve(&mut self) -> Vec<Message<File>> {
        let mut served = Vec::new();
        loop {
            let requests = self.take_requests();
            if requests.is_empty() {
                return served;
            }
            for request in requests {
                if request.wants_reply() {
                    let taken = self.exchange.take_from_server(success(&request), self.now);
                    assert_eq!(taken, Ok(()));
                }
                served.push(request);
            }
        }
    }

    /// Lets the server go.
    fn kill(&mut self) {
        self.exchange.server_gone(ServerFault::Closed).unwrap();
    }

    /// Lets a new server come and take over. Returns what it was told.
    fn replace(&mut self) -> Vec<Message<File>> {
        self.exchange.server_came(self.now);
        let told = self.serve();
        assert!(self.exchange.is_live());
        told
    }
}

/// Returns the reply of a server that works.
fn success(request: &Message<File>) -> Message<File> {
    request.reply(&payload_of_success(
        request.header.command,
        &request.payload,
    ))
}

/// Returns command and payload of messages: all but their numbers.
fn contents(messages: &[Message<File>]) -> Vec<(u16, Vec<u8>, Vec<File>)> {
    messages
        .iter()
        .map(|message| {
            (
                message.header.command,
                message.payload.to_vec(),
                message.fds.clone(),
            )
        })
        .collect()
}

/// Makes a request of a server.
fn dma_read(id: u16) -> Message<File> {
    let mut request = message(
        &testing::message(
            command::DMA_READ,
            &[0_u64, 8].map(u64::to_ne_bytes).concat(),
        ),
        vec![],
    );
    request.header.id = id;
    request
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The broker: any messages of a client, and servers that answer, lie, leave, come, and take their
//! time.
//!
//! Invariants: each request that wants a reply has exactly one, with its number and command, and no
//! longer than the client has room for, whatever the servers do. A new server is told the record one
//! request at a time, the version first. The lines of waiting requests are bounded. No descriptor stays
//! open.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ringbar_broker::exchange::{MAX_ASKED, MAX_OWED};
use ringbar_broker::fault::ServerFault;
use ringbar_broker::message::Descriptor;
use ringbar_broker::{Exchange, Message};
use ringbar_vfio_user::testing::{self, Bank, Token};
use ringbar_vfio_user::wire::{
    command, Header, FLAG_NO_REPLY, HEADER_SIZE, MAX_TRANSFER, TYPE_COMMAND, TYPE_REPLY,
};
use ringbar_vfio_user::Errno;

use crate::input::Input;
use crate::session;

/// Time for which a server may owe an answer.
const LIMIT: Duration = Duration::from_secs(1);
/// Number of the file behind the region that has one.
const REGION_FILE: u32 = 1;
/// Fixed part of an access.
const ACCESS_SIZE: usize = 16;

/// A descriptor that several messages share.
#[derive(Clone)]
struct Fd(Rc<Token>);

impl Descriptor for Fd {
    fn is_same_file(&self, other: &Self) -> bool {
        self.0.number == other.0.number
    }
}

/// An exchange with both of its sides.
struct World {
    exchange: Exchange<Fd>,
    now: Instant,
    bank: Bank,
    next_id: u16,
    /// Requests of the client that have no reply yet.
    waiting: Vec<Message<Fd>>,
    /// Requests that the server has taken and not answered.
    inbox: VecDeque<Message<Fd>>,
    /// Requests of servers that the client has taken and not answered.
    asked: VecDeque<Message<Fd>>,
    /// Whether the server was told something.
    told: bool,
    /// Whether the broker has dropped the client.
    is_over: bool,
    messages: u64,
}

/// Runs the target. Returns the number of messages that the input made.
pub fn run(data: &[u8]) -> u64 {
    let mut input = Input::new(data);
    let mut world = World::new(&mut input);
    while input.more() && !world.is_over {
        match input.byte() {
            0..=79 => world.client_sends(&mut input),
            80..=119 => world.client_takes(),
            120..=167 => world.server_takes(),
            168..=223 => world.server_speaks(&mut input),
            224..=233 => world.server_comes(),
            234..=238 => world.server_ends(ServerFault::Closed),
            239..=246 => world.time_passes(&mut input),
            _ => world.client_answers(&mut input),
        }
        world.check_bounds();
    }
    world.finish()
}

impl World {
    /// Makes an exchange, in most cases one that has agreed on a version.
    fn new(input: &mut Input<'_>) -> Self {
        let mut world = Self {
            exchange: Exchange::new(LIMIT),
            now: Instant::now(),
            bank: Bank::default(),
            next_id: 0,
            waiting: Vec::new(),
            inbox: VecDeque::new(),
            asked: VecDeque::new(),
            told: false,
            is_over: false,
            messages: 0,
        };
        if !input.byte().is_multiple_of(8) {
            world.server_comes();
            let request = world.message(&testing::version(testing::VERSION_TEXT), 0);
            world.send(request);
            world.server_takes();
            world.answer(|request| request.reply(&success(request)));
            world.client_takes();
        }
        world
    }

    /// Makes a message of the client with a number of its own.
    fn message(&mut self, bytes: &[u8], fds: u32) -> Message<Fd> {
        let header = Header::parse(bytes).expect("it was made with a header");
        self.next_id = self.next_id.wrapping_add(1);
        let first = u32::from(self.next_id) << 8;
        Message {
            header: Header {
                id: self.next_id,
                ..header
            },
            payload: bytes[HEADER_SIZE..].into(),
            fds: (first..first + fds)
                .map(|number| self.open(number))
                .collect(),
        }
    }

    fn open(&self, number: u32) -> Fd {
        Fd(Rc::new(self.bank.open(number)))
    }

    /// Has the client send a request, if the broker would read it.
    fn client_sends(&mut self, input: &mut Input<'_>) {
        let bytes = session::well_formed(input);
        let fds = match input.byte() {
            0..=31 => u32::from(input.byte() % 9),
            32..=95 => 1,
            _ => 0,
        };
        let mut request = self.message(&bytes, fds);
        match input.byte() {
            0..=31 => request.header.flags |= FLAG_NO_REPLY,
            // A number that another request may have.
            32..=47 => request.header.id = u16::from(input.byte() % 4),
            _ => {}
        }
        self.send(request);
    }

    fn send(&mut self, request: Message<Fd>) {
        if !self.exchange.reads_client() {
            return;
        }
        self.messages += 1;
        if request.wants_reply() {
            self.waiting.push(request.clone());
        }
        if let Err(fault) = self.exchange.take_from_client(request, self.now) {
            self.server_ends(fault);
        }
    }

    /// Has the client take its next message, which must be one that it can use.
    fn client_takes(&mut self) {
        let Some(message) = self.exchange.for_client().cloned() else {
            return;
        };
        self.exchange.client_took(self.now);
        check_size(&message);
        if !message.is_reply() {
            let command = message.header.command;
            assert!(matches!(command, command::DMA_READ | command::DMA_WRITE));
            if message.wants_reply() {
                self.asked.push_back(message);
            }
            return;
        }
        let is_its = |request: &Message<Fd>| {
            let (one, two) = (request.header, message.header);
            (one.id, one.command) == (two.id, two.command)
        };
        let place = self.waiting.iter().position(is_its);
        let request = self
            .waiting
            .remove(place.expect("a reply without a request"));
        let room = room(&request);
        assert!(message.size() <= room, "{} of {room}", message.size());
        if message.is_error() {
            assert_eq!(message.fds.len(), 0);
        }
    }

    /// Has the client answer a request of a server, or nobody's, or take nothing for a while.
    fn client_answers(&mut self, input: &mut Input<'_>) {
        if input.byte().is_multiple_of(4) {
            if self.exchange.for_client().is_some() {
                self.exchange.client_blocks();
            }
            return;
        }
        if !self.exchange.reads_client() {
            return;
        }
        let reply = match self.asked.pop_front() {
            Some(request) => request.reply(&request.payload),
            None => {
                let mut reply = self.message(&testing::message(command::DMA_READ, &[]), 0);
                reply.header.flags = TYPE_REPLY;
                reply
            }
        };
        self.messages += 1;
        let taken = self.exchange.take_from_client(reply, self.now);
        assert_eq!(taken, Ok(()), "an answer is no reason to drop a server");
    }

    /// Has a server come, if there is none.
    fn server_comes(&mut self) {
        if self.exchange.is_dead() {
            self.told = false;
            self.exchange.server_came(self.now);
        }
    }

    /// Has the server take its next message.
    fn server_takes(&mut self) {
        let Some(message) = self.exchange.for_server().cloned() else {
            return;
        };
        assert!(!self.exchange.is_dead(), "a message for no server");
        let is_new = !self.exchange.is_live();
        self.exchange.server_took(self.now);
        check_size(&message);
        if message.is_reply() {
            return;
        }
        if is_new {
            assert!(self.inbox.is_empty(), "two requests of the record at once");
            let first = command::VERSION;
            assert!(self.told || message.header.command == first, "no version");
        }
        self.told = true;
        if message.wants_reply() {
            self.inbox.push_back(message);
        }
    }

    /// Has the server say something, in most cases the right answer.
    fn server_speaks(&mut self, input: &mut Input<'_>) {
        if self.exchange.is_dead() || !self.exchange.reads_server() {
            return;
        }
        let file = self.open(match input.byte() {
            0 => 2,
            _ => REGION_FILE,
        });
        match input.byte() {
            0..=199 => self.answer(|request| answer_to(request, file)),
            200..=215 => self.answer(|request| request.refusal(Errno::INVAL)),
            216..=225 => {
                let length = usize::from(input.byte());
                let payload = input.bytes(length);
                self.answer(|request| request.reply(payload));
            }
            226..=240 => {
                let asked =
                    input.one_of(&[command::DMA_READ, command::DMA_WRITE, command::VERSION]);
                let request = self.message(&testing::message(asked, &[0; ACCESS_SIZE]), 0);
                self.deliver(request);
            }
            241..=247 => {
                // Another number, or another command.
                let (id, command) = (u16::from(input.byte()), u16::from(input.byte() % 24));
                self.answer(|request| {
                    let mut reply = request.reply(&[]);
                    reply.header.id = reply.header.id.wrapping_add(id);
                    reply.header.command = command;
                    reply
                });
            }
            _ => {
                let bytes = session::well_formed(input);
                let mut message = self.message(&bytes, u32::from(input.byte() % 3));
                message.header.flags = input.one_of(&[TYPE_COMMAND, TYPE_REPLY]);
                self.deliver(message);
            }
        }
    }

    /// Has the server answer the oldest request.
    fn answer(&mut self, make: impl FnOnce(&Message<Fd>) -> Message<Fd>) {
        if let Some(request) = self.inbox.pop_front() {
            self.deliver(make(&request));
        }
    }

    fn deliver(&mut self, message: Message<Fd>) {
        self.messages += 1;
        if let Err(fault) = self.exchange.take_from_server(message, self.now) {
            self.server_ends(fault);
        }
    }

    /// Has the server leave, if there is one.
    fn server_ends(&mut self, fault: ServerFault) {
        if self.exchange.is_dead() {
            return;
        }
        self.inbox.clear();
        self.is_over = self.exchange.server_gone(fault).is_err();
        assert!(self.exchange.for_server().is_none());
    }

    fn time_passes(&mut self, input: &mut Input<'_>) {
        self.now += Duration::from_millis(u64::from(input.byte()) * 8);
        if let Err(fault) = self.exchange.tick(self.now) {
            self.server_ends(fault);
        }
    }

    fn check_bounds(&self) {
        assert!(self.inbox.len() <= MAX_OWED, "{}", self.inbox.len());
        assert!(self.asked.len() <= MAX_ASKED, "{}", self.asked.len());
    }

    /// Ends the last server and then the client. Fails if a request has no reply, or a descriptor is
    /// left.
    fn finish(mut self) -> u64 {
        self.server_ends(ServerFault::Closed);
        while self.exchange.for_client().is_some() {
            self.client_takes();
        }
        // Without a version the broker has dropped the client in place of an answer.
        if !self.is_over {
            assert_eq!(self.waiting.len(), 0, "requests without a reply");
        }
        let (bank, messages) = (self.bank.clone(), self.messages);
        drop(self);
        assert_eq!(bank.live(), 0);
        messages
    }
}

/// Fails if a header names another size than the message has.
fn check_size(message: &Message<Fd>) {
    assert_eq!(message.header.size as usize, message.size());
}

/// Returns the size of the longest reply for which QEMU has room: that of the request, or what the
/// request names.
fn room(request: &Message<Fd>) -> usize {
    let named = match request.header.command {
        command::REGION_READ => word(request, 12).saturating_add(ACCESS_SIZE),
        command::DEVICE_GET_INFO
        | command::DEVICE_GET_REGION_INFO
        | command::DEVICE_GET_REGION_IO_FDS
        | command::DEVICE_GET_IRQ_INFO
        | command::DEVICE_FEATURE
        | command::MIG_DATA_READ => word(request, 0),
        _ => 0,
    };
    request.size().max(named.saturating_add(HEADER_SIZE))
}

/// Returns the 32 bits at `place` of a payload; 0 behind its end.
fn word(request: &Message<Fd>, place: usize) -> usize {
    let bytes = request.payload.get(place..place + 4);
    bytes.map_or(0, |bytes| {
        u32::from_ne_bytes(bytes.try_into().expect("4 bytes")) as usize
    })
}

/// Returns the answer of a server that works, with a file for the region that has one.
fn answer_to(request: &Message<Fd>, file: Fd) -> Message<Fd> {
    let mut reply = request.reply(&success(request));
    if request.header.command == command::DEVICE_GET_REGION_INFO && word(request, 8) == 2 {
        reply.fds.push(file);
    }
    reply
}

/// Returns the payload of a working server's success.
fn success(request: &Message<Fd>) -> Vec<u8> {
    let payload = &request.payload;
    let head = |size: usize| payload.get(..size).unwrap_or_default().to_vec();
    match request.header.command {
        command::REGION_READ => {
            let count = word(request, 12).min(MAX_TRANSFER);
            let mut bytes = head(ACCESS_SIZE);
            bytes.resize(bytes.len() + count, 0x11);
            bytes
        }
        command::REGION_WRITE => head(ACCESS_SIZE),
        command::REGION_WRITE_MULTI => head(8),
        command::DMA_UNMAP => head(24),
        command::VERSION => payload.to_vec(),
        command::DEVICE_GET_INFO => testing::words(&[16, 3, 2, 1]),
        command::DEVICE_GET_REGION_INFO => {
            testing::words(&[32, 7, word(request, 8) as u32, 0, 0x2000, 0, 0, 0])
        }
        command::DEVICE_GET_IRQ_INFO => testing::words(&[16, 1, 2, 9]),
        _ => Vec::new(),
    }
}

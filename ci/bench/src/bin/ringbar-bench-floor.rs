// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The floor of trapped reads and of shared memory: a server that answers reads of BAR 0 with nothing
//! between the receive and the send, and that does nothing with a word in BAR 2 but return it. No
//! server can be sooner by way of the same QEMU, socket and processors. The rest of the protocol is
//! that of any device.

use std::error::Error;
use std::hint::spin_loop;
use std::io::{self, IoSlice, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use clap::Parser;
use ringbar_bench::floor::{BACK, DEVICE, END, THERE, VALUE, VENDOR, WORDS};
use ringbar_endpoint::config_space::{Identity, Messages};
use ringbar_endpoint::function::{Bus, Function};
use ringbar_endpoint::memory::SharedMemory;
use ringbar_endpoint::passing;
use ringbar_endpoint::protocol::wire::{
    command, Header, HEADER_SIZE, SHORTEST_WITH_FDS, TYPE_REPLY,
};
use ringbar_endpoint::protocol::{Action, Session};
use ringbar_endpoint::shape::{Backing, BarShape, Shape};
use ringbar_endpoint::Endpoint;
use rustix::event::{poll, PollFd, PollFlags};

/// Length of a request to read, and of the answer with four bytes.
const REQUEST: usize = HEADER_SIZE + 16;
const ANSWER: usize = REQUEST + 4;
/// Bytes of each BAR.
const BAR: usize = 4096;
/// Looks without a new word after which the echo ends, some seconds.
const LOOKS: u32 = 200_000_000;

/// Serves one client.
#[derive(Debug, Parser)]
struct Options {
    /// Socket that QEMU connects to
    #[arg(long, value_name = "PATH")]
    socket: PathBuf,
    /// Serve one client, as this program always does
    #[arg(long)]
    once: bool,
}

/// Registers that all have one value, and words that are returned.
struct Floor {
    words: Arc<SharedMemory>,
}

impl Function for Floor {
    fn read(&mut self, _bar: u32, _offset: u64, data: &mut [u8], _bus: &mut Bus) {
        for (to, from) in data.iter_mut().zip(VALUE) {
            *to = from;
        }
    }

    /// Starts the echo. A thread that looked for words all the time would take a processor from the
    /// other rows.
    fn write(&mut self, _bar: u32, _offset: u64, _data: &[u8], _bus: &mut Bus) {
        let words = Arc::clone(&self.words);
        thread::spawn(move || echo(&words));
    }

    fn reset(&mut self, _bus: &mut Bus) {}
}

/// Returns each new word until [`END`] comes, or nothing for long.
fn echo(words: &SharedMemory) {
    // The guest may store its first word before this thread runs. The one that ended an earlier
    // measurement is old.
    let mut seen = Some(END);
    let mut looks = 0;
    while looks < LOOKS {
        let word = words.load(THERE);
        if word == seen {
            looks += 1;
            spin_loop();
            continue;
        }
        words.store(BACK, word.unwrap_or(END));
        if word == Some(END) {
            return;
        }
        (seen, looks) = (word, 0);
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let listener = UnixListener::bind(&options.socket)?;
    // The runner waits for this line.
    eprintln!("listening on {}", options.socket.display());
    let (client, _address) = listener.accept()?;
    serve(&client)
}

/// Serves the client until it is gone.
fn serve(mut client: &UnixStream) -> Result<(), Box<dyn Error>> {
    let words = Arc::new(SharedMemory::new("floor", BAR)?);
    let bar = |index, backing| BarShape { index, backing };
    let memory = Backing::Memory(Arc::clone(&words));
    let mut device = Endpoint::new(
        Floor { words },
        Shape {
            identity: Identity {
                vendor: VENDOR,
                device: DEVICE,
                class: 0xff_0000,
                revision: 0,
            },
            bars: vec![bar(0, Backing::Trapped(BAR as u64)), bar(WORDS, memory)],
            messages: Messages::Msi { vectors: 1 },
        },
    )?;
    let mut session = Session::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        poll(&mut [PollFd::new(client, PollFlags::IN)], None)?;
        let between = session.end().is_ok();
        let wanted = match between {
            true => SHORTEST_WITH_FDS,
            false => session.wanted().min(buffer.len()),
        };
        let received = passing::receive(client, &mut buffer[..wanted])?;
        if received.length == 0 {
            return Ok(());
        }
        if between && received.length == REQUEST && answer(&mut buffer[..ANSWER]) {
            client.write_all(&buffer[..ANSWER])?;
            continue;
        }
        let bytes = &buffer[..received.length];
        let mut sent = Ok(());
        session.receive(bytes, received.fds, &mut device, &mut |action| {
            if let Action::Send { bytes, file } = action {
                let files: Vec<_> = file.iter().map(|file| file.as_fd()).collect();
                sent = send(client, bytes, &files);
            }
        })?;
        sent?;
    }
}

/// Sends a message with its files.
fn send(mut client: &UnixStream, bytes: &[u8], files: &[BorrowedFd<'_>]) -> io::Result<()> {
    let taken = passing::send(client, &[IoSlice::new(bytes)], files)?;
    client.write_all(&bytes[taken..])
}

/// Makes the answer out of a request to read four bytes of BAR 0. Returns false if it is another
/// message.
fn answer(message: &mut [u8]) -> bool {
    let Some(header) = Header::parse(message) else {
        return false;
    };
    let region_and_count = [0_u32, 4].map(u32::to_ne_bytes).concat();
    if header.command != command::REGION_READ
        || header.flags != 0
        || message[24..REQUEST] != region_and_count
    {
        return false;
    }
    let answer = Header {
        size: ANSWER as u32,
        flags: TYPE_REPLY,
        ..header
    };
    message[..HEADER_SIZE].copy_from_slice(&answer.to_bytes());
    message[REQUEST..].copy_from_slice(&VALUE);
    true
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Answers QEMU in the place of a server that has ended, until QEMU closes the connection.
//!
//! QEMU 11.1 never lets go of a device with MSI-X ([`hold`](crate::hold)), also not of one whose
//! server was killed. It goes on to tell the device's server of each change of the address map, and
//! aborts if it gets no answer. The answers are those of the broker for a device that is not there.
//!
//! A thread of its own, because QEMU and with it the whole machine wait for each answer.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::net::UnixStream;
use std::thread;

use ringbar_broker::dead;
use ringbar_broker::peer::{End, Peer};
use rustix::event::{poll, PollFd, PollFlags};
use rustix::io::Errno;

/// Answers from now on. The process that answered before must have ended. `log` gets a line if the
/// connection ends otherwise than by QEMU's end of it.
pub(crate) fn answer(connection: UnixStream, mut log: File) -> io::Result<()> {
    let serve = move || {
        if let Err(reason) = serve(connection) {
            // Without a log there is nobody to tell.
            let _ = writeln!(log, "in the place of the server: {reason}");
        }
    };
    let thread = thread::Builder::new().name("stand-in".to_owned());
    thread.spawn(serve).map(|_| ())
}

/// Answers until the connection ends.
fn serve(connection: UnixStream) -> Result<(), String> {
    let mut client = Peer::new(connection).map_err(|error| error.to_string())?;
    loop {
        match client.receive() {
            Ok(None) => wait(&client, PollFlags::IN)?,
            Ok(Some(arrived)) if arrived.message.wants_reply() => {
                let reply = dead::last_answer(&arrived.message);
                while !client.send(&reply).map_err(|error| error.to_string())? {
                    wait(&client, PollFlags::OUT)?;
                }
            }
            Ok(Some(_)) => {}
            Err(End::Closed) => return Ok(()),
            Err(end) => return Err(format!("the connection ended: {end:?}")),
        }
    }
}

/// Waits until the connection is ready.
fn wait(client: &Peer, events: PollFlags) -> Result<(), String> {
    match poll(&mut [PollFd::new(client.socket(), events)], None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringbar_vfio_user::testing::{dma_map, region_read};
    use ringbar_vfio_user::wire::{HEADER_SIZE, TYPE_REPLY};
    use std::fs;
    use std::io::Read as _;
    use std::time::{Duration, Instant};

    /// Time after which a missing answer fails a test.
    const LIMIT: Duration = Duration::from_secs(60);

    /// Returns the log and QEMU's end of a connection that is answered.
    fn answered() -> (tempfile::NamedTempFile, UnixStream) {
        let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
        let log = tempfile::NamedTempFile::new().expect("a file");
        ours.set_read_timeout(Some(LIMIT)).expect("set");
        answer(theirs, log.reopen().expect("a file")).expect("a thread");
        (log, ours)
    }

    /// Sends a request. Returns the flags of the reply, and what is behind its header.
    fn ask(qemu: &mut UnixStream, request: &[u8], length: usize) -> (u32, Vec<u8>) {
        qemu.write_all(request).expect("sent");
        let mut reply = vec![0; HEADER_SIZE + length];
        qemu.read_exact(&mut reply).expect("answered");
        assert_eq!(reply[..2], request[..2], "the number of the request");
        let flags = reply[8..12].try_into().expect("four bytes");
        (u32::from_ne_bytes(flags), reply[HEADER_SIZE..].to_vec())
    }

    #[test]
    fn change_of_the_address_map_succeeds_and_a_read_gives_all_ones() {
        let (_log, mut qemu) = answered();

        let mapped = ask(&mut qemu, &dma_map(3, 0, 0, 0x1000), 0);
        let read = ask(&mut qemu, &region_read(2, 0x40, 4), 20);

        assert_eq!(mapped, (TYPE_REPLY, Vec::new()));
        assert_eq!((read.0, &read.1[16..]), (TYPE_REPLY, &[0xff; 4][..]));
    }

    #[test]
    fn nonsense_ends_the_connection_and_is_told() {
        let (log, mut qemu) = answered();

        qemu.write_all(&[0xff; HEADER_SIZE]).expect("sent");

        assert_eq!(qemu.read(&mut [0]).expect("the end"), 0);
        let told = || fs::read_to_string(log.path()).expect("the log");
        let deadline = Instant::now() + LIMIT;
        while !told().contains("in the place of the server") {
            assert!(Instant::now() < deadline, "the log says {:?}", told());
            thread::yield_now();
        }
    }
}

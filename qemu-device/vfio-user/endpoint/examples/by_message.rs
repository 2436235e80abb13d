// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A device without registers that writes memory of its client by message, reads it back, and
//! prints whether both are the same: `by_message SOCKET ADDRESS`. For memory that comes without a
//! file.

use std::error::Error;
use std::os::unix::net::UnixListener;
use std::thread;
use std::time::Duration;

use ringbar_endpoint::config_space::{Identity, Messages};
use ringbar_endpoint::function::{Bus, Function};
use ringbar_endpoint::shape::{Backing, BarShape, Shape};
use ringbar_endpoint::{ClientMemory, Connection, Endpoint};
use ringbar_vfio_user::Errno;

/// Number of bytes that are written: more than one message holds.
const LENGTH: usize = (1 << 20) + 4096;
/// Pause between two tries.
const PAUSE: Duration = Duration::from_millis(50);

struct Nothing;

impl Function for Nothing {
    fn read(&mut self, _bar: u32, _offset: u64, _data: &mut [u8], _bus: &mut Bus) {}

    fn write(&mut self, _bar: u32, _offset: u64, _data: &[u8], _bus: &mut Bus) {}

    fn reset(&mut self, _bus: &mut Bus) {}
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let socket = arguments.next().ok_or("which socket?")?;
    let address = arguments.next().ok_or("which address?")?.parse()?;
    let shape = Shape {
        identity: Identity {
            vendor: 0x1af4,
            device: 0x10f1,
            // Processing accelerator.
            class: 0x12_0000,
            revision: 0,
        },
        bars: vec![BarShape {
            index: 0,
            backing: Backing::Trapped(4096),
        }],
        messages: Messages::Msi { vectors: 1 },
    };
    let (client, _address) = UnixListener::bind(socket)?.accept()?;
    let connection = Connection::new(client);
    let worker = connection.spawn("worker", move |memory| work(&memory, address))?;
    connection.serve(&mut Endpoint::new(Nothing, shape)?)?;
    println!("{}", worker.join().map_err(|_| "the worker panicked")?);
    Ok(())
}

/// Writes and reads the memory. Returns the text to print. The client refuses until bus mastering
/// is on.
fn work(memory: &ClientMemory, address: u64) -> String {
    let written: Vec<u8> = (0..LENGTH).map(|at| (at % 251) as u8).collect();
    let mut refused = None;
    loop {
        match memory.write(address, &written) {
            Ok(()) => break,
            Err(Errno::PIPE) => return format!("not written: {refused:?}"),
            Err(errno) => refused = Some(errno),
        }
        thread::sleep(PAUSE);
    }
    let mut read = vec![0; LENGTH];
    match memory.read(address, &mut read) {
        Ok(()) if read == written => format!("{LENGTH} bytes written and read"),
        Ok(()) => "other bytes were read".into(),
        Err(errno) => format!("not read: {errno:?}"),
    }
}

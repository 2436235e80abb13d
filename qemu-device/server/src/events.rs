// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Record of the device's work, written to a file for the report: one line of JSON per event, with
//! the time of the host's monotonic clock.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use ringbar_model::Note;
use ringbar_records::place::Place;
use ringbar_records::record::{Event, Hex, Record, What};
use rustix::time::{clock_gettime, ClockId};

/// The file, if there is one. All devices that a server makes, one after the other, share it.
#[derive(Clone, Debug, Default)]
pub struct Events(Option<Arc<Mutex<Option<File>>>>);

impl Events {
    /// Opens a file to append to. A former server of the device may have begun it.
    pub fn append(path: &Path) -> io::Result<Self> {
        let file = File::options().append(true).create(true).open(path)?;
        // The C library looks for the clock at its first use, by a call that the sandbox does not
        // allow. So the first use comes before the sandbox.
        now();
        Ok(Self(Some(Arc::new(Mutex::new(Some(file))))))
    }

    /// Returns whether events are written.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Notes an access that was answered.
    pub fn access(&self, write: bool, bar: u32, offset: u64, data: &[u8]) {
        if !self.is_on() {
            return;
        }
        // The witness records accesses as numbers too: little-endian, the first byte lowest.
        let value = data
            .iter()
            .rev()
            .fold(0, |value: u128, byte| value << 8 | u128::from(*byte));
        self.write(What::Register {
            place: Place::in_bar(bar, offset),
            width: u32::try_from(data.len()).unwrap_or(u32::MAX),
            write,
            value: Some(Hex(value)),
        });
    }

    /// Notes that a vector is raised.
    pub fn interrupt(&self, vector: u16) {
        self.write(What::Interrupt { vector });
    }

    /// Notes an error that went into the device's log.
    pub fn error(&self, code: u16, queue: Option<u16>, value: u64) {
        let value = Hex::from(value);
        self.write(What::Error { code, queue, value });
    }

    /// Notes an event of the model.
    pub fn note(&self, note: Note<'_>) {
        self.write(match note {
            Note::Begins(queue, descriptor) => What::Descriptor {
                queue,
                opcode: descriptor.opcode,
                tag: Hex::from(u64::from(descriptor.tag)),
                length: descriptor.length,
            },
            Note::Ends(queue, completion) => What::Completion {
                queue,
                tag: Hex::from(u64::from(completion.tag)),
                status: completion.status,
                result: Hex::from(completion.result),
            },
        });
    }

    /// Writes an event, unbuffered: the file of a server that is killed has everything up to then.
    fn write(&self, what: What) {
        let Some(file) = &self.0 else { return };
        // The time of the event itself, not of its turn at the file.
        let event = Event {
            time: now(),
            duration: None,
            what,
        };
        let mut file = file.lock();
        let Some(open) = file.as_mut() else { return };
        let line = Record::Event(event).line().map_err(io::Error::from);
        if let Err(error) = line.and_then(|line| open.write_all(line.as_bytes())) {
            log::warn!("the server writes no more events: {error}");
            // A full disk must not end the device, and must not fill the log with one warning per
            // event.
            *file = None;
        }
    }
}

/// Returns the time of the monotonic clock in nanoseconds. The witness uses the same clock.
fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or_default();
    seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_is_in_the_file_at_once_and_a_second_server_adds_to_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("events.jsonl");

        Events::append(&path).expect("a file").interrupt(3);
        let second = Events::append(&path).expect("a file");
        second.access(true, 0, 0x1_0000, b"RST!");

        let text = std::fs::read_to_string(&path).expect("the file");
        let whats: Vec<What> = text
            .lines()
            .map(|line| match Record::parse(line).expect("a record") {
                Record::Event(event) => event.what,
                other => panic!("{other:?}"),
            })
            .collect();
        let write = What::Register {
            place: Place::in_bar(0, 0x1_0000),
            width: 4,
            write: true,
            value: Some(Hex(0x2154_5352)),
        };
        assert_eq!(whats, [What::Interrupt { vector: 3 }, write]);
    }
}

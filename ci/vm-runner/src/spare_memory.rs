// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Memory that comes and goes at the guest's request, in a machine that has room for more of it. Pure:
//! events in, actions out.
//!
//! There are three ways. A DIMM is a backend of its own and a `pc-dimm`, which leaves only if the guest
//! gives all of it back. virtio-mem is one device, whose size the guest makes as large as asked for, in
//! blocks of 2 MiB. The balloon takes memory out of the guest's hands that it had from its boot on.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use serde_json::{json, Value};

use crate::memory::MemorySize;
use crate::qmp::{self, Message};
use crate::request::MachineAction as Action;
use crate::slot::refusal;

/// Number of DIMMs that the machine can take.
const SLOTS: u32 = 8;
/// Size of the virtio-mem device in MiB.
const SPARE: u32 = 1024;
/// Sizes of a DIMM, in MiB: a block of the guest's memory hot plug on x86-64, and all that the DIMMs may
/// have together.
const BLOCK: u32 = 128;
const DIMMS: u32 = 1024;
/// QEMU's names of the virtio-mem device, its backend, and the balloon.
const NAME: &str = "spare";
const BALLOON: &str = "balloon";
/// Bytes of a MiB.
const MIB: u64 = 1 << 20;
/// Time after which a pending request fails.
const LIMIT: Duration = Duration::from_secs(120);
/// Number before that of the first command: below those of [`crate::whole_machine`], above those of all
/// slots.
const FIRST: u64 = 1 << 62;

/// The words of the requests.
pub(crate) const WORDS: [&str; 5] = [
    "dimm_add",
    "dimm_del",
    "memory_size",
    "memory_plugged",
    "balloon",
];

/// Reason for refusing a request of a machine without spare memory.
const NONE: &str = "this machine has no room for more memory; run with --spare-memory, as \
    TESTS=memory_hotplug does";

/// A request of the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Plug a DIMM of so many MiB into this slot.
    DimmAdd(u32, u32),
    /// Ask the guest to give the DIMM in this slot back.
    DimmDel(u32),
    /// Ask the guest to make the virtio-mem device so many MiB large.
    Size(u32),
    /// Return how many MiB of it the guest uses.
    Plugged,
    /// Leave the guest so many MiB of the memory that it has from its boot on.
    Balloon(u32),
}

/// The step that QEMU works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing.
    Idle,
    /// The last one. Its answer ends the request.
    Last,
    /// It makes the backend of a DIMM.
    Backend(u32),
    /// It plugs the DIMM in.
    Dimm(u32),
    /// It removes the backend of a DIMM that it could not plug in.
    Undo,
    /// The guest was asked to give the DIMM back.
    Leaving(u32),
}

/// The memory that comes and goes.
#[derive(Debug)]
pub(crate) struct SpareMemory {
    /// Whether the machine has any.
    there: bool,
    state: State,
    /// Time of the pending request.
    asked: Option<Instant>,
    /// Reason for which the pending request has failed, while its remains are removed.
    failed: String,
    /// Number of the last command.
    command: u64,
}

/// Returns the value of QEMU's `-m` for a machine with room for more memory.
pub(crate) fn sizes(memory: MemorySize) -> String {
    // Room for DIMMs and virtio-mem, and for both at an address that is aligned to 1 GiB.
    let most = memory.mib().saturating_add(4 * SPARE);
    format!("{memory},slots={SLOTS},maxmem={most}M")
}

/// Returns QEMU's arguments for virtio-mem and balloon. Neither is behind the IOMMU.
pub(crate) fn arguments() -> Vec<OsString> {
    let backend = format!("memory-backend-memfd,id={NAME},size={SPARE}M,share=on,reserve=off");
    let spare = format!(
        "virtio-mem-pci,id={NAME}0,memdev={NAME},requested-size=0,block-size=2M,bus=pcie.0,addr=0x2"
    );
    let balloon = format!("virtio-balloon-pci,id={BALLOON},bus=pcie.0,addr=0x3");
    ["-object", &backend, "-device", &spare, "-device", &balloon]
        .map(OsString::from)
        .to_vec()
}

/// Parses a line. Returns `None` if it is a request of another kind.
pub(crate) fn parse(line: &str) -> Option<Result<Request, String>> {
    let mut words = line.split_whitespace();
    let word = words.next().filter(|word| WORDS.contains(word))?;
    let numbers: Vec<_> = words.collect();
    Some(match (word, numbers.as_slice()) {
        ("dimm_add", [slot, size]) => slot_number(slot).and_then(|slot| {
            let size = within(size, BLOCK, DIMMS)?;
            match size.is_multiple_of(BLOCK) {
                true => Ok(Request::DimmAdd(slot, size)),
                false => Err(format!("{size} MiB are no multiple of {BLOCK}")),
            }
        }),
        ("dimm_del", [slot]) => slot_number(slot).map(Request::DimmDel),
        ("memory_size", [size]) => within(size, 0, SPARE).map(Request::Size),
        ("memory_plugged", []) => Ok(Request::Plugged),
        ("balloon", [size]) => within(size, BLOCK, u32::MAX).map(Request::Balloon),
        _ => Err(format!(
            "{line:?} has too few or too many words; the requests are dimm_add SLOT MIB, \
             dimm_del SLOT, memory_size MIB, memory_plugged, balloon MIB"
        )),
    })
}

/// Parses the number of a slot.
fn slot_number(word: &str) -> Result<u32, String> {
    let number = word.parse().ok().filter(|slot| *slot < SLOTS);
    number
        .ok_or_else(|| format!("{word:?} is not a slot; this machine has {SLOTS}, counted from 0"))
}

/// Parses a number of MiB.
fn within(word: &str, least: u32, most: u32) -> Result<u32, String> {
    let number = word
        .parse()
        .ok()
        .filter(|size| (least..=most).contains(size));
    number.ok_or_else(|| format!("{word:?} is no number of MiB from {least} to {most}"))
}

impl SpareMemory {
    /// Returns the state of a machine that starts, with or without room for more memory.
    pub(crate) fn new(there: bool) -> Self {
        Self {
            there,
            state: State::Idle,
            asked: None,
            failed: String::new(),
            command: FIRST,
        }
    }

    /// Returns whether a request is pending.
    pub(crate) fn is_busy(&self) -> bool {
        self.asked.is_some()
    }

    /// Takes a request of the guest.
    pub(crate) fn request(&mut self, request: Request, now: Instant) -> Vec<Action> {
        if !self.there {
            return vec![Action::Answer(refusal(NONE))];
        }
        self.asked = Some(now);
        match request {
            Request::DimmAdd(slot, size) => {
                let backend = json!({
                    "qom-type": "memory-backend-memfd",
                    "id": backend_name(slot),
                    "size": bytes(size),
                    "share": true,
                });
                self.step(State::Backend(slot), "object-add", &backend)
            }
            Request::DimmDel(slot) => self.step(
                State::Leaving(slot),
                "device_del",
                &json!({ "id": name(slot) }),
            ),
            Request::Size(size) => self.step(
                State::Last,
                "qom-set",
                &json!({ "path": path(), "property": "requested-size", "value": bytes(size) }),
            ),
            Request::Plugged => self.step(
                State::Last,
                "qom-get",
                &json!({ "path": path(), "property": "size" }),
            ),
            Request::Balloon(size) => {
                self.step(State::Last, "balloon", &json!({ "value": bytes(size) }))
            }
        }
    }

    /// Takes a message of QEMU.
    pub(crate) fn message(&mut self, message: &Message) -> Vec<Action> {
        match (self.state, message) {
            (State::Leaving(slot), Message::Deleted(device)) if *device == name(slot) => self.step(
                State::Last,
                "object-del",
                &json!({ "id": backend_name(slot) }),
            ),
            (State::Leaving(slot), Message::Kept(device)) if *device == name(slot) => self.end(
                refusal("the guest keeps the DIMM: it could not free all of it"),
            ),
            (_, Message::Answer(id, answer)) if *id == self.command => match answer {
                Ok(()) => self.done(),
                Err(reason) => self.refused(&format!("QEMU refused: {reason}")),
            },
            (State::Last, Message::Number(id, number)) if *id == self.command => {
                self.end(format!("ok {}", number / MIB))
            }
            _ => Vec::new(),
        }
    }

    /// Goes on after QEMU has done a step.
    fn done(&mut self) -> Vec<Action> {
        match self.state {
            State::Backend(slot) => {
                let dimm = json!({
                    "driver": "pc-dimm",
                    "id": name(slot),
                    "memdev": backend_name(slot),
                });
                self.step(State::Dimm(slot), "device_add", &dimm)
            }
            State::Dimm(_) | State::Last => self.end("ok".to_owned()),
            State::Undo => {
                let failed = std::mem::take(&mut self.failed);
                self.end(refusal(&failed))
            }
            // The guest decides.
            State::Leaving(_) | State::Idle => Vec::new(),
        }
    }

    /// Ends the request after QEMU has refused a step. Removes a backend that nothing uses.
    fn refused(&mut self, reason: &str) -> Vec<Action> {
        match self.state {
            State::Dimm(slot) => {
                reason.clone_into(&mut self.failed);
                self.step(
                    State::Undo,
                    "object-del",
                    &json!({ "id": backend_name(slot) }),
                )
            }
            _ => self.end(refusal(reason)),
        }
    }

    /// Fails a request that has been pending too long.
    pub(crate) fn tick(&mut self, now: Instant) -> Vec<Action> {
        let late = |asked| now.saturating_duration_since(asked) >= LIMIT;
        if !self.asked.is_some_and(late) {
            return Vec::new();
        }
        let limit = LIMIT.as_secs();
        let what = match self.state {
            State::Leaving(_) => "the guest neither gave the DIMM back nor refused",
            _ => "QEMU did not answer",
        };
        self.end(refusal(&format!("{what} within {limit} s")))
    }

    /// Returns a command for QEMU, with a number of its own.
    fn step(&mut self, state: State, name: &str, arguments: &Value) -> Vec<Action> {
        self.state = state;
        self.command = self.command.wrapping_add(1);
        vec![Action::Command(qmp::command(self.command, name, arguments))]
    }

    /// Ends the pending request.
    fn end(&mut self, line: String) -> Vec<Action> {
        self.state = State::Idle;
        let asked = self.asked.take();
        asked.map(|_| Action::Answer(line)).into_iter().collect()
    }
}

/// Returns QEMU's name of the DIMM in a slot.
fn name(slot: u32) -> String {
    format!("dimm{slot}")
}

/// Returns QEMU's name of its backend.
fn backend_name(slot: u32) -> String {
    format!("dimm{slot}-memory")
}

/// Returns QEMU's path of the virtio-mem device.
fn path() -> String {
    format!("/machine/peripheral/{NAME}0")
}

/// Returns the bytes of so many MiB.
fn bytes(mib: u32) -> u64 {
    u64::from(mib) * MIB
}

#[cfg(test)]
mod tests;

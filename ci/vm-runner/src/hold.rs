// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Unplugging a device with MSI-X, which QEMU 11.1 does not survive without help. Pure: events in,
//! commands out.
//!
//! QEMU 11.1 aborts when it frees a vfio-user device with MSI-X. So the device is never freed: a
//! spare vCPU is plugged in before, with a region of the device as its memory, and so with a
//! reference to the device. The device then leaves as any other does, except that QEMU reports
//! `DEVICE_DELETED` only when it frees a device. So the list of devices shows that it has left.
//!
//! The vCPU stays until QEMU ends. The guest never starts it: its memory is a table of MSI-X.
//! Only under TCG can a vCPU have a memory of its own.

use std::time::{Duration, Instant};

use serde_json::{json, Value};

use crate::qmp::Message;

/// Vcpus that a machine has to spare, one per unplug. With those of the guest they stay below 255,
/// the last number of a processor that works without an interrupt controller for more (x2APIC).
pub(crate) const SPARE_PROCESSORS: u32 = 126;

/// Folder of QEMU's objects that holds the devices with names.
const DEVICES: &str = "/machine/peripheral";
/// Child of a device that exists if it has MSI-X.
const TABLE: &str = "msix-table[0]";
/// Time between two looks at the list of devices.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// Next step for the slot.
#[derive(Debug, PartialEq)]
pub(crate) enum Next {
    /// Send this command to QEMU, and pass its answer on.
    Tell(&'static str, Value),
    /// Wait.
    Wait,
    /// The device has left.
    Left,
    /// The device stays in its slot, for this reason.
    Stays(String),
}

/// Progress of a device on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// It is free: QEMU would abort.
    Free,
    /// QEMU lists the children of the device.
    Children,
    /// QEMU lists processors for the device, whose table is here.
    Processors { table: String },
    /// QEMU adds the processor that holds the device.
    Adding,
    /// A processor holds the device, which is in its slot.
    Held,
    /// QEMU was told to unplug it.
    Asked,
    /// It is on its way. The next look at the list of devices is due at this time.
    Leaves(Instant),
    /// QEMU lists the devices.
    Looks,
}

/// The way out of one device.
#[derive(Clone, Debug)]
pub(crate) struct Hold {
    /// Name of the device in QEMU.
    device: String,
    state: State,
}

impl Hold {
    /// Returns the way out of the device with this name.
    pub(crate) fn new(device: String) -> Self {
        Self {
            device,
            state: State::Free,
        }
    }

    /// Begins to unplug the device.
    pub(crate) fn begin(&mut self) -> Next {
        match self.state {
            // QEMU refused an earlier request after the device was held.
            State::Held => self.unplug(),
            _ => {
                self.state = State::Children;
                let path = format!("{DEVICES}/{}", self.device);
                Next::Tell("qom-list", json!({ "path": path }))
            }
        }
    }

    /// Takes QEMU's answer to the last command.
    pub(crate) fn answer(&mut self, answer: &Message, now: Instant) -> Next {
        match (self.state.clone(), answer) {
            (State::Children, Message::Listed(_, children)) => self.find_table(children),
            (State::Processors { table }, Message::Listed(_, processors)) => {
                self.add_processor(&table, processors)
            }
            (State::Adding, Message::Answer(_, Ok(()))) => self.unplug(),
            (State::Asked, Message::Answer(_, Ok(()))) => {
                self.state = State::Leaves(now);
                Next::Wait
            }
            (State::Looks, Message::Listed(_, devices)) => self.look_for_device(devices, now),
            (State::Asked, Message::Answer(_, Err(reason))) => {
                self.state = State::Held;
                Next::Stays(format!("QEMU refused device_del: {reason}"))
            }
            (_, Message::Answer(_, Err(reason))) => self.stays(&format!(
                "QEMU refused a command that keeps it from aborting when the device leaves: {reason}"
            )),
            _ => Next::Wait,
        }
    }

    /// Looks whether the device has left, if it is time.
    pub(crate) fn tick(&mut self, now: Instant) -> Next {
        match self.state {
            State::Leaves(due) if now >= due => {
                self.state = State::Looks;
                Next::Tell("qom-list", json!({ "path": DEVICES }))
            }
            _ => Next::Wait,
        }
    }

    fn find_table(&mut self, children: &[Value]) -> Next {
        if !has_child(children, TABLE) {
            return self.stays(&format!(
                "QEMU has no {TABLE} in {}, by which a vCPU could hold the device; \
                 is it another QEMU than 11.1? Run with --interrupts msi",
                self.device
            ));
        }
        let table = format!("{DEVICES}/{}/{TABLE}", self.device);
        self.state = State::Processors { table };
        Next::Tell("query-hotpluggable-cpus", json!({}))
    }

    fn add_processor(&mut self, table: &str, processors: &[Value]) -> Next {
        let Some(processor) = processors.iter().find(|processor| is_free(processor)) else {
            return self.stays(&format!(
                "all {SPARE_PROCESSORS} spare vCPUs of this machine hold devices that have left, \
                 one each, and without one QEMU 11.1 aborts; \
                 unplug the device less often, or run with --interrupts msi"
            ));
        };
        let Some(arguments) = holder(processor, table) else {
            return self.stays(&format!(
                "QEMU listed a processor without properties or type: {processor}"
            ));
        };
        self.state = State::Adding;
        Next::Tell("device_add", arguments)
    }

    fn unplug(&mut self) -> Next {
        self.state = State::Asked;
        Next::Tell("device_del", json!({ "id": self.device }))
    }

    fn look_for_device(&mut self, devices: &[Value], now: Instant) -> Next {
        if has_child(devices, &self.device) {
            self.state = State::Leaves(now.checked_add(BETWEEN_LOOKS).unwrap_or(now));
            return Next::Wait;
        }
        // The next device of this name is another one.
        self.state = State::Free;
        Next::Left
    }

    fn stays(&mut self, reason: &str) -> Next {
        self.state = State::Free;
        Next::Stays(reason.to_owned())
    }
}

/// Returns the number of processors in QEMU's list that no device has taken.
pub(crate) fn spare(processors: &[Value]) -> usize {
    let free = processors.iter().filter(|processor| is_free(processor));
    free.count()
}

/// Returns whether a processor of QEMU's list is not in the machine.
fn is_free(processor: &Value) -> bool {
    processor.get("qom-path").is_none()
}

/// Returns whether QEMU's list of an object's properties has one of this name.
fn has_child(properties: &[Value], name: &str) -> bool {
    let mut names = properties
        .iter()
        .filter_map(|property| property.get("name"));
    names.any(|known| known == name)
}

/// Returns the arguments for a processor whose memory is the region at `path`.
fn holder(processor: &Value, path: &str) -> Option<Value> {
    let properties = processor.get("props")?.as_object()?;
    let numbers = properties.values().map(|number| format!("-{number}"));
    let mut arguments = properties.clone();
    let id = format!("hold{}", numbers.collect::<String>());
    arguments.insert("id".to_owned(), id.into());
    arguments.insert("driver".to_owned(), processor.get("type")?.clone());
    arguments.insert("memory".to_owned(), path.into());
    Some(Value::Object(arguments))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE_PATH: &str = "/machine/peripheral/ringbar0/msix-table[0]";

    fn hold() -> Hold {
        Hold::new("ringbar0".to_owned())
    }

    fn listed(names: &[&str]) -> Message {
        let items = names
            .iter()
            .map(|name| json!({ "name": name, "type": "t" }));
        Message::Listed(1, items.collect())
    }

    /// Returns a list of processors: one of the guest, one that holds a device, and `free` others.
    fn processors(free: u32) -> Message {
        let entry = |core: u32, path: Option<&str>| {
            let mut entry = json!({
                "props": { "socket-id": 0, "core-id": core, "thread-id": 0 },
                "vcpus-count": 1,
                "type": "max-x86_64-cpu",
            });
            if let Some(path) = path {
                entry["qom-path"] = path.into();
            }
            entry
        };
        let taken = [
            entry(0, Some("/machine/unattached/device[0]")),
            entry(1, Some("/machine/peripheral/hold-1-0-0")),
        ];
        let free = (2..).take(free as usize).map(|core| entry(core, None));
        Message::Listed(1, taken.into_iter().chain(free).collect())
    }

    fn done() -> Message {
        Message::Answer(1, Ok(()))
    }

    fn refused() -> Message {
        Message::Answer(1, Err("no".to_owned()))
    }

    /// Has QEMU take the first steps, up to `device_del`.
    fn asked(hold: &mut Hold, now: Instant) -> Next {
        hold.begin();
        hold.answer(&listed(&["msix-table[0]"]), now);
        hold.answer(&processors(1), now);
        hold.answer(&done(), now)
    }

    #[track_caller]
    fn assert_stays(next: Next, reason: &str) {
        assert!(
            matches!(&next, Next::Stays(text) if text.contains(reason)),
            "{next:?}"
        );
    }

    #[test]
    fn free_vcpu_holds_the_table_before_the_device_is_unplugged() {
        let (mut hold, now) = (hold(), Instant::now());

        let children = hold.begin();
        let list = hold.answer(&listed(&["type", "msix-table[0]"]), now);
        let add = hold.answer(&processors(2), now);
        let del = hold.answer(&done(), now);

        let path = json!({ "path": "/machine/peripheral/ringbar0" });
        assert_eq!(children, Next::Tell("qom-list", path));
        assert_eq!(list, Next::Tell("query-hotpluggable-cpus", json!({})));
        let holder = json!({
            "driver": "max-x86_64-cpu", "id": "hold-2-0-0", "memory": TABLE_PATH,
            "socket-id": 0, "core-id": 2, "thread-id": 0,
        });
        assert_eq!(add, Next::Tell("device_add", holder));
        assert_eq!(del, Next::Tell("device_del", json!({ "id": "ringbar0" })));
    }

    #[test]
    fn device_has_left_when_it_is_out_of_the_list() {
        let (mut hold, now) = (hold(), Instant::now());
        asked(&mut hold, now);
        let look = Next::Tell("qom-list", json!({ "path": "/machine/peripheral" }));

        let accepted = hold.answer(&done(), now);
        let first = hold.tick(now);
        let meanwhile = hold.tick(now);
        let there = hold.answer(&listed(&["port0", "ringbar0"]), now);
        let early = hold.tick(now);
        let second = hold.tick(now + BETWEEN_LOOKS);
        let gone = hold.answer(&listed(&["port0", "ringbar1"]), now);

        assert_eq!((accepted, meanwhile), (Next::Wait, Next::Wait));
        assert_eq!((there, early), (Next::Wait, Next::Wait));
        assert_eq!(first, look);
        assert_eq!((second, gone), (look, Next::Left));
    }

    #[test]
    fn next_device_needs_a_vcpu_of_its_own() {
        let (mut hold, now) = (hold(), Instant::now());
        asked(&mut hold, now);
        hold.answer(&done(), now);
        hold.tick(now);
        hold.answer(&listed(&[]), now);

        assert!(matches!(hold.begin(), Next::Tell("qom-list", _)));
    }

    #[test]
    fn lack_of_a_spare_vcpu_is_named_with_the_limit() {
        let (mut hold, now) = (hold(), Instant::now());
        hold.begin();
        hold.answer(&listed(&["msix-table[0]"]), now);

        assert_stays(hold.answer(&processors(0), now), "all 126 spare vCPUs");
    }

    #[test]
    fn device_without_a_table_is_not_unplugged() {
        let (mut hold, now) = (hold(), Instant::now());
        hold.begin();

        let next = hold.answer(&listed(&["msix-table[1]"]), now);

        assert_stays(next, "no msix-table[0] in ringbar0");
    }

    #[test]
    fn refusal_of_the_vcpu_leaves_the_device_without_one() {
        let (mut hold, now) = (hold(), Instant::now());
        hold.begin();
        hold.answer(&listed(&["msix-table[0]"]), now);
        hold.answer(&processors(1), now);

        assert_stays(hold.answer(&refused(), now), "aborting");
        assert!(matches!(hold.begin(), Next::Tell("qom-list", _)));
    }

    #[test]
    fn device_that_qemu_kept_is_held_already() {
        let (mut hold, now) = (hold(), Instant::now());
        asked(&mut hold, now);

        assert_stays(hold.answer(&refused(), now), "QEMU refused device_del: no");
        assert!(matches!(hold.begin(), Next::Tell("device_del", _)));
    }

    #[test]
    fn processor_that_cannot_be_named_is_refused() {
        let (mut hold, now) = (hold(), Instant::now());
        hold.begin();
        hold.answer(&listed(&["msix-table[0]"]), now);

        let strange = Message::Listed(1, vec![json!({ "type": 7 })]);

        assert_stays(hold.answer(&strange, now), "without properties");
    }

    #[test]
    fn processors_that_hold_a_device_are_not_spare() {
        let Message::Listed(_, processors) = processors(3) else {
            panic!("a list")
        };

        assert_eq!(spare(&processors), 3);
    }
}

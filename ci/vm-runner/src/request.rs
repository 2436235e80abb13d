// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Requests of the guest. Pure: text to request.

use ringbar_lies::Lie;

use crate::restart;
use crate::spare_memory;

/// A request of the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Unplug the device from its slot.
    DeviceDel,
    /// Plug a device with a new server into the slot. The server may have to tell a lie from the
    /// start on.
    DeviceAdd(Option<Lie>),
    /// Kill the server while the device is in its slot.
    ServerKill,
    /// Stop the server by a signal, so that it answers nothing.
    ServerStop,
    /// Continue the stopped server.
    ServerCont,
    /// End the server behind the broker, if there is one, and start another.
    ServerSwap,
}

/// An error that the port above a device reports about its link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkError {
    /// The hardware has corrected it.
    Correctable,
    /// A transaction is lost; the link works.
    NonFatal,
    /// The link does not work any more.
    Fatal,
}

/// A request about the whole machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MachineRequest {
    /// Wake the machine as soon as it sleeps.
    Wake,
    /// Send lines until the guest is awake.
    Knock,
    /// The guest is awake.
    Awake,
    /// Have the port above a device report an error.
    LinkError(u32, LinkError),
    /// Say how often a device can be unplugged.
    Unplugs,
}

/// An action for a request about the whole machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MachineAction {
    /// Send a line to QEMU's monitor.
    Command(String),
    /// Send a line to the guest.
    Answer(String),
}

/// A request, by the part of the machine that it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// One device.
    Device(Request, u32),
    /// The machine.
    Machine(MachineRequest),
}

const WORDS: [(&str, Request); 6] = [
    ("device_del", Request::DeviceDel),
    ("device_add", Request::DeviceAdd(None)),
    ("server_kill", Request::ServerKill),
    ("server_stop", Request::ServerStop),
    ("server_cont", Request::ServerCont),
    ("server_swap", Request::ServerSwap),
];

/// Errors of a link: the words for them, and what they mean.
const LINK_ERRORS: [(&str, LinkError); 3] = [
    ("link_correctable", LinkError::Correctable),
    ("link_nonfatal", LinkError::NonFatal),
    ("link_fatal", LinkError::Fatal),
];

/// Requests about the machine.
const OF_THE_MACHINE: [(&str, MachineRequest); 4] = [
    ("unplugs", MachineRequest::Unplugs),
    ("wake", MachineRequest::Wake),
    ("knock", MachineRequest::Knock),
    ("awake", MachineRequest::Awake),
];

/// Parses a line: a word, then the number of the device, by default 0, and for `device_add` the name
/// of a lie, by default none. Words about the machine have no number.
pub(crate) fn parse(line: &str, devices: u32) -> Result<Asked, String> {
    if let Some((_, request)) = OF_THE_MACHINE.iter().find(|(known, _)| *known == line) {
        return Ok(Asked::Machine(*request));
    }
    let (word, number) = line.split_once(' ').unwrap_or((line, "0"));
    let (number, lie) = match number.split_once(' ') {
        Some((number, name)) if word == "device_add" => (number, Some(named(name)?)),
        _ => (number, None),
    };
    let device = || match number.parse() {
        Ok(number) if number < devices => Ok(number),
        _ => Err(format!(
            "{number:?} is not a device; this machine has {devices}, counted from 0"
        )),
    };
    if let Some((_, request)) = WORDS.iter().find(|(known, _)| *known == word) {
        let request = match request {
            Request::DeviceAdd(_) => Request::DeviceAdd(lie),
            other => *other,
        };
        return Ok(Asked::Device(request, device()?));
    }
    if let Some((_, error)) = LINK_ERRORS.iter().find(|(known, _)| *known == word) {
        let error = MachineRequest::LinkError(device()?, *error);
        return Ok(Asked::Machine(error));
    }
    let mut known = WORDS.map(|(known, _)| known).to_vec();
    known.extend(LINK_ERRORS.map(|(known, _)| known));
    known.extend(OF_THE_MACHINE.map(|(known, _)| known));
    known.extend(restart::WORDS);
    known.extend(spare_memory::WORDS);
    let known = known.join(", ");
    Err(format!(
        "{word:?} is not a request; the requests are {known}"
    ))
}

/// Returns the lie with this name. The server gets no other words of the guest.
fn named(name: &str) -> Result<Lie, String> {
    Lie::named(name).ok_or_else(|| {
        format!(
            "{name:?} is not a lie; the table of lies in guest-driver/README.md has their names"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn assert_refused(line: &str, reason: &str) {
        let error = parse(line, 2).expect_err("refused");
        assert!(error.contains(reason), "{error}");
    }

    #[test]
    fn request_without_a_number_means_the_first_device() {
        assert_eq!(
            parse("device_del", 1),
            Ok(Asked::Device(Request::DeviceDel, 0))
        );
    }

    #[test]
    fn number_names_the_device() {
        let asked = Asked::Device(Request::ServerKill, 1);

        assert_eq!(parse("server_kill 1", 2), Ok(asked));
    }

    #[test]
    fn number_names_the_device_below_the_port_of_a_link_error() {
        let asked = Asked::Machine(MachineRequest::LinkError(1, LinkError::NonFatal));

        assert_eq!(parse("link_nonfatal 1", 2), Ok(asked));
        assert_refused("link_fatal 2", "\"2\" is not a device");
    }

    #[test]
    fn device_is_added_with_a_lie_by_name() {
        let asked = Asked::Device(Request::DeviceAdd(Some(Lie::MemoryShort)), 1);

        assert_eq!(parse("device_add 1 memory-short", 2), Ok(asked));
    }

    #[test]
    fn server_gets_no_word_that_is_not_a_lie() {
        assert_refused("device_add 1 --sandbox=none", "is not a lie");
        assert_refused("server_kill 1 memory-short", "is not a device");
    }

    #[test]
    fn machine_is_woken_without_a_number() {
        let asked = Asked::Machine(MachineRequest::Wake);

        assert_eq!(parse("wake", 1), Ok(asked));
        assert_refused("wake 0", "\"wake\" is not a request");
    }

    #[test]
    fn number_of_unplugs_is_one_of_the_machine() {
        let asked = Asked::Machine(MachineRequest::Unplugs);

        assert_eq!(parse("unplugs", 1), Ok(asked));
        assert_refused("unplugs 0", "\"unplugs\" is not a request");
    }

    #[test]
    fn list_of_requests_has_those_for_a_restart() {
        for word in restart::WORDS {
            assert!(restart::parse(word).is_some());
            assert_refused("device_dl", word);
        }
    }

    #[test]
    fn list_of_requests_has_those_for_memory() {
        for word in spare_memory::WORDS {
            assert!(spare_memory::parse(word).is_some());
            assert_refused("device_dl", word);
        }
    }

    #[test]
    fn unknown_request_is_refused_with_the_list() {
        assert_refused(
            "device_dl",
            "\"device_dl\" is not a request; the requests are device_del",
        );
    }

    #[test]
    fn missing_device_is_refused() {
        assert_refused("server_stop 2", "\"2\" is not a device; this machine has 2");
    }

    #[test]
    fn words_after_the_number_are_refused() {
        assert_refused("server_stop 0 1", "\"0 1\" is not a device");
    }

    proptest! {
        #[test]
        fn any_line_is_handled(line in any::<String>(), devices in any::<u32>()) {
            if let Ok(Asked::Device(_, number)) = parse(&line, devices) {
                prop_assert!(number < devices);
            }
        }
    }
}

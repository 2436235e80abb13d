// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Requests of the guest. Pure: text to request.

/// A request of the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Unplug the device from its slot.
    DeviceDel,
    /// Plug a device with a new server into the slot.
    DeviceAdd,
    /// Kill the server while the device is in its slot.
    ServerKill,
    /// Stop the server by a signal, so that it answers nothing.
    ServerStop,
    /// Continue the stopped server.
    ServerCont,
}

const WORDS: [(&str, Request); 5] = [
    ("device_del", Request::DeviceDel),
    ("device_add", Request::DeviceAdd),
    ("server_kill", Request::ServerKill),
    ("server_stop", Request::ServerStop),
    ("server_cont", Request::ServerCont),
];

/// Parses a line: a word, then the number of the device, by default 0.
pub(crate) fn parse(line: &str, devices: u32) -> Result<(Request, u32), String> {
    let (word, number) = line.split_once(' ').unwrap_or((line, "0"));
    let Some((_, request)) = WORDS.iter().find(|(known, _)| *known == word) else {
        let known = WORDS.map(|(known, _)| known).join(", ");
        return Err(format!(
            "{word:?} is not a request; the requests are {known}"
        ));
    };
    match number.parse() {
        Ok(number) if number < devices => Ok((*request, number)),
        _ => Err(format!(
            "{number:?} is not a device; this machine has {devices}, counted from 0"
        )),
    }
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
        assert_eq!(parse("device_del", 1), Ok((Request::DeviceDel, 0)));
    }

    #[test]
    fn number_names_the_device() {
        assert_eq!(parse("server_kill 1", 2), Ok((Request::ServerKill, 1)));
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
            if let Ok((_, number)) = parse(&line, devices) {
                prop_assert!(number < devices);
            }
        }
    }
}

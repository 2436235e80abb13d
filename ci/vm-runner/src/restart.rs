// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Restarts of the machine at the guest's request. Pure: events in, actions out.
//!
//! QEMU ends when the machine is reset (`-no-reboot`). Otherwise a guest that panics would boot for
//! ever. For one time, the guest may ask for a restart instead. The next boot asks where the results
//! stand, and goes on there. Until then each reset restarts the machine: SeaBIOS makes a second one.

use std::fmt;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::qmp::{self, Message};
use crate::request::MachineAction as Action;

/// Longest time between the request and the reset.
const LONGEST: Duration = Duration::from_secs(60);
/// Longest note, in bytes. It goes back to the guest in one line of a serial port.
const LONGEST_NOTE: usize = 64;
/// Numbers of the commands: above those of all slots.
const FIRST_COMMAND: u64 = u64::MAX ^ (u32::MAX as u64);

/// The words of the requests.
pub(crate) const WORDS: [&str; 3] = ["machine_reset", "machine_reboot", "resume"];

/// A request of the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Reset the machine after this time, and restart it.
    Reset { after: Duration, note: String },
    /// Restart the machine at the guest's own next reset.
    Reboot { note: String },
    /// Return where the results stand, if the machine has restarted.
    Resume,
}

/// The place in the results at which a restarted guest goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Programs that have ended.
    pub(crate) programs: usize,
    /// Results of the running program's cases.
    pub(crate) results: usize,
    /// Failures among them.
    pub(crate) failures: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.programs, self.results, self.failures)
    }
}

/// What a reset of the machine does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It ends QEMU.
    Ends,
    /// QEMU was told that it restarts the machine. `None`: the guest itself resets it.
    Allowing { after: Option<Duration> },
    /// It restarts the machine, at this time.
    Due(Instant),
    /// It restarts the machine.
    Restarts,
    /// It restarts the machine, which was reset before and has not asked where the results stand.
    Booting,
}

/// The restarts of a machine.
#[derive(Debug)]
pub(crate) struct Restart {
    state: State,
    /// Note of the last request, once the machine has restarted.
    note: Option<String>,
    /// Note of a request that is not carried out yet.
    next: String,
    /// Number of the last command.
    command: u64,
}

/// Parses a line. Returns `None` if it is a request of another kind.
pub(crate) fn parse(line: &str) -> Option<Result<Request, String>> {
    let mut words = line.split_whitespace();
    let request = match words.next()? {
        "machine_reset" => delay(words.next()).map(|after| (Some(after), true)),
        "machine_reboot" => Ok((None, true)),
        "resume" => Ok((None, false)),
        _ => return None,
    };
    Some(request.and_then(|(after, noted)| {
        let note = words.next().unwrap_or_default().to_owned();
        if let Some(more) = words.next() {
            return Err(format!("{more:?} is too much; a request has one note"));
        }
        match (after, noted) {
            _ if note.len() > LONGEST_NOTE => Err(format!(
                "the note has {} bytes; at most {LONGEST_NOTE} are allowed",
                note.len()
            )),
            (Some(after), _) => Ok(Request::Reset { after, note }),
            (None, true) => Ok(Request::Reboot { note }),
            (None, false) if note.is_empty() => Ok(Request::Resume),
            (None, false) => Err(format!(
                "{note:?} is too much; resume has no word behind it"
            )),
        }
    }))
}

/// Parses the time until a reset.
fn delay(word: Option<&str>) -> Result<Duration, String> {
    let most = LONGEST.as_millis();
    let time = word.and_then(|word| word.parse().ok());
    match time.map(Duration::from_millis) {
        Some(time) if time <= LONGEST => Ok(time),
        _ => Err(format!(
            "{:?} is no time until the reset; it is a number of milliseconds up to {most}",
            word.unwrap_or_default()
        )),
    }
}

impl Restart {
    /// Returns the state of a machine that has not been reset.
    pub(crate) fn new() -> Self {
        Self {
            state: State::Ends,
            note: None,
            next: String::new(),
            command: FIRST_COMMAND,
        }
    }

    /// Returns whether a request is pending.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(self.state, State::Allowing { .. })
    }

    /// Returns whether the machine was reset and has not asked where the results stand.
    pub(crate) fn is_booting(&self) -> bool {
        self.state == State::Booting
    }

    /// Takes a request of the guest. `place` is where the results stand, `held` the number of vCPUs
    /// that hold devices which have left.
    pub(crate) fn request(&mut self, request: Request, place: Place, held: u32) -> Vec<Action> {
        let (after, note) = match request {
            Request::Resume => {
                let answer = match &self.note {
                    Some(note) => format!("ok {place} {note}"),
                    None => "ok".to_owned(),
                };
                let mut actions = vec![Action::Answer(answer.trim_end().to_owned())];
                if self.state == State::Booting {
                    self.state = State::Ends;
                    actions.push(self.tell("set-action", "shutdown"));
                }
                return actions;
            }
            Request::Reset { after, note } => (Some(after), note),
            Request::Reboot { note } => (None, note),
        };
        if held > 0 {
            return refuse(&format!(
                "the firmware would wait for ever for vCPUs that hold devices with MSI-X ({held} \
                 here); restart before the first device_del, or run with --interrupts msi"
            ));
        }
        if self.state != State::Ends {
            return refuse("the machine is about to restart for an earlier request");
        }
        self.next = note;
        self.state = State::Allowing { after };
        vec![self.tell("set-action", "reset")]
    }

    /// Takes a message of QEMU.
    pub(crate) fn message(&mut self, message: &Message, now: Instant) -> Vec<Action> {
        match (self.state, message) {
            (State::Allowing { after }, Message::Answer(id, answer)) if *id == self.command => {
                if let Err(reason) = answer {
                    self.state = State::Ends;
                    return refuse(&format!("QEMU refused set-action: {reason}"));
                }
                self.state = match after {
                    Some(after) => State::Due(now.checked_add(after).unwrap_or(now)),
                    None => State::Restarts,
                };
                vec![Action::Answer("ok".to_owned())]
            }
            (State::Due(_) | State::Restarts, Message::Reset) => {
                self.state = State::Booting;
                self.note = Some(std::mem::take(&mut self.next));
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// Resets the machine when it is time.
    pub(crate) fn tick(&mut self, now: Instant) -> Vec<Action> {
        match self.state {
            State::Due(at) if now >= at => {
                self.state = State::Restarts;
                vec![self.tell("system_reset", "")]
            }
            _ => Vec::new(),
        }
    }

    /// Returns a command for QEMU, with a number of its own. `reboot` is the action at a reset.
    fn tell(&mut self, name: &str, reboot: &str) -> Action {
        self.command = self.command.wrapping_add(1);
        let arguments = match reboot {
            "" => json!({}),
            action => json!({ "reboot": action }),
        };
        Action::Command(qmp::command(self.command, name, &arguments))
    }
}

/// Returns the answer that refuses a request.
fn refuse(reason: &str) -> Vec<Action> {
    vec![Action::Answer(crate::slot::refusal(reason))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLACE: Place = Place {
        programs: 3,
        results: 2,
        failures: 1,
    };

    /// Returns the number of the command that was sent.
    fn number(actions: &[Action]) -> u64 {
        let [Action::Command(line)] = actions else {
            panic!("one command: {actions:?}")
        };
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        line["id"].as_u64().expect("a number")
    }

    fn answer(line: &str) -> Vec<Action> {
        vec![Action::Answer(line.to_owned())]
    }

    fn request(line: &str) -> Request {
        parse(line).expect("a request").expect("understood")
    }

    /// Allows a restart, and returns its answer.
    fn allow(restart: &mut Restart, line: &str, now: Instant) -> Vec<Action> {
        let sent = restart.request(request(line), PLACE, 0);
        restart.message(&Message::Answer(number(&sent), Ok(())), now)
    }

    #[test]
    fn machine_is_reset_when_its_time_has_come_and_restarts_once() {
        let now = Instant::now();
        let mut restart = Restart::new();

        assert_eq!(
            allow(&mut restart, "machine_reset 20 a:1", now),
            answer("ok")
        );
        assert_eq!(restart.tick(now + Duration::from_millis(19)), []);
        let reset = restart.tick(now + Duration::from_millis(20));
        assert!(format!("{reset:?}").contains("system_reset"), "{reset:?}");
        assert_eq!(restart.tick(now + Duration::from_millis(30)), []);

        // The second one comes from SeaBIOS.
        assert_eq!(restart.message(&Message::Reset, now), []);
        assert_eq!(restart.message(&Message::Reset, now), []);
        let after = restart.request(Request::Resume, PLACE, 0);
        assert!(format!("{after:?}").contains("shutdown"), "{after:?}");
        assert_eq!(restart.request(Request::Resume, PLACE, 0).len(), 1);
    }

    #[test]
    fn guest_learns_after_a_restart_where_the_results_stand() {
        let now = Instant::now();
        let mut restart = Restart::new();
        assert_eq!(restart.request(Request::Resume, PLACE, 0), answer("ok"));

        allow(&mut restart, "machine_reboot seed:7", now);
        assert_eq!(restart.request(Request::Resume, PLACE, 0), answer("ok"));
        restart.message(&Message::Reset, now);

        let told = restart.request(Request::Resume, PLACE, 0);
        assert_eq!(told.first(), answer("ok 3 2 1 seed:7").first());
    }

    #[test]
    fn reset_of_the_guest_needs_no_command() {
        let now = Instant::now();
        let mut restart = Restart::new();

        assert_eq!(allow(&mut restart, "machine_reboot", now), answer("ok"));

        assert_eq!(restart.tick(now + LONGEST * 2), []);
    }

    #[test]
    fn second_request_is_refused_until_the_machine_has_restarted() {
        let now = Instant::now();
        let mut restart = Restart::new();
        allow(&mut restart, "machine_reboot", now);

        let refused = restart.request(request("machine_reset 1"), PLACE, 0);
        assert!(
            format!("{refused:?}").contains("about to restart"),
            "{refused:?}"
        );

        restart.message(&Message::Reset, now);
        restart.request(Request::Resume, PLACE, 0);
        assert_eq!(allow(&mut restart, "machine_reset 1", now), answer("ok"));
    }

    #[test]
    fn refusal_of_qemu_goes_to_the_guest() {
        let mut restart = Restart::new();
        let sent = restart.request(request("machine_reboot"), PLACE, 0);

        let id = number(&sent);
        let told = restart.message(&Message::Answer(id, Err("no".into())), Instant::now());

        assert_eq!(told, answer("error: QEMU refused set-action: no"));
        assert!(!restart.is_busy());
    }

    #[test]
    fn unasked_reset_changes_nothing() {
        let mut restart = Restart::new();

        assert_eq!(restart.message(&Message::Reset, Instant::now()), []);
        assert_eq!(restart.request(Request::Resume, PLACE, 0), answer("ok"));
    }

    #[test]
    fn wrong_requests_are_refused_with_the_limit() {
        for (line, words) in [
            ("machine_reset", "up to 60000"),
            ("machine_reset 60001", "up to 60000"),
            ("machine_reset -1", "up to 60000"),
            ("machine_reset 1 a b", "\"b\" is too much"),
            ("resume 1", "\"1\" is too much"),
        ] {
            let error = parse(line).expect("a request").expect_err("refused");
            assert!(error.contains(words), "{line}: {error}");
        }
        let long = format!("machine_reboot {}", "x".repeat(65));
        let error = parse(&long).expect("a request").expect_err("refused");
        assert!(error.contains("65 bytes; at most 64"), "{error}");
    }

    proptest! {
        #[test]
        fn any_line_is_handled(line in any::<String>()) {
            let _ = parse(&line);
        }
    }

    #[test]
    fn machine_whose_vcpus_hold_devices_is_not_restarted() {
        for line in ["machine_reset 0", "machine_reboot"] {
            let mut restart = Restart::new();

            let actions = restart.request(request(line), PLACE, 3);

            assert!(
                matches!(&actions[..], [Action::Answer(line)] if line.contains("(3 here)")),
                "{actions:?}"
            );
            assert!(!restart.is_busy());
        }
    }

    #[test]
    fn results_can_be_asked_for_while_vcpus_hold_devices() {
        let mut restart = Restart::new();

        let actions = restart.request(Request::Resume, PLACE, 3);

        assert_eq!(actions, answer("ok"));
    }
}

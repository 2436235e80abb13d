// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What a person does, and what must come of it.

use crate::error::Error;
use crate::terminal::Terminal;

/// A step: what it shows, and how.
type Step = (&'static str, fn(&mut Terminal) -> Result<(), Error>);

/// Most lines before the first prompt: a boot has hundreds.
const WELCOME_LINES: usize = 40;

/// The steps in order; each begins and ends at the prompt, but for the first and the last.
pub(crate) const STEPS: [Step; 9] = [
    ("prompt_comes_with_the_facts_and_without_the_boot", prompt),
    ("size_is_that_of_the_window", size),
    ("size_follows_the_window", resize),
    ("ctrl_c_ends_the_program_in_the_foreground", interrupt),
    ("ctrl_z_stops_a_program_and_fg_goes_on_with_it", stop),
    ("ctrl_c_ends_ringbarctl_watch", watch),
    ("argument_of_a_test_program_chooses_its_cases", choose),
    ("file_of_the_host_and_argument_for_qemu_are_there", extras),
    ("exit_powers_off_and_ends_well", exit),
];

fn prompt(terminal: &mut Terminal) -> Result<(), Error> {
    terminal.resize(41, 123)?;
    let text = terminal.prompt()?;
    let wrong = |what: String| {
        let text = text.clone();
        Err(Error::Text { what, text })
    };
    for wanted in ["/dev/ringbar0", "ringbarctl watch", "Ctrl-A X"] {
        if !text.contains(wanted) {
            return wrong(format!("{wanted:?} is missing before the prompt"));
        }
    }
    for unwanted in ["Linux version", "can't access tty"] {
        if text.contains(unwanted) {
            return wrong(format!("{unwanted:?} came before the prompt"));
        }
    }
    match text.lines().count() {
        0..WELCOME_LINES => Ok(()),
        count => wrong(format!("{count} lines came before the prompt")),
    }
}

fn size(terminal: &mut Terminal) -> Result<(), Error> {
    terminal.expect("stty size", "41 123")
}

/// The new size is on its way while the guest asks for it: so it asks until it has come. The shell shows
/// its prompt once more when it learns of it.
fn resize(terminal: &mut Terminal) -> Result<(), Error> {
    terminal.resize(33, 101)?;
    terminal.line("until stty size | grep -q '^33 101$'; do sleep 0.1; done; echo has''come")?;
    terminal.until("hascome")?;
    terminal.prompt().map(drop)
}

fn interrupt(terminal: &mut Terminal) -> Result<(), Error> {
    // It says that it is there, in other letters than those that were typed.
    terminal.line("sh -c 'echo is_''there; exec sleep 1000'")?;
    terminal.until("is_there")?;
    terminal.control('c')?;
    terminal.prompt()?;
    terminal.expect("echo status=$?", "status=130")
}

/// `cat` says what it reads: so it is seen to have the terminal. A line comes twice, from the terminal and from it, each with
/// as many carriage returns at its end as there are terminals on the way. Nothing is typed before the shell has let go of it, which
/// reads letter by letter and may lose what comes while it changes the terminal's modes.
fn stop(terminal: &mut Terminal) -> Result<(), Error> {
    terminal.line("sh -c 'echo is_''there; exec cat'")?;
    terminal.until("is_there")?;
    terminal.line("one")?;
    terminal.until("one")?;
    terminal.until("one\r")?;
    terminal.control('z')?;
    terminal.prompt()?;
    terminal.expect("jobs", "Stopped")?;
    terminal.line("fg")?;
    terminal.until("cat")?;
    terminal.until("\n")?;
    terminal.line("two")?;
    terminal.until("two")?;
    terminal.until("two\r")?;
    terminal.control('c')?;
    terminal.prompt()?;
    terminal.expect("echo status=$?", "status=130")
}

fn watch(terminal: &mut Terminal) -> Result<(), Error> {
    terminal.line("ringbarctl watch")?;
    terminal.until("uptime")?;
    terminal.control('c')?;
    terminal.prompt()?;
    terminal.expect("echo status=$?", "status=130")
}

fn choose(terminal: &mut Terminal) -> Result<(), Error> {
    let name = terminal.command("/tests/registers | sed -n 's/^ok 2 /second=/p'")?;
    let name = name.rsplit_once("second=").map(|(_, name)| name.trim());
    let name = name.unwrap_or("is missing").to_owned();
    let text = terminal.command(&format!("/tests/registers {name}"))?;
    if text.contains("1..1\r") && text.contains(&format!("ok 1 {name}")) {
        return Ok(());
    }
    Err(Error::Text {
        what: format!("{name} was not the only case"),
        text,
    })
}

/// `ci/shell-check.sh` gives the file and QEMU's own test device.
fn extras(terminal: &mut Terminal) -> Result<(), Error> {
    terminal.expect("/bin/shell-check-file", "from the host")?;
    terminal.expect("lspci -n", "1234:11e8")
}

fn exit(terminal: &mut Terminal) -> Result<(), Error> {
    terminal.line("exit")?;
    terminal.end()
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Actions of a person, and their expected results.

use std::path::PathBuf;
use std::{env, fs};

use crate::error::Error;
use crate::terminal::Terminal;

/// A step: its name, which states the expected result, and its function.
pub(crate) type Step = (&'static str, fn(&mut Terminal) -> Result<(), Error>);

/// Most lines before the first prompt. A boot prints hundreds, so more means that the boot is
/// shown.
const WELCOME_LINES: usize = 40;

/// Steps in order. Each begins and ends at the prompt, except the first and the last.
pub(crate) const STEPS: [Step; 10] = [
    ("prompt_comes_with_the_facts_and_without_the_boot", prompt),
    ("size_is_that_of_the_window", size),
    ("size_follows_the_window", resize),
    ("ctrl_c_ends_the_program_in_the_foreground", interrupt),
    ("ctrl_z_stops_a_program_and_fg_goes_on_with_it", stop),
    ("ctrl_c_ends_ringbarctl_watch", watch),
    ("argument_of_a_test_program_chooses_its_cases", choose),
    ("file_of_the_host_and_argument_for_qemu_are_there", extras),
    ("new_build_of_the_server_serves_the_device", swap),
    ("exit_powers_off_and_ends_well", exit),
];

/// Checks the text before the first prompt.
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

/// Checks the size that the guest has.
fn size(terminal: &mut Terminal) -> Result<(), Error> {
    terminal.expect("stty size", "41 123")
}

/// Changes the size. The new size may arrive after the command, so the command waits for it. The
/// shell prints its prompt once more when it notices the change.
fn resize(terminal: &mut Terminal) -> Result<(), Error> {
    terminal.resize(33, 101)?;
    terminal.line("until stty size | grep -q '^33 101$'; do sleep 0.1; done; echo has''come")?;
    terminal.until("hascome")?;
    terminal.prompt().map(drop)
}

/// Interrupts a program.
fn interrupt(terminal: &mut Terminal) -> Result<(), Error> {
    // The typed letters differ from the program's output. Otherwise the echo of the terminal would
    // pass for the output.
    terminal.line("sh -c 'echo is_''there; exec sleep 1000'")?;
    terminal.until("is_there")?;
    terminal.control('c')?;
    terminal.prompt()?;
    terminal.expect("echo status=$?", "status=130")
}

/// Stops a program and continues it. `cat` repeats its input, which shows that it owns the
/// terminal. Each line comes twice: from the terminal's echo and from `cat`. Each copy has one
/// carriage return per terminal on the way.
///
/// Nothing is typed before the shell has released the terminal. The shell reads letter by letter,
/// and may lose input while it changes the terminal's modes.
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

/// Interrupts `ringbarctl watch`.
fn watch(terminal: &mut Terminal) -> Result<(), Error> {
    terminal.line("ringbarctl watch")?;
    terminal.until("uptime")?;
    terminal.control('c')?;
    terminal.prompt()?;
    terminal.expect("echo status=$?", "status=130")
}

/// Runs one case of a test program by its name.
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

/// Checks the file of the host and QEMU's own test device, both from `ci/shell-check.sh`.
fn extras(terminal: &mut Terminal) -> Result<(), Error> {
    terminal.expect("/bin/shell-check-file", "from the host")?;
    terminal.expect("lspci -n", "1234:11e8")
}

/// Replaces the program of the server, which `ci/shell-check.sh` names, as `make swap` does. The
/// machine goes on with the new one, and the driver says so.
fn swap(terminal: &mut Terminal) -> Result<(), Error> {
    let server = PathBuf::from(env::var_os("SERVER").unwrap_or_default());
    let new = server.with_extension("new");
    let replaced = fs::copy(&server, &new).and_then(|_| fs::rename(&new, &server));
    replaced.map_err(Error::Server)?;
    terminal.until("device 0 is served by the new build")?;
    terminal.line("")?;
    terminal.prompt()?;
    let works = "until /tests/tour >/dev/null; do sleep 0.1; done; dmesg | grep 'after power-on'";
    terminal.expect(works, "boot number")
}

/// Leaves the shell, which powers the guest off.
pub(crate) fn exit(terminal: &mut Terminal) -> Result<(), Error> {
    terminal.line("exit")?;
    terminal.end()
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A shell for a person, on a terminal of its own.
//!
//! The terminal is the fourth serial port, so that no kernel messages mix in. The second port leads
//! to the runner in both directions. Init sends its findings and announces the shell. The runner
//! sends `size ROWS COLUMNS` at the beginning, and again when the user's window changes.

use crate::driver::Drivers;
use crate::results::Results;
use crate::system;
use ringbar_ports::Port;
use rustix::process::{wait, WaitOptions};
use rustix::termios::{tcgetattr, tcsetattr, tcsetwinsize, InputModes, OptionalActions, Winsize};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::process::Command;
use std::sync::mpsc::{channel, Sender};
use std::thread;
use std::time::Duration;

const LINE: Port = Port::Results;
const TERMINAL: Port = Port::Control;
/// Longest wait for the first size. Without it the shell starts all the same.
const PATIENCE: Duration = Duration::from_secs(10);
/// Speed of the terminal, for programs that read it.
const SPEED: u32 = 115_200;

/// Line of the runner: a debugger can attach now, or was left out.
const GO_ON: &str = "go on";

/// Loads the drivers, reports their properties, and runs the shell until it ends. With a debugger,
/// reports where the first driver was loaded, and waits for the runner first.
pub(crate) fn run(drivers: &Drivers, debugger: bool) -> Result<(), String> {
    let line = open_line().map_err(|error| format!("cannot open {LINE}: {error}"))?;
    let mut results = Results::on(line.try_clone().map_err(|error| error.to_string())?);
    results.line(&format!("# kernel: {}", system::kernel_release()));
    match drivers.load() {
        Ok(facts) => {
            for (name, value) in facts {
                results.line(&format!("# {name}: {value}"));
            }
            if debugger {
                results.line(&format!("# sections: {}", drivers.sections()?));
                await_runner(&line)?;
            }
        }
        // Not an error of the shell: a person may want to look for the reason.
        Err(error) => results.bail_out(&error),
    }
    let terminal = open_terminal().map_err(|error| {
        let reason = format!("cannot open {TERMINAL}: {error}");
        results.bail_out(&reason);
        reason
    })?;
    let (told, first) = channel();
    let sizes = terminal.try_clone().map_err(|error| error.to_string())?;
    thread::spawn(move || set_sizes(line, &sizes, &told));
    results.line(&format!("# shell: {TERMINAL}"));
    // An error is ignored: a shell without a size is better than none.
    let _ = first.recv_timeout(PATIENCE);
    start(&terminal).map_err(|error| {
        let reason = format!("cannot run the shell: {error}");
        results.bail_out(&reason);
        reason
    })
}

/// Waits until the runner lets init go on. It sends nothing else before it learns of the shell.
fn await_runner(line: &File) -> Result<(), String> {
    let mut text = String::new();
    let read = BufReader::new(line).read_line(&mut text);
    match read {
        Ok(_) if text.trim_end() == GO_ON => Ok(()),
        Ok(_) => Err(format!("the runner says {text:?} instead of {GO_ON:?}")),
        Err(error) => Err(format!("cannot read {LINE}: {error}")),
    }
}

fn open(port: Port) -> std::io::Result<File> {
    let node = port.node().ok_or(std::io::ErrorKind::NotFound)?;
    OpenOptions::new().read(true).write(true).open(node)
}

/// Opens the line to the runner, without an echo of the runner's lines.
fn open_line() -> std::io::Result<File> {
    let line = open(LINE)?;
    let mut modes = tcgetattr(&line)?;
    modes.make_raw();
    tcsetattr(&line, OptionalActions::Now, &modes)?;
    Ok(line)
}

/// Opens the terminal for a person: backspace deletes a letter of several bytes as a whole.
fn open_terminal() -> std::io::Result<File> {
    let terminal = open(TERMINAL)?;
    let mut modes = tcgetattr(&terminal)?;
    modes.input_modes |= InputModes::IUTF8;
    modes.set_speed(SPEED)?;
    tcsetattr(&terminal, OptionalActions::Now, &modes)?;
    Ok(terminal)
}

/// Sets the terminal to each size that the runner sends. The kernel signals the change to the
/// program in the foreground.
fn set_sizes(line: File, terminal: &File, told: &Sender<()>) {
    let sizes = BufReader::new(line).lines().map_while(Result::ok);
    for size in sizes.filter_map(|line| size(&line)) {
        if let Err(errno) = tcsetwinsize(terminal, size) {
            eprintln!("ringbar-init: cannot set the terminal's size: {errno}");
        }
        // An error is ignored: the receiver waits for the first size only.
        let _ = told.send(());
    }
}

/// Parses the size in a line.
fn size(line: &str) -> Option<Winsize> {
    let mut words = line.split_whitespace();
    let (Some("size"), Some(rows), Some(columns), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return None;
    };
    Some(Winsize {
        ws_row: rows.parse().ok()?,
        ws_col: columns.parse().ok()?,
        ws_xpixel: 0,
        ws_ypixel: 0,
    })
}

/// Runs the shell until it ends. It leads a session on this terminal. Otherwise Ctrl-C would signal
/// no process, and there would be no job control.
fn start(terminal: &File) -> std::io::Result<()> {
    let shell = Command::new("/bin/busybox")
        .args(["setsid", "-c", "/bin/sh"])
        .env("HOME", "/")
        .stdin(terminal.try_clone()?)
        .stdout(terminal.try_clone()?)
        .stderr(terminal.try_clone()?)
        .spawn()?;
    // Orphans become children of init, so reap them too. Otherwise they would stay as zombies.
    while let Some((pid, _)) = wait(WaitOptions::empty())? {
        if u32::try_from(pid.as_raw_nonzero().get()) == Ok(shell.id()) {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_is_rows_and_columns() {
        let size = size("size 24 80").expect("a size");

        assert_eq!((size.ws_row, size.ws_col), (24, 80));
    }

    #[test]
    fn line_without_a_size_is_left() {
        for line in [
            "",
            "size",
            "size 24",
            "size 24 80 1",
            "size -1 80",
            "size 65536 1",
            "24 80",
        ] {
            assert!(size(line).is_none(), "{line}");
        }
    }
}

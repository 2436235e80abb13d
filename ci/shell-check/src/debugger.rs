// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A person who debugs the driver: one terminal with the guest, and gdb in another one.

use std::process::{Child, Command, Stdio};

use crate::error::Error;
use crate::terminal::Terminal;

/// Begin of the line with the command that attaches gdb.
const ATTACH: &str = "attach: ";
/// Function at which gdb stops first, and its file. `ci/shell-check.sh` names it as STOP.
const HOOK: (&str, &str) = (
    "ringbar_main::mapping::file_operations::mmap_hook<ringbar_main::device::Ringbar>",
    "guest-driver/mapping/file_operations.rs",
);
/// A function that the hook calls by others.
const INNER: &str = "ringbar_main::mapping::mappings::Mappings::remember";
/// Functions of the backtrace in the latter, and their files. The hook itself is left by a jump.
const FRAMES: [(&str, &str); 2] = [
    (INNER, "guest-driver/mapping/mappings.rs"),
    (
        "ringbar_main::mapping::map::map<",
        "guest-driver/mapping/map.rs",
    ),
];

/// Waits for the command that attaches gdb, and starts it in the background, where it goes on to
/// the hook. `program` stands for `gdb`, with these first arguments.
pub(crate) fn attach(terminal: &mut Terminal, program: &[String]) -> Result<Child, Error> {
    terminal.until(ATTACH)?;
    let line = terminal.rest_of_line()?;
    let [program, first @ ..] = program else {
        return Err(Error::Status("no gdb".to_owned()));
    };
    let gdb = Command::new(program)
        .args(first)
        .arg("-batch")
        // The first word is gdb itself.
        .args(line.split_whitespace().skip(1))
        .args(["-ex", "backtrace 1", "-ex", &format!("break {INNER}")])
        .args(["-ex", "continue", "-ex", "backtrace"])
        // Without it, the end of gdb would be the end of QEMU.
        .args(["-ex", "delete", "-ex", "detach"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    Ok(gdb)
}

/// Has a program map something, and checks the places at which gdb stops. The program must then
/// come to its end.
pub(crate) fn stop_in_the_hook(terminal: &mut Terminal, gdb: Child) -> Result<(), Error> {
    terminal.prompt()?;
    terminal.line("ringbarctl copy --length 4096 && echo co''pied")?;
    let output = gdb.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let frames: Vec<_> = text.lines().filter(|line| line.starts_with('#')).collect();
    let wrong = |what: String| {
        let errors = String::from_utf8_lossy(&output.stderr);
        let text = format!("{text}{errors}");
        Err(Error::Gdb { what, text })
    };
    let first = frames.first().copied().unwrap_or_default();
    if !shows(first, HOOK) {
        return wrong(format!("gdb did not stop in {} first", HOOK.0));
    }
    for frame in FRAMES {
        if !frames.iter().skip(1).any(|line| shows(line, frame)) {
            return wrong(format!(
                "no frame of {} with {} and a line",
                frame.0, frame.1
            ));
        }
    }
    terminal.until("copied")?;
    terminal.prompt().map(drop)
}

/// Whether a line of a backtrace names the function, and a line of the file.
fn shows(line: &str, (function, file): (&str, &str)) -> bool {
    let place = line.split_once(&format!("{file}:"));
    let has_number = place.is_some_and(|(_, rest)| rest.starts_with(|c: char| c.is_ascii_digit()));
    line.contains(function) && has_number
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A shell in the guest, on the user's terminal.
//!
//! The kernel's console goes to a file. The runner follows the file and shows complaints of the
//! kernel only. The shell has its own serial port, which QEMU connects to the terminal. On the
//! second port init reports its findings and announces the shell. The runner sends the size of the
//! window there, and each change of it.

use std::io::{self, IsTerminal as _};
use std::thread::sleep;
use std::time::{Duration, Instant};

use ringbar_kernel_log::{examine, Complaint};
use rustix::termios::{tcgetattr, tcsetattr, OptionalActions, Termios};

use crate::debug::{self, Debugger};
use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::ktap::{Progress, Stream};
use crate::machine::Acceleration;
use crate::options::ShellOptions;
use crate::port::Port;
use crate::process::{End, Process};
use crate::run;
use crate::screen::Screen;
use crate::service::{Service, Surroundings};
use crate::tail::Tail;
use crate::window::Window;
use crate::workplace::Workplace;

/// Time between two looks.
const STEP: Duration = Duration::from_millis(20);
/// Time in which a process must end after SIGTERM.
const GRACE: Duration = Duration::from_secs(1);
/// Longest time between the end of a server and that of QEMU. A server ends with QEMU, and the
/// runner may see it first.
const QEMU_STAYS: Duration = Duration::from_millis(500);
/// Lines of the console that are shown after a complaint. They are mostly its trace.
const AFTER_COMPLAINT: usize = 24;

/// Message of QEMU on the terminal when the user ends it.
const ENDED_BY_USER: &str = "QEMU: Terminated";

/// End of a shell.
pub(crate) enum ShellEnd {
    /// The user left it, or ended QEMU.
    Left,
    /// The guest powered off before it had a shell.
    NoShell,
    /// The kernel complained.
    Complaints(Vec<Complaint>),
    /// QEMU ended.
    Qemu(End),
    /// A server ended first.
    Server(End),
}

/// Boots to a shell and watches it until it ends.
pub(crate) fn run(
    options: &ShellOptions,
    acceleration: Acceleration,
    place: &Workplace,
    interrupt: &Interrupt,
    screen: &mut Screen,
) -> Result<ShellEnd, Error> {
    let machine_options = &options.machine;
    screen.booting(acceleration);
    let around = Surroundings {
        options: machine_options,
        place,
        interrupt,
    };
    let servers = Service::start_each(around, screen)?;
    let console = Tail::create(&place.file("console.log"))?;
    let ports = place.shell_ports();
    let line = Port::create(&ports.line)?;
    let window = Window::watch()?;
    let _restore = Terminal::remember();
    let debugger = Debugger::prepare(&options.debug, machine_options.architecture, place)?;
    let word = match debugger {
        Some(_) => "ringbar.debug",
        None => "ringbar.shell",
    };
    let task = shell_task(word, std::env::var("TERM").ok().as_deref());
    let mut machine = run::machine(machine_options, acceleration, place, task)?;
    machine.shell = Some(ports);
    if let Some(debugger) = &debugger {
        let monitor = place.hotplug_ports().monitor;
        machine.more.extend(debugger.arguments(&monitor));
    }
    let mut command = run::qemu(machine_options, &machine, place)?;
    let qemu_log = Tail::create(&place.file("qemu.log"))?;
    let qemu = Process::start_on_terminal(&mut command, place.append("qemu.log")?)
        .map_err(|source| run::qemu_missing(machine_options, source))?;
    if let Some(debugger) = &debugger {
        debugger.started(screen)?;
    }
    let end = Session {
        qemu,
        qemu_log,
        servers,
        console,
        line,
        window,
        debugger,
        stream: Stream::default(),
        open: false,
        complaints: Vec::new(),
        trace: 0,
    }
    .follow(&welcome(options), interrupt, screen)?;
    Ok(match end {
        // QEMU's status is the same whether the guest powers off or the user ends QEMU. Only the
        // message on the terminal tells them apart.
        ShellEnd::NoShell if ended_by_user(place) => ShellEnd::Left,
        end => end,
    })
}

/// Returns words for the kernel command line. The kernel puts an unknown word with a `=` into
/// init's environment.
fn shell_task(word: &str, terminal: Option<&str>) -> String {
    // Other characters could end the word and add an option for the kernel.
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
    match terminal {
        Some(name) if !name.is_empty() && name.chars().all(plain) => {
            format!("{word} TERM={name}")
        }
        _ => word.to_owned(),
    }
}

/// Returns whether QEMU printed that the user ended it.
fn ended_by_user(place: &Workplace) -> bool {
    std::fs::read(place.shell_ports().log)
        .is_ok_and(|said| String::from_utf8_lossy(&said).contains(ENDED_BY_USER))
}

/// A machine with a shell. Fields drop in order, so QEMU ends before the servers that it uses.
struct Session<'a> {
    qemu: Process,
    qemu_log: Tail,
    servers: Vec<Service<'a>>,
    console: Tail,
    line: Port,
    window: Window,
    debugger: Option<Debugger>,
    stream: Stream,
    /// Whether the terminal belongs to the shell.
    open: bool,
    complaints: Vec<Complaint>,
    /// Lines of the console still to be shown.
    trace: usize,
}

impl Session<'_> {
    /// Watches the machine until one of its processes ends.
    fn follow(
        mut self,
        welcome: &[String],
        interrupt: &Interrupt,
        screen: &mut Screen,
    ) -> Result<ShellEnd, Error> {
        let began = Instant::now();
        loop {
            interrupt.check()?;
            // Before the logs are read. Otherwise lines between the last read and the end would be
            // lost.
            let end = self.end();
            let lines = match end {
                Some(_) => self.console.finish()?,
                None => self.console.read()?,
            };
            for line in lines {
                self.console_line(&line, screen);
            }
            for line in self.line.read()? {
                let progress = self.stream.line(&line, began.elapsed());
                self.progress(progress, welcome, screen)?;
            }
            if let Some(end) = end {
                return self.judged(end, screen);
            }
            for service in &mut self.servers {
                service.follow_program(screen);
            }
            if !self.open {
                screen.tick(None);
            } else if self.window.has_changed() {
                self.line.send(&Window::line())?;
            }
            sleep(STEP);
        }
    }

    /// Returns how a process ended, if one has.
    fn end(&mut self) -> Option<ShellEnd> {
        if let Some(end) = self.qemu.end() {
            return Some(ShellEnd::Qemu(end));
        }
        let end = self.servers.iter_mut().find_map(Service::end)?;
        // QEMU may have ended first. Its end is then the cause, and the server's only follows.
        sleep(QEMU_STAYS);
        if let Some(end) = self.qemu.end() {
            return Some(ShellEnd::Qemu(end));
        }
        self.qemu.stop(GRACE);
        Some(ShellEnd::Server(end))
    }

    /// Judges an end by the complaints and progress before it.
    fn judged(mut self, end: ShellEnd, screen: &mut Screen) -> Result<ShellEnd, Error> {
        screen.rest();
        let end = match end {
            ShellEnd::Qemu(end) if !end.is_good() => {
                screen.details(&self.qemu_log.finish()?);
                ShellEnd::Qemu(end)
            }
            ShellEnd::Qemu(_) if !self.complaints.is_empty() => {
                ShellEnd::Complaints(self.complaints)
            }
            ShellEnd::Qemu(_) if self.open => ShellEnd::Left,
            ShellEnd::Qemu(_) => ShellEnd::NoShell,
            end => end,
        };
        if !self.open {
            screen.details(&self.console.last_lines());
        }
        Ok(end)
    }

    /// Shows a line of the console if it is a complaint, or follows one.
    fn console_line(&mut self, line: &str, screen: &Screen) {
        if let Some(complaint) = examine(line) {
            // An empty line first: the cursor may stand behind the shell's prompt.
            screen.say("");
            screen.complaint(&complaint);
            self.complaints.push(complaint);
            self.trace = AFTER_COMPLAINT;
        } else if let Some(left) = self.trace.checked_sub(1) {
            screen.details(&[line.to_owned()]);
            self.trace = left;
        }
    }

    /// Shows a line of init. Hands the terminal over when the shell starts.
    fn progress(
        &mut self,
        progress: Option<Progress>,
        welcome: &[String],
        screen: &mut Screen,
    ) -> Result<(), Error> {
        match progress {
            Some(Progress::Fact(name, _)) if name == "shell" => {
                screen.rest();
                welcome.iter().for_each(|line| screen.note(line));
                self.open = true;
                // From now on the guest owns the terminal.
                self.line.send(&Window::line())?;
            }
            Some(Progress::Fact(name, sections)) if name == debug::SECTIONS => {
                if let Some(debugger) = &mut self.debugger {
                    debugger.loaded(&sections, &mut self.line, screen)?;
                }
            }
            Some(Progress::BailedOut(_)) => {
                screen.progress(progress.as_ref());
                screen.details(&self.console.last_lines());
            }
            progress => screen.progress(progress.as_ref()),
        }
        Ok(())
    }
}

/// Returns some commands for the user to try.
fn welcome(options: &ShellOptions) -> Vec<String> {
    let example = format!(
        "{}: a test program of /tests; add names of cases to run only those",
        options.example
    );
    let tried = match options.machine.server {
        Some(_) => vec![
            "try:    ringbarctl info    ringbarctl watch    ringbarctl copy --length 4M    ringbarctl help".to_owned(),
            format!("        {example}"),
        ],
        // Without ringbar's device, its program has nothing to show.
        None => vec![format!("try:    {example}")],
    };
    let keys = [
        "keys:   Ctrl-C ends a program, Ctrl-Z stops it; exit powers off; Ctrl-A X ends QEMU, Ctrl-A H lists more keys",
        "kernel: dmesg shows its messages; those of the boot are kept back",
    ];
    tried.into_iter().chain(keys.map(str::to_owned)).collect()
}

/// Restores the terminal's modes when dropped. A killed QEMU cannot do so.
struct Terminal(Option<Termios>);

impl Terminal {
    /// Reads the present modes, if standard input is a terminal.
    fn remember() -> Self {
        let stdin = io::stdin();
        let modes = stdin.is_terminal().then(|| tcgetattr(&stdin).ok());
        Self(modes.flatten())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(modes) = &self.0 {
            // An error is ignored: the terminal is gone, or there is no other way to restore it.
            let _ = tcsetattr(io::stdin(), OptionalActions::Drain, modes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guest_gets_the_kind_of_terminal() {
        assert_eq!(
            shell_task("ringbar.shell", Some("xterm-256color")),
            "ringbar.shell TERM=xterm-256color"
        );
    }

    #[test]
    fn kind_of_terminal_that_would_add_kernel_words_is_left_out() {
        assert_eq!(
            shell_task("ringbar.shell", Some("x init=/bin/sh")),
            "ringbar.shell"
        );
        assert_eq!(shell_task("ringbar.debug", Some("")), "ringbar.debug");
        assert_eq!(shell_task("ringbar.shell", None), "ringbar.shell");
    }
}

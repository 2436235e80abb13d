// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A debugger for the guest's kernel: QEMU's server for gdb, and the files that attach one.
//!
//! Init reports where the kernel has loaded the driver and waits. The runner writes the module's
//! symbols at these addresses into a file for gdb, stops the machine, and lets init go on. So gdb
//! finds the machine before the first program uses the driver.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;

use crate::architecture::Architecture;
use crate::error::Error;
use crate::port::Port;
use crate::qmp::{self, Message};
use crate::screen::Screen;
use crate::workplace::Workplace;

/// Name of init's line with the addresses.
pub(crate) const SECTIONS: &str = "sections";
/// Line for init: it may go on.
const GO_ON: &str = "go on";
/// Beginnings of the names of sections with code or data that stay after the module was loaded.
const KEPT: &[&str] = &[".text", ".exit.text", ".rodata", ".data", ".bss"];
/// Longest time until QEMU has stopped the machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Time between two looks at QEMU's monitor.
const STEP: Duration = Duration::from_millis(10);
/// Number of the command that stops the machine.
const STOP: u64 = 1;

/// Options of a shell with a debugger.
#[derive(Clone, Debug, Args)]
pub(crate) struct DebugOptions {
    /// Lets gdb attach to the machine, and stops the machine for it: `boot` before its first
    /// instruction, `driver` when the driver is loaded. Any other word is a place in the driver at
    /// which gdb then stops: a function or FILE:LINE, as gdb's `break` takes it.
    #[arg(long = "debug", value_name = "STOP", requires = "module")]
    pub(crate) stop: Option<Stop>,
    /// The driver's module with its line tables.
    #[arg(long, value_name = "FILE")]
    pub(crate) module: Option<PathBuf>,
    /// A file with the kernel's symbols, at the addresses at which it runs.
    #[arg(long, value_name = "FILE", requires = "stop")]
    pub(crate) kernel_symbols: Option<PathBuf>,
    /// Folder in which gdb finds the sources.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) sources: PathBuf,
    /// A command that runs gdb, to be named beside `gdb`.
    #[arg(long, value_name = "COMMAND")]
    pub(crate) gdb: Option<String>,
}

/// The moment at which the machine stops for gdb.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Before the first instruction.
    Boot,
    /// When the driver is loaded.
    Driver,
    /// When the driver is loaded, and then at this place in it.
    Place(String),
}

impl FromStr for Stop {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "boot" => Ok(Self::Boot),
            "driver" => Ok(Self::Driver),
            // It becomes a line of a file for gdb.
            _ if text.trim().is_empty() || text.contains(char::is_control) => Err(format!(
                "{text:?} is no place: say boot, driver, or a function or FILE:LINE of the driver"
            )),
            _ => Ok(Self::Place(text.to_owned())),
        }
    }
}

/// A machine to which gdb can attach.
pub(crate) struct Debugger {
    stop: Stop,
    module: PathBuf,
    kernel: Option<PathBuf>,
    sources: PathBuf,
    /// Name of a gdb that knows the guest's processor.
    program: &'static str,
    gdb: Option<String>,
    monitor: Port,
    socket: PathBuf,
    attach: PathBuf,
    driver: PathBuf,
}

impl Debugger {
    /// Prepares a machine for gdb, if the options say so.
    pub(crate) fn prepare(
        options: &DebugOptions,
        architecture: Architecture,
        place: &Workplace,
    ) -> Result<Option<Self>, Error> {
        let (Some(stop), Some(module)) = (&options.stop, &options.module) else {
            return Ok(None);
        };
        Ok(Some(Self {
            stop: stop.clone(),
            module: absolute(module)?,
            kernel: options
                .kernel_symbols
                .as_deref()
                .map(absolute)
                .transpose()?,
            sources: absolute(&options.sources)?,
            program: architecture.gdb(),
            gdb: options.gdb.clone(),
            monitor: Port::create(&place.hotplug_ports().monitor)?,
            socket: place.file("gdb"),
            attach: place.file("attach.gdb"),
            driver: place.file("driver.gdb"),
        }))
    }

    /// Returns QEMU's arguments. `monitor` is its name for the runner's line.
    pub(crate) fn arguments(&self, monitor: &Path) -> Vec<String> {
        let doubled = |path: &Path| path.to_string_lossy().replace(',', ",,");
        let mut all = vec![
            "-gdb".to_owned(),
            format!("unix:{},server=on,wait=off", doubled(&self.socket)),
            "-chardev".to_owned(),
            format!("pipe,id=monitor,path={}", doubled(monitor)),
            "-mon".to_owned(),
            "chardev=monitor,mode=control".to_owned(),
        ];
        if self.stop == Stop::Boot {
            all.push("-S".to_owned());
        }
        all
    }

    /// Shows how to attach gdb to a machine that stands still from the beginning.
    pub(crate) fn started(&self, screen: &Screen) -> Result<(), Error> {
        if self.stop != Stop::Boot {
            return Ok(());
        }
        self.write(&self.attach, &self.attach_commands())?;
        screen.rest();
        screen.say("debug:  the machine waits before its first instruction; Ctrl-A X ends it");
        self.show_attach(screen);
        Ok(())
    }

    /// Takes init's line with the addresses of the module's sections. Stops the machine, shows how
    /// to attach gdb, and lets init go on.
    pub(crate) fn loaded(
        &mut self,
        sections: &str,
        line: &mut Port,
        screen: &Screen,
    ) -> Result<(), Error> {
        let symbols = symbols(&self.module, sections).ok_or_else(|| Error::Sections {
            line: sections.to_owned(),
        })?;
        screen.rest();
        if self.stop == Stop::Boot {
            self.write(&self.driver, &symbols)?;
            screen
                .say("debug:  the driver is loaded; for its symbols, stop gdb by Ctrl-C and say:");
            screen.say(&format!("        source {}", self.driver.display()));
        } else {
            let attach = self.attach_commands() + &symbols + &self.last_commands();
            self.write(&self.attach, &attach)?;
            self.stop_machine()?;
            let message = match &self.stop {
                Stop::Place(place) => format!(
                    "debug:  the driver is loaded, and the machine waits for gdb, which goes on to {place}"
                ),
                _ => "debug:  the driver is loaded, and the machine waits for gdb".to_owned(),
            };
            screen.say(&format!("{message}; Ctrl-A X ends it"));
            self.show_attach(screen);
        }
        // A stopped machine reads it when gdb lets it go on.
        line.send(GO_ON)
    }

    /// Shows the command for another terminal.
    fn show_attach(&self, screen: &Screen) {
        let arguments = format!("-x {}", self.attach.display());
        screen.say(&format!("attach: {} {arguments}", self.program));
        if let Some(gdb) = &self.gdb {
            screen.say(&format!(
                "        or with gdb of the release: {gdb} {arguments}"
            ));
        }
    }

    /// Returns the commands by which gdb finds sources, the kernel's symbols and the machine.
    fn attach_commands(&self) -> String {
        let kernel = self.kernel.as_deref().map(quoted);
        let kernel = kernel.map_or_else(String::new, |path| format!("symbol-file {path}\n"));
        format!(
            "set confirm off\ndirectory {}\n{kernel}target remote {}\n",
            quoted(&self.sources),
            self.socket.display()
        )
    }

    /// Returns the commands that lead to the place at which gdb stops.
    fn last_commands(&self) -> String {
        match &self.stop {
            Stop::Place(place) => format!("break {place}\ncontinue\n"),
            Stop::Boot | Stop::Driver => String::new(),
        }
    }

    /// Stops the machine, and waits until it stands still.
    fn stop_machine(&mut self) -> Result<(), Error> {
        let monitor = |reason| Error::Monitor { reason };
        self.monitor.send(&qmp::hello())?;
        self.monitor.send(&qmp::command(STOP, "stop", &json!({})))?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            for line in self.monitor.read()? {
                match qmp::parse(&line).map_err(monitor)? {
                    Message::Answer(STOP, Ok(())) => return Ok(()),
                    Message::Answer(_, Err(reason)) => {
                        return Err(monitor(format!("QEMU does not stop the machine: {reason}")));
                    }
                    _ => {}
                }
            }
            if Instant::now() >= deadline {
                let seconds = PATIENCE.as_secs();
                return Err(monitor(format!(
                    "QEMU did not stop the machine within {seconds} s"
                )));
            }
            sleep(STEP);
        }
    }

    fn write(&self, path: &Path, commands: &str) -> Result<(), Error> {
        fs::write(path, commands).map_err(|source| Error::File {
            action: "written",
            path: path.to_owned(),
            source,
        })
    }
}

/// Returns a path that does not depend on the folder in which gdb runs.
fn absolute(path: &Path) -> Result<PathBuf, Error> {
    fs::canonicalize(path).map_err(|source| Error::Input {
        what: "for the debugger,",
        path: path.to_owned(),
        source,
    })
}

/// Returns gdb's command for the symbols of `module`, of which init reported `sections` as
/// `NAME=ADDRESS`. Returns `None` for any other line: it comes from the guest, and what it holds
/// must not become another command.
fn symbols(module: &Path, sections: &str) -> Option<String> {
    let mut command = format!("add-symbol-file {}", quoted(module));
    let mut has_text = false;
    for word in sections.split_whitespace() {
        let (name, address) = word.split_once('=')?;
        let digits = address.strip_prefix("0x")?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if !name.chars().all(plain) || u64::from_str_radix(digits, 16).is_err() {
            return None;
        }
        has_text |= name == ".text";
        if KEPT.iter().any(|kept| name.starts_with(kept)) {
            write!(command, " -s {name} 0x{digits}").ok()?;
        }
    }
    has_text.then(|| command + "\n")
}

/// Returns a path as a word for gdb.
fn quoted(path: &Path) -> String {
    let path = path.to_string_lossy();
    format!("\"{}\"", path.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODULE: &str = "/a b/ringbar.ko";

    /// Returns the commands that attach gdb with these symbols of the kernel.
    fn attach_commands(kernel: Option<&Path>) -> String {
        let place = Workplace::create().expect("a folder");
        let module = place.file("ringbar.ko");
        fs::write(&module, "").expect("written");
        let options = DebugOptions {
            stop: Some(Stop::Driver),
            module: Some(module),
            kernel_symbols: kernel.map(Path::to_owned),
            sources: place.file("."),
            gdb: None,
        };
        let prepared = Debugger::prepare(&options, Architecture::Arm64, &place).expect("prepared");
        prepared.expect("a debugger").attach_commands()
    }

    #[test]
    fn symbols_of_the_kernel_are_loaded_before_gdb_attaches() {
        let folder = tempfile::tempdir().expect("a folder");
        let kernel = folder.path().join("vm linux");
        fs::write(&kernel, "").expect("written");

        let commands = attach_commands(Some(&kernel));

        let load = format!("\nsymbol-file \"{}\"\ntarget remote ", kernel.display());
        assert!(commands.contains(&load), "{commands}");
    }

    #[test]
    fn kernel_without_symbols_is_not_loaded() {
        assert!(!attach_commands(None).contains("symbol-file"));
    }

    #[test]
    fn symbols_are_those_of_the_sections_that_stay() {
        let line = ".text=0xffffffffc0001000 .init.text=0xffffffffc0009000 .rodata.str1.1=0xffffffffc0003000 \
                    .note.gnu.build-id=0xffffffffc0004000";

        assert_eq!(
            symbols(Path::new(MODULE), line).as_deref(),
            Some(
                "add-symbol-file \"/a b/ringbar.ko\" -s .text 0xffffffffc0001000 \
                 -s .rodata.str1.1 0xffffffffc0003000\n"
            )
        );
    }

    #[test]
    fn line_that_could_be_a_command_for_gdb_is_refused() {
        for line in [
            "",
            ".text",
            ".text=12",
            ".text=0x",
            ".text=0x12;shell",
            ".text=0x12 .data=0xx",
            "(.text=0x12",
            ".data=0x12",
        ] {
            assert_eq!(symbols(Path::new(MODULE), line), None, "{line}");
        }
    }

    #[test]
    fn stop_is_a_moment_or_a_place() {
        assert_eq!("boot".parse(), Ok(Stop::Boot));
        assert_eq!("driver".parse(), Ok(Stop::Driver));
        let place = "guest-driver/mapping/map.rs:95";
        assert_eq!(place.parse(), Ok(Stop::Place(place.to_owned())));
    }

    #[test]
    fn place_that_would_be_two_commands_is_refused() {
        for text in ["", " ", "main\nshell rm", "a\tb"] {
            assert!(text.parse::<Stop>().is_err(), "{text:?}");
        }
    }
}

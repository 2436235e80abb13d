// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Reads the kernel's log and its taint, and reports complaints to the runner.
//!
//! The runner sees the console, but the kernel command line can hide much of it. `/dev/kmsg` has
//! every message. A thread reads it while programs run, so that a stuck program does not delay a
//! complaint. [`KernelLog::enter`] and [`KernelLog::leave`] read it as well, so that each complaint
//! names the program that ran.

use crate::results::Results;
use ringbar_kernel_log::{Choice, Line, Record, Taint};
use rustix::event::{poll, PollFd, PollFlags};
use rustix::fs::{open, Mode, OFlags};
use rustix::io::Errno;
use std::fs::{self, File};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

const LOG: &str = "/dev/kmsg";
const TAINT: &str = "/proc/sys/kernel/tainted";
/// Its first number is a level. The console shows messages below that level.
const CONSOLE_LEVEL: &str = "/proc/sys/kernel/printk";

/// Size of a read. It exceeds any record (`PRINTK_MESSAGE_MAX`), because the kernel does not return
/// parts of records.
const LONGEST_RECORD: usize = 8192;

/// Reader of the log and the taint, from the first message of the boot on.
pub(crate) struct KernelLog {
    reader: Arc<Mutex<Reader>>,
}

impl KernelLog {
    /// Opens the log, reads all records so far, and starts a thread that reads on.
    pub(crate) fn open() -> Result<Self, String> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let log = open(LOG, flags, Mode::empty())
            .map_err(|errno| format!("cannot open {LOG}, the kernel's log: {errno}"))?;
        let log = File::from(log);
        // A second handle for `poll`, so that the thread waits without the lock.
        let news = log.try_clone();
        let news = news.map_err(|error| format!("cannot open {LOG} again: {error}"))?;
        let reader = Arc::new(Mutex::new(Reader::new(log)?));
        let shared = Arc::clone(&reader);
        thread::spawn(move || follow(&news, &shared));
        let log = Self { reader };
        log.with(Reader::look);
        Ok(log)
    }

    /// Notes that a program begins.
    pub(crate) fn enter(&self, program: &str) {
        self.with(|reader| {
            reader.look();
            reader.program = Some(program.to_owned());
        });
    }

    /// Notes that the program has ended.
    pub(crate) fn leave(&self) {
        self.with(|reader| {
            reader.look();
            reader.program = None;
        });
    }

    /// Reads the log to its end and reports that. Later messages, while the machine powers off,
    /// appear on the console, whatever the command line says.
    pub(crate) fn finish(&self) {
        if let Err(error) = fs::write(CONSOLE_LEVEL, "7") {
            eprintln!("ringbar-init: cannot write to {CONSOLE_LEVEL}: {error}");
        }
        self.with(Reader::finish);
    }

    /// Runs `work` with the reader locked.
    fn with<T>(&self, work: impl FnOnce(&mut Reader) -> T) -> T {
        // A thread that panicked has at worst dropped a line. The log still has the records after
        // it.
        work(&mut self.reader.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Reads new records as they come, until the guest powers off.
fn follow(news: &File, reader: &Mutex<Reader>) {
    loop {
        match poll(&mut [PollFd::new(news, PollFlags::IN)], None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => {
                eprintln!("ringbar-init: cannot wait for {LOG}: {errno}");
                return;
            }
        }
        let mut reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
        reader.drain();
        if reader.broken {
            return;
        }
    }
}

/// State of the reader.
struct Reader {
    log: File,
    results: Results,
    choice: Choice,
    /// Running program.
    program: Option<String>,
    /// Bits of the taint that need no report.
    known: Taint,
    /// Whether the log or the taint has become unreadable.
    broken: bool,
}

impl Reader {
    /// Starts with the present taint. Bits that stand for faults are reported even if they are
    /// already set.
    fn new(log: File) -> Result<Self, String> {
        let taint = taint()?;
        Ok(Self {
            log,
            results: Results::open()?,
            choice: Choice::default(),
            program: None,
            known: Taint::MODULE.with(taint.without(Taint::FAULTS)),
            broken: false,
        })
    }

    /// Passes on new complaints of the log and new bits of the taint.
    fn look(&mut self) {
        // The taint first. The kernel prints a message and then sets the bit, so the message that
        // explains a bit is in the log by now.
        let taint = taint();
        self.drain();
        match taint {
            Ok(taint) => self.compare(taint),
            Err(error) => self.fail(&error),
        }
    }

    /// Reports bits of the taint that are new.
    fn compare(&mut self, taint: Taint) {
        let bits = taint.without(self.known);
        if !bits.is_empty() {
            self.known = self.known.with(bits);
            let program = self.program.clone();
            self.tell(&Line::Tainted { program, bits });
        }
    }

    /// Passes on new complaints of the log.
    fn drain(&mut self) {
        let mut bytes = [0; LONGEST_RECORD];
        while !self.broken {
            match rustix::io::read(&self.log, &mut bytes[..]) {
                Ok(length) => match bytes.get(..length).and_then(Record::parse) {
                    Some(record) => self.take(&record),
                    None => self.fail(&format!("{LOG} has a line that is not a record")),
                },
                // Records were overwritten. The number of the next one shows how many.
                Err(Errno::PIPE | Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(errno) => self.fail(&format!("cannot read {LOG}: {errno}")),
            }
        }
    }

    /// Passes on what the runner needs of a record.
    fn take(&mut self, record: &Record) {
        let (records, lines) = self.choice.take(record);
        let program = self.program.clone();
        if records > 0 {
            let program = program.clone();
            self.tell(&Line::Lost { program, records });
        }
        for text in lines {
            let program = program.clone();
            self.tell(&Line::Said { program, text });
        }
    }

    /// Reports the number of records and the taint at the end.
    fn finish(&mut self) {
        self.look();
        if self.broken {
            return;
        }
        let records = self.choice.read();
        match taint() {
            Ok(taint) => self.tell(&Line::End { records, taint }),
            Err(error) => self.fail(&error),
        }
    }

    /// Sends a line to the runner.
    fn tell(&mut self, line: &Line) {
        self.results.line(&line.to_string());
    }

    /// Gives up. The runner then misses the report that the log was read to its end, and fails the
    /// run.
    fn fail(&mut self, reason: &str) {
        eprintln!("ringbar-init: {reason}");
        self.broken = true;
    }
}

/// Reads the kernel's taint.
fn taint() -> Result<Taint, String> {
    let text =
        fs::read_to_string(TAINT).map_err(|error| format!("cannot read {TAINT}: {error}"))?;
    Taint::parse(&text).ok_or_else(|| format!("{TAINT} has {:?} instead of a number", text.trim()))
}

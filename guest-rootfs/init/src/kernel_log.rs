// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Reads the kernel's log and its taint, and tells the runner what is wrong.
//!
//! The runner sees the console, but the kernel's command line can hide much of it. `/dev/kmsg` has every
//! message, whatever the console shows. A thread reads it while programs run, so that a stuck program does
//! not keep a complaint back; [`KernelLog::enter`] and [`KernelLog::leave`] read it as well, so that each
//! complaint is told with the program that ran.

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
/// Its first number is the level below which messages are shown on the console.
const CONSOLE_LEVEL: &str = "/proc/sys/kernel/printk";

/// Longer than any record (`PRINTK_MESSAGE_MAX`), as the kernel refuses to give a part of one.
const LONGEST_RECORD: usize = 8192;

/// The log and the taint, read from the boot's first message on.
pub(crate) struct KernelLog {
    reader: Arc<Mutex<Reader>>,
}

impl KernelLog {
    /// Opens the log, reads what is there, and keeps reading in a thread.
    pub(crate) fn open() -> Result<Self, String> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let log = open(LOG, flags, Mode::empty())
            .map_err(|errno| format!("cannot open {LOG}, the kernel's log: {errno}"))?;
        let log = File::from(log);
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

    /// Reads the log to its end and says so. What comes after that, while the machine powers off, is shown on
    /// the console, whatever the command line said of it.
    pub(crate) fn finish(&self) {
        if let Err(error) = fs::write(CONSOLE_LEVEL, "7") {
            eprintln!("ringbar-init: cannot write to {CONSOLE_LEVEL}: {error}");
        }
        self.with(Reader::finish);
    }

    fn with<T>(&self, work: impl FnOnce(&mut Reader) -> T) -> T {
        // A thread that panicked has at worst not passed a line on; the log still has what follows.
        work(&mut self.reader.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Reads whenever there is something new, until the guest powers off.
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

/// What reads, and what was read.
struct Reader {
    log: File,
    results: Results,
    choice: Choice,
    /// The program that runs.
    program: Option<String>,
    /// Bits of the taint that need not be told.
    known: Taint,
    /// The log or the taint cannot be read any more.
    broken: bool,
}

impl Reader {
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

    /// Passes on what is new in the log and in the taint.
    fn look(&mut self) {
        // In this order: the kernel prints first and sets a bit then, so what explains a bit is in the log already.
        let taint = taint();
        self.drain();
        match taint {
            Ok(taint) => self.compare(taint),
            Err(error) => self.fail(&error),
        }
    }

    fn compare(&mut self, taint: Taint) {
        let bits = taint.without(self.known);
        if !bits.is_empty() {
            self.known = self.known.with(bits);
            let program = self.program.clone();
            self.tell(&Line::Tainted { program, bits });
        }
    }

    /// Passes on what is new in the log.
    fn drain(&mut self) {
        let mut bytes = [0; LONGEST_RECORD];
        while !self.broken {
            match rustix::io::read(&self.log, &mut bytes[..]) {
                Ok(length) => match bytes.get(..length).and_then(Record::parse) {
                    Some(record) => self.take(&record),
                    None => self.fail(&format!("{LOG} gave what is no record")),
                },
                // Records were overwritten: the number of the next one tells how many.
                Err(Errno::PIPE | Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(errno) => self.fail(&format!("cannot read {LOG}: {errno}")),
            }
        }
    }

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

    fn tell(&mut self, line: &Line) {
        self.results.line(&line.to_string());
    }

    /// Gives up. The runner then misses the word that the log was read to its end.
    fn fail(&mut self, reason: &str) {
        eprintln!("ringbar-init: {reason}");
        self.broken = true;
    }
}

fn taint() -> Result<Taint, String> {
    let text =
        fs::read_to_string(TAINT).map_err(|error| format!("cannot read {TAINT}: {error}"))?;
    Taint::parse(&text).ok_or_else(|| format!("{TAINT} has no number but {:?}", text.trim()))
}

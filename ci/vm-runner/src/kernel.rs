// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Messages of the guest's kernel: from its console, and from its log, which init reads and passes
//! on.
//!
//! The console comes first and shows a panic, but the kernel command line can hide much of it. The
//! log has everything except messages after init's last look. Most complaints come by both ways,
//! and count once.

use ringbar_kernel_log::{examine, kernel_started, Complaint, Line, Taint};

/// Lines kept from the first complaint on.
const KEPT: usize = 40;

/// Messages of a kernel.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kernel {
    /// Whether its first line has come.
    started: bool,
    complaints: Vec<Heard>,
    console: Vec<String>,
    log: Vec<String>,
    /// New bits of the taint, and the program that ran then.
    pub(crate) taints: Vec<(Option<String>, Taint)>,
    /// Records that were overwritten before init read them.
    pub(crate) lost: u64,
    /// Whether init has read the log to its end.
    pub(crate) read_to_the_end: bool,
}

/// A complaint and its sources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    /// The complaint.
    pub(crate) complaint: Complaint,
    /// Program that ran, if known.
    pub(crate) program: Option<String>,
    /// Whether the console showed it.
    pub(crate) on_console: bool,
    /// Whether init passed it on.
    in_log: bool,
}

impl Kernel {
    /// Takes a line of the console that came while this program ran. Returns a complaint that is
    /// new.
    pub(crate) fn console_line(&mut self, line: &str, running: Option<&str>) -> Option<Complaint> {
        self.started |= kernel_started(line);
        let news = examine(line).and_then(|complaint| {
            self.hear(Heard {
                complaint,
                program: running.map(str::to_owned),
                on_console: true,
                in_log: false,
            })
        });
        if self.complaints.iter().any(|heard| heard.on_console) {
            keep(&mut self.console, line);
        }
        news
    }

    /// Takes a line of init about the log. Returns a complaint that is new.
    pub(crate) fn log_line(&mut self, line: Line) -> Option<Complaint> {
        match line {
            Line::Said { program, text } => {
                keep(&mut self.log, &text);
                let complaint = examine(&text)?;
                return self.hear(Heard {
                    complaint,
                    program,
                    on_console: false,
                    in_log: true,
                });
            }
            Line::Lost { records, .. } => self.lost = self.lost.saturating_add(records),
            Line::Tainted { program, bits } => self.taints.push((program, bits)),
            Line::End { .. } => self.read_to_the_end = true,
        }
        None
    }

    /// Notes a complaint. Returns it, unless it is known from the other source.
    fn hear(&mut self, heard: Heard) -> Option<Complaint> {
        let same = |known: &&mut Heard| {
            let elsewhere = if heard.in_log {
                !known.in_log
            } else {
                !known.on_console
            };
            elsewhere && known.complaint == heard.complaint
        };
        if let Some(known) = self.complaints.iter_mut().find(same) {
            if heard.in_log {
                // Init notes the program with each record. The runner infers it from the results.
                known.program = heard.program;
            }
            known.in_log |= heard.in_log;
            known.on_console |= heard.on_console;
            return None;
        }
        let complaint = heard.complaint.clone();
        self.complaints.push(heard);
        Some(complaint)
    }

    /// Returns whether a kernel runs.
    pub(crate) fn has_started(&self) -> bool {
        self.started
    }

    /// Returns the kernel's complaints in the order of their arrival.
    pub(crate) fn complaints(&self) -> &[Heard] {
        &self.complaints
    }

    /// Returns the lines from the first complaint on, from the source that had it.
    pub(crate) fn details(&self) -> &[String] {
        match self.complaints.first() {
            Some(first) if first.on_console => &self.console,
            _ => &self.log,
        }
    }

    /// Returns the taints that no complaint explains.
    pub(crate) fn silent_taints(&self) -> impl Iterator<Item = &(Option<String>, Taint)> {
        self.taints.iter().filter(|(program, _)| {
            let explains = |heard: &Heard| heard.program.is_none() || heard.program == *program;
            !self.complaints.iter().any(explains)
        })
    }
}

/// Keeps a line, up to the limit.
fn keep(lines: &mut Vec<String>, line: &str) {
    if lines.len() < KEPT {
        lines.push(line.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(program: &str, text: &str) -> Line {
        Line::Said {
            program: Some(program.into()),
            text: text.into(),
        }
    }

    fn tainted(program: &str) -> Line {
        Line::Tainted {
            program: Some(program.into()),
            bits: Taint(1 << 9),
        }
    }

    #[test]
    fn complaint_in_console_and_log_counts_once() {
        let mut kernel = Kernel::default();

        let first = kernel.console_line("[    5.0] WARNING: x.c:1 at f", None);
        let second = kernel.log_line(said("dma", "WARNING: x.c:1 at f"));

        assert!(first.is_some());
        assert_eq!(second, None);
        assert_eq!(kernel.complaints().len(), 1);
        assert_eq!(kernel.complaints()[0].program.as_deref(), Some("dma"));
    }

    #[test]
    fn console_after_the_log_adds_nothing() {
        let mut kernel = Kernel::default();

        kernel.log_line(said("dma", "Oops: 0002 [#1]"));
        let second = kernel.console_line("[    5.0] Oops: 0002 [#1]", Some("queue"));

        assert_eq!(second, None);
        assert_eq!(kernel.complaints()[0].program.as_deref(), Some("dma"));
        assert!(kernel.complaints()[0].on_console);
    }

    #[test]
    fn repeated_complaint_counts_twice() {
        let mut kernel = Kernel::default();
        for _ in 0..2 {
            kernel.console_line("WARNING: x.c:1 at f", None);
            kernel.log_line(said("dma", "WARNING: x.c:1 at f"));
        }

        assert_eq!(kernel.complaints().len(), 2);
    }

    #[test]
    fn complaint_hidden_from_the_console_is_found_with_its_trace() {
        let mut kernel = Kernel::default();

        let news = kernel.log_line(said("dma", "WARNING: x.c:1 at f"));
        kernel.log_line(said("dma", "RIP: 0010:f"));

        assert_eq!(news.map(|complaint| complaint.what), Some("kernel warning"));
        assert_eq!(kernel.details(), ["WARNING: x.c:1 at f", "RIP: 0010:f"]);
    }

    #[test]
    fn taint_with_a_complaint_of_the_same_program_is_explained() {
        let mut kernel = Kernel::default();
        kernel.log_line(said("dma", "WARNING: x.c:1 at f"));
        kernel.log_line(tainted("dma"));
        assert_eq!(kernel.silent_taints().count(), 0);

        kernel.log_line(tainted("queue"));
        let programs: Vec<_> = kernel.silent_taints().map(|(p, _)| p.clone()).collect();
        assert_eq!(programs, [Some("queue".to_owned())]);
    }

    #[test]
    fn started_kernel_is_known() {
        let mut kernel = Kernel::default();
        assert!(!kernel.has_started());

        kernel.console_line("[    0.000000] Linux version 7.3.4", None);

        assert!(kernel.has_started());
    }
}

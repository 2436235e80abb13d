// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A case: one rule, and a check whether a server keeps it.

use std::fmt;
use std::rc::Rc;

use crate::client::Client;
use crate::outcome::Outcome;
use crate::survey::Survey;
use crate::target::Target;

/// A case. Its full name is `group/name`.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Case {
    /// Name of the rule: subject and outcome.
    pub name: &'static str,
    /// Source of the rule.
    pub basis: Basis,
    /// The check.
    pub(crate) run: Run,
}

/// Connections of a case.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Run {
    /// One that has negotiated. It must be in step at the end.
    Session(fn(&mut Client) -> Outcome),
    /// Those that the case makes itself.
    Free(fn(&mut Kit<'_>) -> Outcome),
}

/// Source of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Basis {
    /// The protocol's document, or the structures of VFIO that it refers to.
    Spec,
    /// QEMU's client, which relies on it.
    Qemu,
    /// A server that trusts no client: it stays in step, keeps nothing, and refuses messages
    /// without a meaning.
    Strict,
}

/// A group of cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Group {
    /// Header: sizes, types, ids, unknown commands
    Header,
    /// VERSION, and what may come before it
    Version,
    /// DMA_MAP and DMA_UNMAP
    Dma,
    /// DEVICE_GET_INFO, GET_REGION_INFO, GET_IRQ_INFO
    Info,
    /// DEVICE_SET_IRQS
    Irqs,
    /// REGION_READ and REGION_WRITE
    Region,
    /// REGION_WRITE_MULTI
    WriteMulti,
    /// Commands that a server may do without, and DEVICE_RESET
    Other,
    /// File descriptors: none is kept that has no use
    Fds,
    /// Form and order of replies
    Replies,
    /// Every message split at every byte
    Drip,
    /// Connection closed at every byte of every message
    Disconnect,
    /// Floods, random messages, reconnection, memory
    Robustness,
}

impl Basis {
    /// Returns the name, as tables and reports have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Spec => "spec",
            Self::Qemu => "qemu",
            Self::Strict => "strict",
        }
    }
}

impl Group {
    /// All groups, in the order of a run.
    pub const ALL: &'static [Self] = &[
        Self::Header,
        Self::Version,
        Self::Dma,
        Self::Info,
        Self::Irqs,
        Self::Region,
        Self::WriteMulti,
        Self::Other,
        Self::Fds,
        Self::Replies,
        Self::Drip,
        Self::Disconnect,
        Self::Robustness,
    ];

    /// Returns the name, as in the names of cases and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Version => "version",
            Self::Dma => "dma",
            Self::Info => "info",
            Self::Irqs => "irqs",
            Self::Region => "region",
            Self::WriteMulti => "write-multi",
            Self::Other => "other",
            Self::Fds => "fds",
            Self::Replies => "replies",
            Self::Drip => "drip",
            Self::Disconnect => "disconnect",
            Self::Robustness => "robustness",
        }
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Makes a case with a negotiated connection of its own.
pub(crate) const fn session(
    name: &'static str,
    basis: Basis,
    run: fn(&mut Client) -> Outcome,
) -> Case {
    Case {
        name,
        basis,
        run: Run::Session(run),
    }
}

/// Makes a case that makes its own connections.
pub(crate) const fn free(
    name: &'static str,
    basis: Basis,
    run: fn(&mut Kit<'_>) -> Outcome,
) -> Case {
    Case {
        name,
        basis,
        run: Run::Free(run),
    }
}

/// Receives the number of steps done and of all steps.
pub type Progress<'a> = dyn Fn(usize, usize) + 'a;

/// The server, and settings, for cases that make their own connections.
pub(crate) struct Kit<'a> {
    /// The server.
    pub(crate) target: &'a mut Target,
    /// Properties of the server.
    pub(crate) survey: Rc<Survey>,
    /// Seed of the random messages.
    pub(crate) seed: u64,
    /// Number of random messages.
    pub(crate) messages: u64,
    /// Receives the progress of a long case.
    pub(crate) progress: &'a Progress<'a>,
}

impl Kit<'_> {
    /// Makes a connection on which nothing was sent yet.
    pub(crate) fn connect(&mut self) -> Outcome<Client> {
        self.target.connect(&self.survey)
    }

    /// Makes a connection that has negotiated.
    pub(crate) fn client(&mut self) -> Outcome<Client> {
        self.target.session(&self.survey)
    }

    /// Fails unless the server still serves a new client.
    pub(crate) fn serves(&mut self) -> Outcome {
        self.client()?.alive()
    }

    /// Reports the progress of a long case.
    pub(crate) fn step(&self, done: usize, of: usize) {
        (self.progress)(done, of);
    }
}

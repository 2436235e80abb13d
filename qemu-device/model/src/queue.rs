// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A running queue: takes descriptors from one ring, posts completions to the other.

use crate::operation::{Bench, Budget, Ended, Operation};
use crate::registers::RegisterFile;
use crate::words::QueueWords;
use crate::{Effects, Host, LoggedError, Note, Place};
use ringbar_spec::error::ErrorCode;
use ringbar_spec::regs::{INTERRUPT_MODERATION, QUEUE_RUNNING};
use ringbar_spec::ring::{distance, slot, Completion, Descriptor, Status};
use ringbar_spec::setup::QueueSetup;
use ringbar_spec::wake::{self, Word, Words};
use zerocopy::IntoBytes;

/// Most descriptors that are fetched at once.
const BATCH: usize = 16;
/// Most completions of a turn.
const COMPLETIONS: usize = Budget::STEP.units() as usize;

/// What a queue does after its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Goes on with its next turn.
    Unfinished,
    /// Waits until its doorbell says something new.
    Waits,
    /// Cannot go on. The error is logged and shown.
    Failed,
}

/// Why a queue has to stop.
struct Fault {
    code: ErrorCode,
    value: u64,
}

/// An interrupt that is held back.
struct Held {
    since: u64,
    /// Posted since then, and with the completion that it is for.
    completions: u32,
}

impl Held {
    /// Until when it is held back at the latest.
    fn deadline(&self, moderation: INTERRUPT_MODERATION) -> u64 {
        let limit = moderation.completions();
        if limit != 0 && self.completions >= limit {
            return self.since;
        }
        let microseconds = u64::from(moderation.microseconds());
        self.since.saturating_add(microseconds * 1000)
    }
}

/// A queue that runs.
pub(crate) struct Queue {
    number: u16,
    setup: QueueSetup,
    vector: u16,
    /// Descriptors carried out, modulo 2^32. Each has one completion, in order, so this is both
    /// the head of the submission ring and the tail of the completion ring.
    done: u32,
    /// Submission tail, as last loaded.
    submitted: u32,
    /// Completion head, as last loaded.
    taken: u32,
    operation: Option<Operation>,
    /// Polling passes since it was started, modulo 2^32.
    heartbeat: u32,
    held: Option<Held>,
}

impl Queue {
    /// A queue with empty rings, which sleeps. The setup was checked.
    pub(crate) fn start(
        number: u16,
        vector: u16,
        setup: QueueSetup,
        words: &QueueWords<'_>,
    ) -> Self {
        words.show_completion(&Completion::default());
        words.store(Word::CompletionTail, 0);
        words.store(Word::Heartbeat, 0);
        words.store(Word::Sleeping, 1);
        words.store(Word::QueueState, QUEUE_RUNNING);
        Self {
            number,
            setup,
            vector,
            done: 0,
            submitted: 0,
            taken: 0,
            operation: None,
            heartbeat: 0,
            held: None,
        }
    }

    /// Interrupt vector of its completions.
    pub(crate) fn vector(&self) -> u16 {
        self.vector
    }

    /// Number of the queue.
    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    /// Until when its interrupt is held back at the latest, if one is.
    pub(crate) fn deadline(&self, moderation: INTERRUPT_MODERATION) -> Option<u64> {
        self.held.as_ref().map(|held| held.deadline(moderation))
    }

    /// Ends to hold an interrupt back.
    pub(crate) fn release(&mut self) {
        self.held = None;
    }

    /// Whether to raise the vector now that completions were posted, of which one is `wanted` or not.
    fn moderate(
        &mut self,
        wanted: bool,
        posted: u32,
        moderation: INTERRUPT_MODERATION,
        host: &dyn Host,
    ) -> bool {
        let holds = moderation.microseconds() != 0 && moderation.completions() != 1;
        if self.held.is_none() && !(wanted && holds) {
            return wanted;
        }
        let now = host.now();
        let held = self.held.get_or_insert(Held {
            since: now,
            completions: 0,
        });
        held.completions = held.completions.saturating_add(posted);
        let raise = held.deadline(moderation) <= now;
        if raise {
            self.held = None;
        }
        raise
    }

    /// Shows that the device looks at the doorbell.
    pub(crate) fn beat(&mut self, words: &QueueWords<'_>) {
        self.heartbeat = self.heartbeat.wrapping_add(1);
        words.store(Word::Heartbeat, self.heartbeat);
    }

    /// Whether the doorbell says that there is something to do.
    pub(crate) fn has_news(&self, words: &QueueWords<'_>) -> bool {
        words.load(Word::SubmissionTail) != self.done
            && (self.has_room() || words.load(Word::CompletionHead) != self.taken)
    }

    /// Breaks off what uses a window.
    pub(crate) fn abort_users(&mut self, window: u16) {
        if let Some(operation) = self.operation.as_mut().filter(|it| it.uses(window)) {
            operation.abort();
        }
    }

    /// Works until the budget of a step is spent or there is nothing to do.
    pub(crate) fn turn(
        &mut self,
        bench: &mut Bench<'_>,
        registers: &mut RegisterFile,
        effects: &mut Effects,
    ) -> Turn {
        let before = self.done;
        let end = self.work(bench, registers, effects);
        let end = self.post(before, bench).and(end);
        let words = QueueWords::new(bench.host, self.number);
        if self.done != before {
            let wanted = wake::post(&words, before, self.done);
            let moderation = registers.moderation(self.number.into());
            let posted = distance(before, self.done);
            let raise = self.moderate(wanted, posted, moderation, bench.host);
            registers.announce(self.vector, raise, effects);
        }
        end.unwrap_or_else(|fault| {
            registers.log(self.entry(fault.code, fault.value), effects);
            show_stopped(&words, fault.code.0.into());
            registers.announce(self.vector, true, effects);
            Turn::Failed
        })
    }

    fn work(
        &mut self,
        bench: &mut Bench<'_>,
        registers: &mut RegisterFile,
        effects: &mut Effects,
    ) -> Result<Turn, Fault> {
        let mut budget = Budget::STEP;
        bench.tray.clear();
        let watched = bench.host.is_watched();
        if self.operation.is_none() {
            // What it was woken for.
            self.look_at_tail(bench.host)?;
        }
        while !budget.is_spent() {
            if self.operation.is_none() {
                if !self.may_go_on(bench.host)? {
                    return Ok(Turn::Waits);
                }
                bench.tray.fill(self, budget.units(), bench.host)?;
            }
            let Some((tag, ended)) = self.go_on(bench, &mut budget, watched) else {
                return Ok(Turn::Unfinished);
            };
            if let Some((code, value)) = ended.error(tag) {
                registers.log(self.entry(code, value), effects);
            }
            let completion = Completion {
                tag,
                status: ended.status.0,
                reserved: 0,
                result: ended.result,
            };
            if watched {
                bench.host.note(Note::Ends(self.number, &completion));
            }
            bench.tray.complete(completion);
            self.done = self.done.wrapping_add(1);
        }
        Ok(Turn::Unfinished)
    }

    /// Whether there is a descriptor, and room for its completion.
    fn may_go_on(&mut self, host: &dyn Host) -> Result<bool, Fault> {
        if self.done == self.submitted {
            self.look_at_tail(host)?;
        }
        if self.done == self.submitted {
            return Ok(false);
        }
        if !self.has_room() {
            self.look_at_head(host)?;
        }
        Ok(self.has_room())
    }

    /// Whether the completion ring has a free slot, as far as was last seen.
    fn has_room(&self) -> bool {
        distance(self.taken, self.done) < self.setup.completion_entries
    }

    /// Goes on with the operation in progress, or begins the next descriptor. Answers the tag of
    /// what ended and how it did.
    fn go_on(
        &mut self,
        bench: &mut Bench<'_>,
        budget: &mut Budget,
        watched: bool,
    ) -> Option<(u32, Ended)> {
        let mut operation = match self.operation.take() {
            Some(operation) => operation,
            None => {
                let descriptor = bench.tray.next()?;
                if watched {
                    bench.host.note(Note::Begins(self.number, descriptor));
                }
                match Operation::new(descriptor, self.setup.domain, bench.windows) {
                    Ok(Some(operation)) => operation,
                    outcome => {
                        budget.spend_unit();
                        let status = outcome.err().unwrap_or(Status::OK);
                        return Some((descriptor.tag, status.into()));
                    }
                }
            }
        };
        match operation.advance(bench, budget) {
            Some(ended) => Some((operation.tag, ended)),
            None => {
                self.operation = Some(operation);
                None
            }
        }
    }

    /// Loads the submission tail, and checks it.
    fn look_at_tail(&mut self, host: &dyn Host) -> Result<(), Fault> {
        let tail = QueueWords::new(host, self.number).load(Word::SubmissionTail);
        if distance(self.done, tail) > self.setup.submission_entries {
            return Err(Fault {
                code: ErrorCode::BAD_TAIL,
                value: tail.into(),
            });
        }
        self.submitted = tail;
        Ok(())
    }

    /// Loads the completion head, and checks it.
    ///
    /// Only when nothing else helps: the driver side writes it all the time, so that each look takes
    /// its cache line away from there.
    fn look_at_head(&mut self, host: &dyn Host) -> Result<(), Fault> {
        let head = QueueWords::new(host, self.number).load(Word::CompletionHead);
        if distance(self.taken, head) > distance(self.taken, self.done) {
            return Err(Fault {
                code: ErrorCode::BAD_HEAD,
                value: head.into(),
            });
        }
        self.taken = head;
        Ok(())
    }

    /// Writes the completions from number `first` on, and the last of them beside the tail. That is
    /// stored at the end of the turn.
    ///
    /// At one that cannot be written `done` ends, so that neither it nor any behind it is announced.
    fn post(&mut self, first: u32, bench: &Bench<'_>) -> Result<(), Fault> {
        let (ring, entries) = (self.setup.completion_ring, self.setup.completion_entries);
        let write = |index: u32, completions: &[Completion]| {
            let address = entry_address::<Completion>(ring, index, entries);
            bench
                .host
                .write(Place::Guest(address), completions.as_bytes())
                .map_err(|_| Fault {
                    code: ErrorCode::COMPLETION_FAULT,
                    value: address,
                })
        };
        let mut index = first;
        let mut left = bench.tray.completions();
        while !left.is_empty() {
            let to_ring_end = entries.saturating_sub(slot(index, entries)) as usize;
            let (run, rest) = left.split_at(left.len().min(to_ring_end));
            if write(index, run).is_err() {
                // Perhaps some of them can be.
                for completion in run {
                    if let Err(fault) = write(index, std::slice::from_ref(completion)) {
                        self.done = index;
                        return Err(fault);
                    }
                    index = index.wrapping_add(1);
                }
            } else {
                index = index.wrapping_add(run.len() as u32);
            }
            left = rest;
        }
        if let Some(last) = bench.tray.completions().last() {
            QueueWords::new(bench.host, self.number).show_completion(last);
        }
        Ok(())
    }

    fn entry(&self, code: ErrorCode, value: u64) -> LoggedError {
        LoggedError {
            code,
            queue: self.number,
            value,
        }
    }
}

/// What lies between the rings and the work of a turn.
pub(crate) struct Tray {
    /// Copied out of the submission ring; those from `next` to `end` were not looked at yet.
    descriptors: [Descriptor; BATCH],
    next: usize,
    end: usize,
    /// Of this turn; the first `ended` are to be written to the completion ring.
    completions: [Completion; COMPLETIONS],
    ended: usize,
}

impl Tray {
    pub(crate) fn new() -> Self {
        Self {
            descriptors: [Descriptor::default(); BATCH],
            next: 0,
            end: 0,
            completions: [Completion::default(); COMPLETIONS],
            ended: 0,
        }
    }

    fn clear(&mut self) {
        self.next = 0;
        self.end = 0;
        self.ended = 0;
    }

    /// The next descriptor, if one was fetched.
    fn next(&mut self) -> Option<&Descriptor> {
        let next = self.next;
        self.next += 1;
        self.descriptors.get(..self.end)?.get(next)
    }

    /// Copies the queue's next descriptors, `limit` at most, if all that were fetched are taken. A single
    /// one may stand beside the doorbell, in a cache line that is here already.
    fn fill(&mut self, queue: &Queue, limit: u32, host: &dyn Host) -> Result<(), Fault> {
        if self.next < self.end {
            return Ok(());
        }
        let waiting = distance(queue.done, queue.submitted);
        if waiting == 1
            && let Some(descriptor) = QueueWords::new(host, queue.number).inline_descriptor()
            && let Some(room) = self.descriptors.first_mut()
        {
            *room = descriptor;
            (self.next, self.end) = (0, 1);
            return Ok(());
        }
        let entries = queue.setup.submission_entries;
        let address = entry_address::<Descriptor>(queue.setup.submission_ring, queue.done, entries);
        let to_ring_end = entries.saturating_sub(slot(queue.done, entries));
        let wanted = (waiting.min(to_ring_end).min(limit) as usize).clamp(1, BATCH);
        // Where the whole batch cannot be read, the first one perhaps can.
        for count in [wanted, 1] {
            let Some(room) = self.descriptors.get_mut(..count) else {
                continue;
            };
            if host
                .read(Place::Guest(address), room.as_mut_bytes())
                .is_ok()
            {
                self.next = 0;
                self.end = count;
                return Ok(());
            }
        }
        Err(Fault {
            code: ErrorCode::SUBMISSION_FAULT,
            value: address,
        })
    }

    /// Keeps the completion of a descriptor.
    fn complete(&mut self, completion: Completion) {
        if let Some(place) = self.completions.get_mut(self.ended) {
            *place = completion;
            self.ended += 1;
        }
    }

    fn completions(&self) -> &[Completion] {
        self.completions.get(..self.ended).unwrap_or_default()
    }
}

/// Address of entry `index` of a ring of `T`. The ring was checked not to pass 2^64.
fn entry_address<T>(ring: u64, index: u32, entries: u32) -> u64 {
    ring.wrapping_add(u64::from(slot(index, entries)) * size_of::<T>() as u64)
}

/// Shows that the queue does not run any more: `QUEUE_STOPPED`, or the code of what stopped it.
pub(crate) fn show_stopped(words: &QueueWords<'_>, state: u32) {
    words.store(Word::QueueState, state);
    words.store(Word::Sleeping, 0);
}

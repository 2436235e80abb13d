// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A running queue: takes descriptors from one ring, posts completions to the other (data sheet 6).

mod batch;

pub(crate) use batch::Batch;

use crate::checked::Checked;
use crate::operation::{Budget, DescriptorOutcome, Operation, StepContext, Work};
use crate::registers::RegisterFile;
use crate::words::QueueWords;
use crate::{Effects, Host, Location, LoggedError, Note};
use ringbar_spec::error::ErrorCode;
use ringbar_spec::pages::QUEUE_RUNNING;
use ringbar_spec::regs::INTERRUPT_MODERATION;
use ringbar_spec::ring::{distance, slot, Completion, Descriptor, Opcode, Status};
use ringbar_spec::setup::QueueSetup;
use ringbar_spec::wake::{self, Word, Words};
use zerocopy::IntoBytes;

/// Outcome of a queue's turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Goes on with its next turn.
    Unfinished,
    /// Waits until its doorbell shows something new.
    Waits,
    /// Cannot go on. The error is logged and shown.
    Failed,
}

/// Reason for which a queue has to stop.
struct Fault {
    code: ErrorCode,
    value: u64,
}

/// An interrupt that is held back.
struct Held {
    since: u64,
    /// Number of completions posted since then, with the one that it is for.
    completions: u32,
}

impl Held {
    /// Returns the time at which it must be raised (data sheet 10).
    fn deadline(&self, moderation: INTERRUPT_MODERATION) -> u64 {
        let limit = moderation.completions();
        if limit != 0 && self.completions >= limit {
            // A time that has passed: it is due at once.
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
    /// Polling passes since the queue was started, modulo 2^32.
    heartbeat: u32,
    held: Option<Held>,
}

impl Queue {
    /// Starts a queue with empty rings, asleep (data sheet 5). The caller has checked the set-up.
    pub(crate) fn start<H: Host + ?Sized>(
        number: u16,
        vector: u16,
        setup: QueueSetup,
        words: &QueueWords<'_, H>,
    ) -> Self {
        words.show_completion(&Completion::default());
        words.store(Word::CompletionTail, 0);
        words.store(Word::Heartbeat, 0);
        words.store(Word::Sleeping, 1);
        // Last: a driver side that sees the queue run sees the other words of this start as well.
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

    /// Returns the interrupt vector of its completions.
    pub(crate) fn vector(&self) -> u16 {
        self.vector
    }

    /// Returns the number of the queue.
    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    /// Returns the time at which its held interrupt must be raised; `None` if none is held.
    #[inline]
    pub(crate) fn deadline(&self, moderation: INTERRUPT_MODERATION) -> Option<u64> {
        self.held.as_ref().map(|held| held.deadline(moderation))
    }

    /// Forgets the held interrupt. The caller raises it.
    pub(crate) fn release(&mut self) {
        self.held = None;
    }

    /// Returns whether to raise the vector now, after `posted` completions of which one is `wanted`
    /// or not (data sheet 10).
    #[inline]
    fn moderate<H: Host + ?Sized>(
        &mut self,
        wanted: bool,
        posted: u32,
        moderation: INTERRUPT_MODERATION,
        host: &H,
    ) -> bool {
        // A limit of one completion is reached at once, so it holds nothing back.
        let holds = moderation.microseconds() != 0 && moderation.completions() != 1;
        if self.held.is_none() && !(wanted && holds) {
            return wanted;
        }
        // The clock is read only from here on, where an interrupt is held back. A queue without
        // moderation would otherwise read it in each turn.
        let now = host.now();
        let held = self.held.get_or_insert(Held {
            since: now,
            completions: 0,
        });
        // Counted with the step that would have raised the interrupt (data sheet 10).
        held.completions = held.completions.saturating_add(posted);
        let raise = held.deadline(moderation) <= now;
        if raise {
            self.held = None;
        }
        raise
    }

    /// Steps the heartbeat, which shows that the device looks at the doorbell.
    #[inline]
    pub(crate) fn beat<H: Host + ?Sized>(&mut self, words: &QueueWords<'_, H>) {
        // From a copy of its own: the device never reads its own words back (data sheet 6), since a
        // client could have changed them.
        self.heartbeat = self.heartbeat.wrapping_add(1);
        words.store(Word::Heartbeat, self.heartbeat);
    }

    /// Checks whether the doorbell shows something to do.
    #[inline]
    pub(crate) fn has_news<H: Host + ?Sized>(&self, words: &QueueWords<'_, H>) -> bool {
        // Any other tail counts, a wrong one as well: the turn then stops the queue with
        // `BAD_TAIL`. Behind a full completion ring only a new head is news. Otherwise the queue
        // would never sleep over it (data sheet 6).
        words.load(Word::SubmissionTail) != self.done
            && (self.has_room() || words.load(Word::CompletionHead) != self.taken)
    }

    /// Breaks off the operation in progress if it uses a window.
    pub(crate) fn abort_users(&mut self, window: u16) {
        if let Some(operation) = self.operation.as_mut().filter(|it| it.uses(window)) {
            operation.abort();
        }
    }

    /// Works until the budget of a step is spent or there is nothing to do.
    pub(crate) fn turn<H: Host + ?Sized>(
        &mut self,
        context: &mut StepContext<'_, H>,
        registers: &mut RegisterFile,
        effects: &mut Effects,
    ) -> Turn {
        let before = self.done;
        let end = self.work(context, registers, effects);
        // Completions of this turn are written even if the turn ends with a fault: what was
        // completed before it is announced (data sheet 6). A fault of the completion ring concerns
        // an earlier entry, so it comes first.
        let end = self.post(before, context).and(end);
        let words = QueueWords::new(context.host, self.number);
        if self.done != before {
            // Only now, behind the completions: the driver side reads entries as soon as it sees
            // the tail.
            let wanted = wake::post(&words, before, self.done);
            let moderation = registers.moderation(self.number.into());
            let posted = distance(before, self.done);
            let raise = self.moderate(wanted, posted, moderation, context.host);
            registers.announce(self.vector, raise, effects);
        }
        end.unwrap_or_else(|fault| {
            // The state is shown after the tail, so that a driver side that sees the queue stopped
            // finds all its completions. An error that stops a queue raises its vector as well
            // (data sheet 10): a waiter would otherwise sleep for ever.
            registers.log(self.entry(fault.code, fault.value), effects);
            show_stopped(&words, fault.code.0.into());
            registers.announce(self.vector, true, effects);
            Turn::Failed
        })
    }

    /// Carries out descriptors until the budget is spent or the queue has to wait. Keeps their
    /// completions in the batch.
    #[inline]
    fn work<H: Host + ?Sized>(
        &mut self,
        context: &mut StepContext<'_, H>,
        registers: &mut RegisterFile,
        effects: &mut Effects,
    ) -> Result<Turn, Fault> {
        let mut budget = Budget::STEP;
        // All queues use one batch. Descriptors that an earlier turn fetched and did not begin are
        // fetched again: `done` has not passed them.
        context.batch.clear();
        // Asked once in a turn, so that a device without a watcher pays nothing per descriptor.
        let watched = context.host.is_watched();
        if self.operation.is_none() {
            // The tail that woke the queue. An operation in progress needs none yet.
            self.look_at_tail(context.host)?;
        }
        while !budget.is_spent() {
            if self.operation.is_none() {
                if !self.may_go_on(context.host)? {
                    return Ok(Turn::Waits);
                }
                context.batch.fill(self, budget.units(), context.host)?;
            }
            let Some((tag, ended)) = self.go_on(context, &mut budget, watched) else {
                return Ok(Turn::Unfinished);
            };
            // A refused descriptor is logged, and has its completion; the queue runs on (data sheet
            // 8).
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
                context.host.note(Note::Ends(self.number, &completion));
            }
            context.batch.complete(completion);
            // One completion per descriptor, in order (data sheet 6).
            self.done = self.done.wrapping_add(1);
        }
        Ok(Turn::Unfinished)
    }

    /// Checks whether there is a descriptor, and room for its completion (data sheet 6).
    #[inline]
    fn may_go_on<H: Host + ?Sized>(&mut self, host: &H) -> Result<bool, Fault> {
        // Looked at once more before the queue goes idle (data sheet 6). In the middle of a batch
        // the tail as last seen is enough: each load may fetch its cache line from another
        // processor.
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

    /// Checks whether the completion ring has a free slot, by the head as last seen.
    #[inline]
    fn has_room(&self) -> bool {
        distance(self.taken, self.done) < self.setup.completion_entries
    }

    /// Goes on with the operation in progress, or begins the next descriptor. Returns tag and
    /// outcome of the descriptor that ended, if one did.
    #[inline]
    fn go_on<H: Host + ?Sized>(
        &mut self,
        context: &mut StepContext<'_, H>,
        budget: &mut Budget,
        watched: bool,
    ) -> Option<(u32, DescriptorOutcome)> {
        if let Some(operation) = self.operation.take() {
            return self.advance(operation, context, budget);
        }
        let descriptor = context.batch.next()?;
        if watched {
            context.host.note(Note::Begins(self.number, descriptor));
        }
        // Most descriptors ask for a copy in one piece. It leaves nothing for a later step, so it
        // is carried out from where its checks left their results.
        if Opcode(descriptor.opcode) == Opcode::COPY
            && let Ok(copy) =
                Checked::new(descriptor, Work::Copy, self.setup.domain, context.windows)
            && let Some(outcome) = copy.copy_whole(context.host, budget)
        {
            return Some((descriptor.tag, outcome));
        }
        let descriptor = *descriptor;
        self.begin(&descriptor, context, budget)
    }

    /// Begins a descriptor. Returns tag and outcome if it ended.
    // Not inlined: what it keeps in registers is missing in the loop around the short way.
    #[inline(never)]
    fn begin<H: Host + ?Sized>(
        &mut self,
        descriptor: &Descriptor,
        context: &mut StepContext<'_, H>,
        budget: &mut Budget,
    ) -> Option<(u32, DescriptorOutcome)> {
        match Operation::new(descriptor, self.setup.domain, context.windows) {
            Ok(Some(operation)) => self.advance(operation, context, budget),
            outcome => {
                // Refused descriptors and NOPs cost a unit as well. A ring full of them would
                // otherwise keep the lock for a turn without end.
                budget.spend_unit();
                let status = outcome.err().unwrap_or(Status::OK);
                Some((descriptor.tag, status.into()))
            }
        }
    }

    /// Goes on with an operation, and keeps it if it did not end. Returns tag and outcome if it
    /// did.
    #[inline(never)]
    fn advance<H: Host + ?Sized>(
        &mut self,
        mut operation: Operation,
        context: &mut StepContext<'_, H>,
        budget: &mut Budget,
    ) -> Option<(u32, DescriptorOutcome)> {
        match operation.advance(context, budget) {
            Some(ended) => Some((operation.tag, ended)),
            None => {
                self.operation = Some(operation);
                None
            }
        }
    }

    /// Loads the submission tail, and checks it (data sheet 6).
    #[inline]
    fn look_at_tail<H: Host + ?Sized>(&mut self, host: &H) -> Result<(), Fault> {
        let tail = QueueWords::new(host, self.number).load(Word::SubmissionTail);
        // The tail is the guest's and can be anything. Unchecked, entries that the driver side
        // still writes would be carried out.
        if distance(self.done, tail) > self.setup.submission_entries {
            return Err(Fault {
                code: ErrorCode::BAD_TAIL,
                value: tail.into(),
            });
        }
        self.submitted = tail;
        Ok(())
    }

    /// Loads the completion head, and checks it (data sheet 6).
    ///
    /// Called only when the ring is full by the head as last seen. The driver side writes the head
    /// all the time, and each look takes its cache line away from there.
    fn look_at_head<H: Host + ?Sized>(&mut self, host: &H) -> Result<(), Fault> {
        let head = QueueWords::new(host, self.number).load(Word::CompletionHead);
        // A head beyond the tail would free slots that the driver side has not read: their
        // completions would be overwritten.
        if distance(self.taken, head) > distance(self.taken, self.done) {
            return Err(Fault {
                code: ErrorCode::BAD_HEAD,
                value: head.into(),
            });
        }
        self.taken = head;
        Ok(())
    }

    /// Writes the completions from number `first` on, and the last of them beside the tail. The
    /// caller stores the tail afterwards.
    ///
    /// At a completion that cannot be written, `done` is set back to its number. So neither it nor
    /// any behind it is announced (data sheet 6).
    #[inline]
    fn post<H: Host + ?Sized>(
        &mut self,
        first: u32,
        context: &StepContext<'_, H>,
    ) -> Result<(), Fault> {
        let (ring, entries) = (self.setup.completion_ring, self.setup.completion_entries);
        let write = |index: u32, completions: &[Completion]| {
            let address = entry_address::<Completion>(ring, index, entries);
            context
                .host
                .write(Location::Guest(address), completions.as_bytes())
                .map_err(|_| Fault {
                    code: ErrorCode::COMPLETION_FAULT,
                    value: address,
                })
        };
        let mut index = first;
        let mut left = context.batch.completions();
        while !left.is_empty() {
            // As many as lie in one piece, up to the end of the ring, in one write.
            let to_ring_end = entries.saturating_sub(slot(index, entries)) as usize;
            let (run, rest) = left.split_at(left.len().min(to_ring_end));
            if write(index, run).is_err() {
                // A write fails as a whole. Completions before the entry that cannot be written
                // must still be announced (data sheet 6), so they are written one by one.
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
        // All of them are in the ring as well (data sheet 6).
        if let Some(last) = context.batch.completions().last() {
            QueueWords::new(context.host, self.number).show_completion(last);
        }
        Ok(())
    }

    /// Makes the entry for the error log of an error of this queue.
    fn entry(&self, code: ErrorCode, value: u64) -> LoggedError {
        LoggedError {
            code,
            queue: self.number,
            value,
        }
    }
}

/// Returns the address of entry `index` of a ring of `T`. The ring was checked not to pass 2^64.
#[inline]
fn entry_address<T>(ring: u64, index: u32, entries: u32) -> u64 {
    ring.wrapping_add(u64::from(slot(index, entries)) * size_of::<T>() as u64)
}

/// Shows that the queue does not run any more: `QUEUE_STOPPED`, or the code of the error that
/// stopped it.
pub(crate) fn show_stopped<H: Host + ?Sized>(words: &QueueWords<'_, H>, state: u32) {
    words.store(Word::QueueState, state);
    // A queue that is stopped does not sleep (data sheet 5). A driver side that saw 1 would kick
    // it, with a trap, for nothing.
    words.store(Word::Sleeping, 0);
}

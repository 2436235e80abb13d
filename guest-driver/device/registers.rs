// SPDX-License-Identifier: GPL-2.0-only

//! BAR 0 as the driver uses it: shared words, admin commands, and whether the device is what it was.
//!
//! A reset can come at any time, through sysfs for one, and nobody tells the driver. It sees it by
//! the reset generation, a shared word. While the PCI core resets the function its BARs do not
//! answer, and what is read then means nothing.
//!
//! A device that does not answer although its BARs are there is *lost*: the server has died, or was
//! stopped for longer than QEMU waits. That is final. Each further access could take as long as
//! QEMU waits, with the machine standing still meanwhile, so there are none.

use crate::{
    device::resources::{
        clear_master,
        give_up, //
    },
    interface::{
        error::ErrorCode,
        layout, regs,
        wake::{
            Word,
            Words, //
        },
    },
};
use kernel::{
    device::Bound,
    io::{
        register::Array,
        Io, //
    },
    pci,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        barrier::{
            mb,
            Full, //
        },
    },
    time::{
        delay::fsleep,
        Delta, //
    },
};

/// BAR 0, mapped.
pub(crate) type RegisterBar<'bound> = pci::Bar<'bound, { layout::REGISTER_BAR_SIZE }>;

/// How often a function whose BARs do not answer is looked at, and how long between: a reset takes
/// the PCI core a tenth of a second.
const LOOKS: usize = 200;
const BETWEEN_LOOKS: Delta = Delta::from_millis(20);

/// What the device says to an admin command.
pub(crate) enum Answer {
    /// It was carried out, or refused for this reason.
    Code(ErrorCode),
    /// The device was reset, so that what the command is about is gone.
    Reset,
}

/// The registers of a bound device.
pub(crate) struct Registers<'bound> {
    pdev: &'bound pci::Device<Bound>,
    bar: RegisterBar<'bound>,
    /// The reset generation for which the registers are set up.
    generation: Atomic<u32>,
    lost: Atomic<bool>,
}

impl<'bound> Registers<'bound> {
    /// Maps BAR 0.
    ///
    /// # Errors
    ///
    /// `EBUSY` if it is in use.
    pub(crate) fn new(pdev: &'bound pci::Device<Bound>) -> Result<Self> {
        Ok(Self {
            pdev,
            bar: pdev.iomap_region_sized(layout::REGISTER_BAR, c"ringbar")?,
            generation: Atomic::new(0),
            lost: Atomic::new(false),
        })
    }

    /// The BAR, for registers that are only read.
    ///
    /// # Errors
    ///
    /// `EIO` if the device is lost.
    pub(crate) fn bar(&self) -> Result<&RegisterBar<'bound>> {
        if self.is_lost() {
            return Err(EIO);
        }
        Ok(&self.bar)
    }

    /// The shared words of a queue.
    ///
    /// # Errors
    ///
    /// `EINVAL` if there is no queue with this number.
    pub(crate) fn words(&self, queue: u32) -> Result<QueueWords<'_, 'bound>> {
        let place = queue as usize;
        if place >= layout::MAX_QUEUES {
            return Err(EINVAL);
        }
        Ok(QueueWords {
            bar: &self.bar,
            place,
        })
    }

    /// Resets the device and sets its registers up.
    ///
    /// # Errors
    ///
    /// `ENODEV` if its shared words are not those of a device that was reset.
    pub(crate) fn reset(&self) -> Result {
        self.bar.write_reg(regs::RESET::from(regs::RESET_KEY));
        let generation = self.bar.read(regs::RESET_GENERATION).into_raw();
        if self.generation() != Some(generation) {
            dev_err!(
                self.pdev,
                "GENERATION does not show reset generation {}\n",
                generation
            );
            return Err(ENODEV);
        }
        self.set_up(generation);
        Ok(())
    }

    fn set_up(&self, generation: u32) {
        // Errors are read where they matter; as an interrupt they would say nothing new.
        self.bar
            .write_reg(regs::IRQ_MASK::zeroed().with_error(true));
        self.generation.store(generation, Relaxed);
    }

    /// The reset generation that the device is in, if its BARs answer. No trap.
    pub(crate) fn generation(&self) -> Option<u32> {
        #[cfg(ringbar_sabotage)]
        crate::sabotage::at_generation(&self.bar);
        match self.bar.read(regs::GENERATION::at(0)).into_raw() {
            // The driver has reset the device, so it counts from 1 on; the other is what a BAR
            // gives that does not answer, as is 0.
            0 | u32::MAX => None,
            generation => Some(generation),
        }
    }

    /// Whether the device was not reset since `generation`, and is not lost. No trap.
    pub(crate) fn is_current(&self, generation: u32) -> bool {
        !self.is_lost() && self.generation() == Some(generation)
    }

    /// The reset generation that the device is in, its registers set up for it. May sleep. The
    /// caller is the only one who gives admin commands.
    ///
    /// # Errors
    ///
    /// `EIO` if the device is lost.
    pub(crate) fn settle(&self) -> Result<u32> {
        if self.is_lost() {
            return Err(EIO);
        }
        for _ in 0..LOOKS {
            if let Some(generation) = self.generation() {
                if self.generation.load(Relaxed) != generation {
                    self.set_up(generation);
                }
                return Ok(generation);
            }
            fsleep(BETWEEN_LOOKS);
        }
        Err(self.lose())
    }

    /// Gives an admin command about something of `generation`. The caller is the only one who does
    /// so. May sleep.
    ///
    /// # Errors
    ///
    /// `EIO` if the device does not answer; it may have carried out the command.
    pub(crate) fn command(
        &self,
        generation: u32,
        write: impl Fn(&RegisterBar<'bound>) -> Result,
    ) -> Result<Answer> {
        if self.settle()? != generation {
            return Ok(Answer::Reset);
        }
        write(&self.bar)?;
        let code = self.bar.read(regs::ADMIN_STATUS).into_raw();
        if self.generation() == Some(generation) {
            // All ones, from a device that nobody serves, is not a code that the device gives.
            return if code == u32::MAX {
                Err(self.lose())
            } else {
                Ok(Answer::Code(ErrorCode(code as u16)))
            };
        }
        // A reset came while the command was given: the code may be that of the reset.
        match self.settle()? == generation {
            true => Err(self.lose()),
            false => Ok(Answer::Reset),
        }
    }

    /// Wakes a queue that sleeps.
    ///
    /// # Errors
    ///
    /// `EIO` if the device is lost, `EINVAL` if there is no queue with this number.
    pub(crate) fn kick(&self, queue: u32) -> Result {
        let kick = regs::KICK::try_at(queue as usize).ok_or(EINVAL)?;
        self.bar()?.write(kick, 1.into());
        Ok(())
    }

    /// Whether the device is lost.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost.load(Relaxed)
    }

    /// Looks whether anybody serves the device, unless it is known to be lost. May sleep.
    ///
    /// # Errors
    ///
    /// `EIO` if it is lost.
    pub(crate) fn check(&self) -> Result {
        let generation = self.settle()?;
        let answer = self.bar.read(regs::KICK::at(0)).into_raw();
        // If a reset came in between, this says nothing.
        if answer == regs::KICK_ANSWER || self.generation() != Some(generation) {
            Ok(())
        } else {
            Err(self.lose())
        }
    }

    /// Ends all DMA: the device stops its queues and may not master the bus any more.
    ///
    /// # Errors
    ///
    /// `EIO` if the device is lost: it may still write memory that it was given.
    pub(crate) fn quiesce(&self) -> Result {
        self.settle()?;
        self.bar.write_reg(regs::RESET::from(regs::RESET_KEY));
        self.check()?;
        clear_master(self.pdev);
        Ok(())
    }

    /// Logs that the device refused an admin command.
    pub(crate) fn refused(&self, command: &str, code: ErrorCode) -> Error {
        dev_err!(
            self.pdev,
            "{}: refused with error code {}\n",
            command,
            code.0
        );
        EIO
    }

    /// The device does not answer: from now on it is left alone.
    fn lose(&self) -> Error {
        self.lost.store(true, Relaxed);
        dev_err!(
            self.pdev,
            "the device does not answer: it is given up until it is taken out and put in again\n"
        );
        give_up(self.pdev);
        EIO
    }
}

/// The shared words of a queue, in BAR 0.
pub(crate) struct QueueWords<'a, 'bound> {
    bar: &'a RegisterBar<'bound>,
    /// Below [`layout::MAX_QUEUES`].
    place: usize,
}

impl QueueWords<'_, '_> {
    /// Clears the descriptor beside the submission tail: the last owner's is nobody's business, and would
    /// be taken for the next one's.
    ///
    /// # Errors
    ///
    /// `EINVAL` if there is no queue with this number.
    pub(crate) fn clear_inline(&self) -> Result {
        macro_rules! clear {
            ($($register:ident)*) => {$(
                let place = regs::$register::try_at(self.place).ok_or(EINVAL)?;
                self.bar.try_write(place, 0.into())?;
            )*};
        }
        clear!(SUBMISSION_INLINE INLINE_DESCRIPTOR_0 INLINE_DESCRIPTOR_1 INLINE_DESCRIPTOR_2);
        clear!(INLINE_DESCRIPTOR_3 INLINE_DESCRIPTOR_4);
        Ok(())
    }
}

impl Words for QueueWords<'_, '_> {
    fn load(&self, word: Word) -> u32 {
        macro_rules! load {
            ($register:ident) => {
                regs::$register::try_at(self.place).map(|place| self.bar.read(place).into_raw())
            };
        }
        let value = match word {
            Word::SubmissionTail => load!(SUBMISSION_TAIL),
            Word::SubmissionInline => load!(SUBMISSION_INLINE),
            Word::CompletionHead => load!(COMPLETION_HEAD),
            Word::InterruptAt => load!(INTERRUPT_AT),
            Word::DriverInterruptAt => load!(DRIVER_INTERRUPT_AT),
            Word::CompletionTail => load!(COMPLETION_TAIL),
            Word::Sleeping => load!(SLEEPING),
            Word::QueueState => load!(QUEUE_STATE),
            Word::Generation => load!(GENERATION),
            Word::Heartbeat => load!(HEARTBEAT),
        };
        // As a BAR gives that is not there. The place is one that there is.
        value.unwrap_or(u32::MAX)
    }

    fn store(&self, word: Word, value: u32) {
        macro_rules! store {
            ($register:ident) => {
                if let Some(place) = regs::$register::try_at(self.place) {
                    self.bar.write(place, value.into());
                }
            };
        }
        match word {
            Word::SubmissionTail => store!(SUBMISSION_TAIL),
            Word::SubmissionInline => store!(SUBMISSION_INLINE),
            Word::CompletionHead => store!(COMPLETION_HEAD),
            Word::InterruptAt => store!(INTERRUPT_AT),
            Word::DriverInterruptAt => store!(DRIVER_INTERRUPT_AT),
            // The device's.
            Word::CompletionTail
            | Word::Sleeping
            | Word::QueueState
            | Word::Generation
            | Word::Heartbeat => {}
        }
    }

    fn fence(&self) {
        // Not the one between processors: a kernel with one of them has none, and the device runs
        // beside it all the same.
        mb(Full);
    }
}

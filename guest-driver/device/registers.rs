// SPDX-License-Identifier: GPL-2.0-only

//! BAR 0 as the driver uses it: shared words, how commands are given, resets and lost devices.
//!
//! A reset can come at any time, for example through sysfs, and the kernel does not tell the
//! driver. The driver notices it by the reset generation, a shared word. While the PCI core resets
//! the function its BARs do not answer, and values that are read then mean nothing.
//!
//! A device that does not answer although its BARs do is *lost*: the server has died, or was
//! stopped for longer than QEMU waits. That is final. Each further access could take as long as
//! QEMU waits, and the machine would stand still meanwhile, so the driver makes none.

use crate::{
    device::resources::give_up,
    interface::{
        error::ErrorCode,
        layout, pages, regs,
        wake::{
            Word,
            Words, //
        },
    },
    mapping::pci::clear_master,
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

/// How often the driver looks at a function whose BARs do not answer, and how long it waits
/// between. A reset takes the PCI core a tenth of a second, on a busy machine longer.
const LOOKS: usize = 200;
const BETWEEN_LOOKS: Delta = Delta::from_millis(20);

/// The device's answer to an admin command.
pub(crate) enum Answer {
    /// It was carried out, or refused for this reason.
    Code(ErrorCode),
    /// The device was reset, which ended the object of the command.
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

    /// Returns the BAR, for registers that are only read.
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

    /// Returns the shared words of a queue.
    ///
    /// # Errors
    ///
    /// `EINVAL` if there is no queue with this number.
    pub(crate) fn words(&self, queue: u32) -> Result<QueueWords<'_, 'bound>> {
        let index = queue as usize;
        if index >= layout::MAX_QUEUES {
            return Err(EINVAL);
        }
        Ok(QueueWords {
            bar: &self.bar,
            index,
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
                "the status page does not show reset generation {}\n",
                generation
            );
            return Err(ENODEV);
        }
        self.set_up(generation);
        Ok(())
    }

    fn set_up(&self, generation: u32) {
        // The driver reads errors where they matter. An interrupt for them would only cost time.
        self.bar
            .write_reg(regs::IRQ_MASK::zeroed().with_error(true));
        self.generation.store(generation, Relaxed);
    }

    /// Returns the reset generation that the device is in, if its BARs answer. No trap.
    pub(crate) fn generation(&self) -> Option<u32> {
        const GENERATION: usize = Word::Generation.offset(0);
        #[cfg(sabotage)]
        crate::sabotage::at_generation(&self.bar);
        match self.bar.read32(GENERATION) {
            // A BAR that does not answer reads as 0 or all ones. No generation is 0, as the driver
            // itself has reset the device.
            0 | u32::MAX => None,
            generation => Some(generation),
        }
    }

    /// Returns whether the device is still in `generation`, and not lost. No trap.
    pub(crate) fn is_current(&self, generation: u32) -> bool {
        !self.is_lost() && self.generation() == Some(generation)
    }

    /// Returns the reset generation that the device is in, once its registers are set up for it.
    /// May sleep. The caller holds the lock of admin commands.
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

    /// Issues an admin command about an object of `generation`. The caller holds the lock of admin
    /// commands. May sleep.
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
            // QEMU answers with all ones for a dead server. No device answers with that code.
            return if code == u32::MAX {
                Err(self.lose())
            } else {
                Ok(Answer::Code(ErrorCode(code as u16)))
            };
        }
        // A reset came while the command was given: the code may be that of the reset. If the
        // generation is the old one again, the BAR did not answer for another reason.
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

    /// Returns whether the device is lost.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost.load(Relaxed)
    }

    /// Checks that a server answers for the device, unless it is known to be lost. May sleep.
    ///
    /// # Errors
    ///
    /// `EIO` if it is lost.
    pub(crate) fn check(&self) -> Result {
        let generation = self.settle()?;
        let answer = self.bar.read(regs::KICK::at(0)).into_raw();
        // If a reset came in between, the answer means nothing, and the device is not lost by it.
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

    /// Gives up a device that does not answer: the driver makes no further access.
    fn lose(&self) -> Error {
        self.lost.store(true, Relaxed);
        dev_err!(
            self.pdev,
            "the device does not answer: the driver gives it up until it is taken out and put in again\n"
        );
        give_up(self.pdev);
        EIO
    }
}

/// The shared words of a queue, in BAR 0: its doorbell and status page.
pub(crate) struct QueueWords<'a, 'bound> {
    bar: &'a RegisterBar<'bound>,
    /// Number of the queue, below [`layout::MAX_QUEUES`].
    index: usize,
}

impl QueueWords<'_, '_> {
    /// Clears the descriptor beside the submission tail. The device would take the last owner's for
    /// one of the next owner, and a process could read it.
    ///
    /// # Errors
    ///
    /// `EINVAL` if there is no queue with this number.
    pub(crate) fn clear_inline(&self) -> Result {
        self.store(Word::SubmissionInline, 0);
        let start = pages::inline_descriptor(self.index);
        for word in 0..pages::INLINE_WORDS {
            self.bar.try_write64(0, start + word * size_of::<u64>())?;
        }
        Ok(())
    }
}

impl Words for QueueWords<'_, '_> {
    fn load(&self, word: Word) -> u32 {
        // Same value as a BAR that does not answer. Unreachable: `Registers::words` has checked the
        // index.
        self.bar
            .try_read32(word.offset(self.index))
            .unwrap_or(u32::MAX)
    }

    fn store(&self, word: Word, value: u32) {
        // Each word has one writer, and those of the status page are the device's.
        if word.is_in_doorbell() {
            // Cannot fail, for the same reason as above.
            let _ = self.bar.try_write32(value, word.offset(self.index));
        }
    }

    fn fence(&self) {
        // Not `smp_mb()`, which compiles to nothing on a uniprocessor kernel: the device is a
        // second observer there too.
        mb(Full);
    }
}

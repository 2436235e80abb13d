// SPDX-License-Identifier: GPL-2.0-only

//! BAR 0 as the driver uses it: shared words, how commands are given, resets and lost devices.
//!
//! A reset can come at any time, for example through sysfs, and the kernel does not tell the
//! driver. The driver notices it by the reset generation, a shared word. While the PCI core resets
//! the function its BARs do not answer, and values that are read then mean nothing.
//!
//! A device that does not answer although its BARs do is *lost*: the server has died, or is
//! stopped. Each further access could take as long as QEMU waits, and the machine would stand still
//! meanwhile. So the driver makes none but for a look now and then (`recovery.rs`). If the device
//! answers such a look, it is reset and used again.
//!
//! A device is also lost if its BARs do not answer again. Its configuration was reset behind the
//! kernel's back, and the kernel did not restore it. That is final.

use crate::{
    device::{
        bars::check_registers,
        config_space::{
            base_address,
            command,
            has_memory_space,
            set_command, //
        },
        resources::mark_dead, //
    },
    interface::{
        error::ErrorCode,
        layout, pages, regs,
        wake::{
            Word,
            Words, //
        },
    },
    mapping::{
        pci::{
            clear_master,
            set_master, //
        },
        series::{
            mb,
            Full, //
        },
        signals::Signals, //
    },
};
use core::hint::spin_loop;
use kernel::{
    bindings,
    device::Bound,
    error::code::ERESTARTSYS,
    io::{
        register::Array,
        Io, //
    },
    pci,
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    time::{
        delay::fsleep,
        Delta,
        Instant,
        Monotonic, //
    },
};

/// Bit of the command register for bus mastering.
const BUS_MASTER: u16 = bindings::PCI_COMMAND_MASTER as u16;

/// BAR 0, mapped.
pub(crate) type RegisterBar<'bound> = pci::Bar<'bound, { layout::REGISTER_BAR_SIZE }>;

/// How often the driver looks at a function whose BARs do not answer, and how long it waits
/// between. A reset takes the PCI core a tenth of a second, on a busy machine longer.
const LOOKS: usize = 200;
const BETWEEN_LOOKS_MS: i64 = 20;
const BETWEEN_LOOKS: Delta = Delta::from_millis(BETWEEN_LOOKS_MS);
/// Looks after which a function must be in a reset: configuration space shows that its BARs are off.
const LOOKS_WITHOUT_RESET: usize = 50;

/// Most resets in a row that a call waits for; then it fails with `EIO`. A device that is silent
/// whenever a command is due, and answers in between, would otherwise keep the call for ever.
pub(crate) const RESETS: usize = 16;

/// The device's answer to an admin command.
pub(crate) enum Answer {
    /// It was carried out, or refused for this reason.
    Code(ErrorCode),
    /// The device was reset, which ended the object of the command.
    Reset,
}

/// Behaviour of a caller with a lock while the function is reset and its BARs do not answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Silence {
    /// Waits for the end of the reset, and has others wait for the lock.
    Wait,
    /// Has done nothing yet, and ends with `ERESTARTSYS`. Its caller releases the lock, waits by
    /// [`Registers::attend`] and begins again.
    Restart,
}

/// Gets word when a device is lost that may come back.
pub(crate) trait OnLoss: Send + Sync {
    /// Has [`Device::look_again`](super::Device::look_again) called, as long as it asks for it.
    /// Called inside the gate, or when the driver leaves the device. `took` is how long an access
    /// takes, and `returns` how often the device has come back in a row as the same one.
    fn lost(&self, took: Delta, returns: u32);
}

/// An access to a server that runs takes far less, and one to a stopped server far more.
const SLOW: Delta = Delta::from_millis(500);

/// Longest look for an answer in shared memory: what a trap takes, 20 us on an idle machine, and some
/// more. A longer look would keep a processor from the device, where there are few.
const TRAP: Delta = Delta::from_micros(50);

/// The device answers.
const PRESENT: u32 = 0;
/// It does not answer. It may come back.
const SILENT: u32 = 1;
/// It has lost its configuration, or another device is in its place: it never comes back.
const GONE: u32 = 2;

/// The registers of a bound device.
pub(crate) struct Registers<'bound> {
    pdev: &'bound pci::Device<Bound>,
    bar: RegisterBar<'bound>,
    /// What configuration space holds as the base address of the BAR.
    base: u32,
    /// The command register, with bus mastering off.
    quiet_command: u16,
    /// The reset generation for which the registers are set up.
    generation: Atomic<u32>,
    /// The boot number of the device for which they are set up. 0 before they are for the first time.
    boot: Atomic<u32>,
    /// `PRESENT`, `SILENT` or `GONE`.
    presence: Atomic<u32>,
    /// The last access to the lost device took longer than [`SLOW`].
    slow: Atomic<bool>,
    /// How often the device has come back in a row, with the boot number that it had before.
    returns: Atomic<u32>,
    on_loss: KBox<dyn OnLoss>,
}

impl<'bound> Registers<'bound> {
    /// Maps BAR 0.
    ///
    /// # Errors
    ///
    /// `EBUSY` if it is in use, `ENODEV` if the device has lost its configuration, or the BAR is too
    /// small.
    pub(crate) fn new(pdev: &'bound pci::Device<Bound>, on_loss: KBox<dyn OnLoss>) -> Result<Self> {
        let base = base_address(pdev);
        // The lowest bits are the kind of the BAR.
        if base & !0xf == 0 {
            dev_err!(
                pdev,
                "the device has no base addresses: remove it and rescan the bus\n"
            );
            return Err(ENODEV);
        }
        check_registers(pdev)?;
        Ok(Self {
            pdev,
            base,
            quiet_command: command(pdev) & !BUS_MASTER,
            bar: pdev.iomap_region_sized(layout::REGISTER_BAR, c"ringbar")?,
            generation: Atomic::new(0),
            boot: Atomic::new(0),
            presence: Atomic::new(PRESENT),
            slow: Atomic::new(false),
            returns: Atomic::new(0),
            on_loss,
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

    /// Returns the BAR of a device that is lost, for a look.
    pub(super) fn bar_of_lost(&self) -> &RegisterBar<'bound> {
        &self.bar
    }

    /// Resets the device and sets its registers up.
    ///
    /// # Errors
    ///
    /// `ENODEV` if its shared words are not those of a device that was reset.
    pub(super) fn reset(&self) -> Result {
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
        // The register was read after the reset, so the report page is this device's.
        self.note_boot(self.bar.read32(pages::REPORTED_BOOT_NUMBER))?;
        self.set_up(generation);
        Ok(())
    }

    fn set_up(&self, generation: u32) {
        // The driver reads errors where they matter. An interrupt for them would only cost time.
        self.bar
            .write_reg(regs::IRQ_MASK::zeroed().with_error(true));
        self.generation.store(generation, Relaxed);
    }

    /// Notes the boot number, and logs another one than before.
    ///
    /// # Errors
    ///
    /// `EIO` if it is that of a device that does not answer.
    fn note_boot(&self, boot: u32) -> Result {
        if boot == u32::MAX {
            return Err(EIO);
        }
        let before = self.boot.xchg(boot, Relaxed);
        if before != 0 && before != boot {
            dev_warn!(
                self.pdev,
                "the device is another one after power-on: boot number {}, before {}\n",
                boot,
                before
            );
        }
        Ok(())
    }

    /// Returns the reset generation for which the registers are set up. All resets that led to it
    /// have been confirmed.
    pub(super) fn set_up_for(&self) -> u32 {
        self.generation.load(Relaxed)
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

    /// Waits while the function is reset and its BARs do not answer. The caller holds no lock, so a
    /// signal can end the wait, and no other thread waits for this one.
    ///
    /// # Errors
    ///
    /// As [`Signals::check`]; `EIO` if the device does not answer in time.
    pub(crate) fn attend(&self, signals: Signals) -> Result {
        let mut looks = 0;
        while looks < LOOKS {
            if self.is_lost() || self.generation().is_some() {
                return Ok(());
            }
            if self.is_mute(looks) {
                break;
            }
            signals.check()?;
            fsleep(BETWEEN_LOOKS);
            looks += 1;
        }
        Err(self.lose_after(looks))
    }

    /// Returns whether the function does not answer, although it is not in a reset.
    fn is_mute(&self, look: usize) -> bool {
        // Configuration space is looked at once, as that traps. And the reset may have ended just
        // now.
        look == LOOKS_WITHOUT_RESET && has_memory_space(self.pdev) && self.generation().is_none()
    }

    /// Returns the reset generation that the device is in, once its registers are set up for it.
    /// The caller holds the lock of admin commands.
    ///
    /// # Errors
    ///
    /// `EIO` if the device is lost; as [`Silence`].
    pub(crate) fn settle(&self, silence: Silence) -> Result<u32> {
        if self.is_lost() {
            return Err(EIO);
        }
        let mut looks = 0;
        while looks < LOOKS {
            if let Some(generation) = self.generation() {
                if self.set_up_for() != generation {
                    // A new server writes the words before accesses reach it. Until then writes have
                    // no effect: a command would be lost, and the status read after it be good.
                    let boot = self.bar.read(regs::BOOT_NUMBER).into_raw();
                    if self.note_boot(boot).is_err() {
                        return Err(self.lose());
                    }
                    self.set_up(generation);
                }
                return Ok(generation);
            }
            if silence == Silence::Restart {
                return Err(ERESTARTSYS);
            }
            if self.is_mute(looks) {
                break;
            }
            fsleep(BETWEEN_LOOKS);
            looks += 1;
        }
        Err(self.lose_after(looks))
    }

    /// Issues an admin command about an object of `generation`. The caller holds the lock of admin
    /// commands. `silence` is for a reset before the command: one that begins later is waited for.
    ///
    /// # Errors
    ///
    /// `EIO` if the device does not answer; it may have carried out the command. As [`Silence`].
    pub(crate) fn command(
        &self,
        generation: u32,
        silence: Silence,
        write: impl Fn(&RegisterBar<'bound>) -> Result,
    ) -> Result<Answer> {
        if self.settle(silence)? != generation {
            return Ok(Answer::Reset);
        }
        let before = self.bar.read32(pages::OUTCOME);
        write(&self.bar)?;
        let code = match soon(|| self.outcome_after(before)) {
            Some(code) => code.into(),
            None => self.bar.read(regs::ADMIN_STATUS).into_raw(),
        };
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
        match self.settle(Silence::Wait)? == generation {
            true => Err(self.lose()),
            false => Ok(Answer::Reset),
        }
    }

    /// Returns the code of the admin command after the one with this outcome, once the device has
    /// reported it. No trap.
    fn outcome_after(&self, before: u32) -> Option<u16> {
        let outcome = self.bar.read32(pages::OUTCOME);
        let code = outcome as u16;
        // By its number: what a BAR reads that does not answer differs too.
        (outcome == pages::next_outcome(before, code)).then_some(code)
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
        self.presence.load(Relaxed) != PRESENT
    }

    /// Returns whether the device is lost, and may come back.
    pub(super) fn is_silent(&self) -> bool {
        self.presence.load(Relaxed) == SILENT
    }

    /// Returns whether the device was reset since `generation`, which ended its objects of then.
    pub(super) fn has_left(&self, generation: u32) -> bool {
        !self.is_lost() && self.generation().is_some_and(|now| now != generation)
    }

    /// Returns whether a lost device answers, with a single access if it does not.
    pub(super) fn answers(&self) -> bool {
        let begun = Instant::<Monotonic>::now();
        let answer = self.bar.read(regs::KICK::at(0)).into_raw();
        self.slow.store(begun.elapsed() > SLOW, Relaxed);
        answer == regs::KICK_ANSWER
    }

    /// Returns whether an access to the lost device holds the machine up.
    pub(super) fn is_slow(&self) -> bool {
        self.slow.load(Relaxed)
    }

    /// Returns the boot number of the device for which the registers are set up.
    pub(super) fn boot(&self) -> u32 {
        self.boot.load(Relaxed)
    }

    /// Uses a lost device again, which was reset. `replaced` tells whether it is another one than
    /// before. The caller holds the lock of admin commands.
    pub(super) fn take_back(&self, replaced: bool) {
        match replaced {
            true => self.returns.store(0, Relaxed),
            false => {
                self.returns.fetch_add(1, Relaxed);
            }
        }
        set_master(self.pdev);
        self.presence.store(PRESENT, Relaxed);
        dev_info!(self.pdev, "the device answers again, and was reset\n");
    }

    /// Gives a lost device up that is not the one that was lost.
    pub(super) fn give_up(&self) {
        self.presence.store(GONE, Relaxed);
        dev_err!(
            self.pdev,
            "another device answers: the driver gives it up until it is unbound and bound\n"
        );
    }

    /// Marks a device that does not answer as dead for the PCI core, when the driver leaves it. The
    /// mark has no way back: the device can be used again once it is removed and the bus rescanned.
    pub(super) fn leave_lost(&self) {
        if self.is_silent() {
            mark_dead(self.pdev);
        }
    }

    /// Checks that a server answers for the device, unless it is known to be lost.
    ///
    /// # Errors
    ///
    /// `EIO` if it is lost; as [`Silence`].
    pub(crate) fn check(&self, silence: Silence) -> Result {
        let generation = self.settle(silence)?;
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
        let before = self.settle(Silence::Wait)?;
        self.bar.write_reg(regs::RESET::from(regs::RESET_KEY));
        // The generation steps when nothing reaches memory any more (data sheet 12).
        let reset = soon(|| self.generation().filter(|generation| *generation != before));
        // The driver uses no register any more, so none is set up.
        if let Some(generation) = reset.or_else(|| self.generation()) {
            self.generation.store(generation, Relaxed);
        }
        if reset.is_none() {
            self.check(Silence::Wait)?;
        }
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

    /// Loses a device that showed no generation in so many looks.
    fn lose_after(&self, looks: usize) -> Error {
        // A busy machine may have made the wait longer: the log has the driver's own part.
        dev_warn!(
            self.pdev,
            "no reset generation in {} looks, {} ms apart\n",
            looks,
            BETWEEN_LOOKS_MS
        );
        self.lose()
    }

    /// Notes that the device does not answer. From now on the driver only looks whether it does.
    fn lose(&self) -> Error {
        // Several threads may find out.
        if self.presence.cmpxchg(PRESENT, SILENT, Relaxed).is_err() {
            return EIO;
        }
        match base_address(self.pdev) {
            base if base == self.base || base == u32::MAX => {
                dev_err!(
                    self.pdev,
                    "the device does not answer: the driver uses it again when it does\n"
                );
                let begun = Instant::<Monotonic>::now();
                // Otherwise work of a server that was stopped would go on, in memory of others.
                set_command(self.pdev, self.quiet_command);
                let took = begun.elapsed();
                self.slow.store(took > SLOW, Relaxed);
                self.on_loss.lost(took, self.returns.load(Relaxed));
            }
            _ => {
                dev_err!(
                    self.pdev,
                    "the device's configuration was reset and not restored, so base addresses, bus mastering and interrupts are lost: the driver gives it up until it is removed and the bus is rescanned\n"
                );
                self.presence.store(GONE, Relaxed);
                // Bus mastering, and the answers in BARs, whose base addresses mean nothing.
                set_command(self.pdev, 0);
            }
        }
        EIO
    }
}

/// Looks for what a write brings about in shared memory, for as long as a trap takes. A write is on
/// its way while the processor goes on, and a read of a register would wait for its end.
fn soon<T>(look: impl Fn() -> Option<T>) -> Option<T> {
    let begun = Instant::<Monotonic>::now();
    loop {
        let seen = look();
        if seen.is_some() || begun.elapsed() > TRAP {
            return seen;
        }
        spin_loop();
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

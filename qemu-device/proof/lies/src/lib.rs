// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The lies of a device: what `ringbar-liar` does otherwise than the data sheet says, and how a
//! guest asks for it.
//!
//! The server takes orders in configuration space ([`ORDER`]), which works in every state of the
//! device and of its driver. A machine without such a server has zeros there, as data sheet 1 has
//! no capability at these bytes.

#![no_std]
#![forbid(unsafe_code)]

/// Offset in configuration space of the order, 32 bits. Written as [`TRUTH`], the device tells no
/// lie any more; written as the number of a [`Lie`], it tells that one too. Reads return the number
/// of lies that were told since the last truth, saturating.
pub const ORDER: u16 = 0xe0;
/// Offset in configuration space of the seed, 32 bits: what is random in later lies follows from
/// it. Reads return [`IDENT`].
pub const SEED: u16 = 0xe4;
/// The bytes `liar`, by which a guest knows such a device.
pub const IDENT: u32 = 0x7261_696c;
/// The order to tell no lie any more.
pub const TRUTH: u32 = 0;

/// Part of the interface about which the device lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Entries of the completion ring.
    Completions,
    /// Tails, states and the generation, in status pages.
    Words,
    /// Interrupts.
    Interrupts,
    /// Registers and limits.
    Registers,
    /// Admin commands.
    Admin,
    /// Configuration space.
    Config,
    /// Resets.
    Resets,
    /// Memory of windows that are closed.
    Memory,
    /// All that the driver reads.
    Everything,
}

impl Group {
    /// All groups.
    pub const ALL: [Self; 9] = [
        Self::Completions,
        Self::Words,
        Self::Interrupts,
        Self::Registers,
        Self::Admin,
        Self::Config,
        Self::Resets,
        Self::Memory,
        Self::Everything,
    ];
}

/// Declares the lies: number, name of the variant, name for people, group, and what the device
/// does.
macro_rules! lies {
    ($($number:literal $variant:ident $name:literal $group:ident $what:literal;)*) => {
        /// A lie. Its number is the order for it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Lie {
            $(#[doc = $what] $variant = $number,)*
        }

        impl Lie {
            /// All lies, by number.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Returns the name, as on the command line of the server.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Returns the part of the interface that it is about.
            pub const fn group(self) -> Group {
                match self { $(Self::$variant => Group::$group,)* }
            }

            /// Returns what the device does.
            pub const fn what(self) -> &'static str {
                match self { $(Self::$variant => $what,)* }
            }
        }
    };
}

lies! {
    1 ForeignTag "foreign-tag" Completions "A completion has a tag that no descriptor had.";
    2 CompletionTwice "completion-twice" Completions "A completion repeats the one before it, in place of its own.";
    3 CompletionsSwapped "completions-swapped" Completions "Two neighbouring completions change places.";
    4 UnknownStatus "unknown-status" Completions "A completion has a status without a name.";
    5 TornCompletion "torn-completion" Completions "A completion is in the ring with its tag alone; the other half comes with the next completion of its queue.";
    6 WrongResult "wrong-result" Completions "A completion has a random result.";
    7 TailAhead "tail-ahead" Words "A completion tail is up to 16 ahead of the completions.";
    8 TailBack "tail-back" Words "A completion tail is one behind the last one.";
    9 TailJumps "tail-jumps" Words "A completion tail is 2^31 ahead.";
    10 TailStuck "tail-stuck" Words "A completion tail stays as it was.";
    11 SleepingStuck "sleeping-stuck" Words "A queue that sleeps says that it is awake, so that no driver side kicks it.";
    12 StateRandom "state-random" Words "The state of a queue is a random number.";
    13 GenerationSteps "generation-steps" Words "The generation in the status pages steps by itself, once.";
    14 GenerationZero "generation-zero" Words "The generation in the status pages is 0, as where no BAR answers.";
    15 GenerationFlickers "generation-flickers" Words "The generation in the status pages is another random number every millisecond.";
    16 InterruptLost "interrupt-lost" Interrupts "No interrupt is raised.";
    17 InterruptDoubled "interrupt-doubled" Interrupts "Each interrupt is raised twice.";
    18 InterruptElsewhere "interrupt-elsewhere" Interrupts "Interrupts are raised on another vector.";
    19 InterruptLate "interrupt-late" Interrupts "Interrupts are raised 200 ms later.";
    20 InterruptStorm "interrupt-storm" Interrupts "100,000 interrupts a second, on random vectors.";
    21 RegistersOnes "registers-ones" Registers "All registers read as ones.";
    22 RegistersZero "registers-zero" Registers "All registers read as 0.";
    23 RegistersRandom "registers-random" Registers "All registers read as random numbers, others each time.";
    24 LimitsZero "limits-zero" Registers "The limits of queues, windows and lengths are 0.";
    25 LimitsHuge "limits-huge" Registers "The limits of queues, windows and lengths are all ones.";
    26 LimitsOdd "limits-odd" Registers "The limit of entries is no power of two.";
    27 LimitsChange "limits-change" Registers "The limits are other random numbers at each read, in the report page every millisecond.";
    28 IdentWrong "ident-wrong" Registers "IDENT is another one.";
    29 ErrorLogRandom "error-log-random" Registers "The error log reads as random numbers.";
    30 AdminUnanswered "admin-unanswered" Admin "The outcome of an admin command is never told. The server answers nothing any more.";
    31 AdminLate "admin-late" Admin "The outcome of an admin command is told after 300 ms.";
    32 AdminOther "admin-other" Admin "The outcome of an admin command is that of the command before.";
    33 AdminRefuses "admin-refuses" Admin "An admin command is refused with a random code, and not carried out. No code says that it is done already.";
    34 AdminDropped "admin-dropped" Admin "An admin command is reported as carried out, and is not.";
    35 AdminOnes "admin-ones" Admin "The outcome of an admin command is all ones.";
    36 ConfigOnes "config-ones" Config "Configuration space reads as ones, as where no device is.";
    37 ConfigRandom "config-random" Config "Configuration space reads as random numbers, others each time.";
    38 CommandIgnored "command-ignored" Config "Writes to the command register have no effect.";
    39 IdsChange "ids-change" Config "Vendor and device are other ones.";
    40 ResetIgnored "reset-ignored" Resets "A write to RESET has no effect.";
    41 ResetEndless "reset-endless" Resets "From a write to RESET on, the generation in the status pages is all ones.";
    42 ResetLate "reset-late" Resets "A write to RESET takes effect after 300 ms.";
    43 ResetTwice "reset-twice" Resets "A reset steps the generation in the status pages by two, the register by one.";
    44 ResetMad "reset-mad" Resets "From a write to RESET on, registers read as random numbers: a device that lies only during removal.";
    45 StaleDma "stale-dma" Memory "Memory of a window is written after the window was closed.";
    46 RegistersShort "registers-short" Registers "BAR 0 ends before the doorbell and status pages, from the next connection on.";
    47 MemoryShort "memory-short" Registers "The BAR of the device memory has half of the least size, from the next connection on.";
    48 MemoryAbsent "memory-absent" Registers "The BAR of the device memory does not exist, from the next connection on.";
    49 Anything "anything" Everything "One in four registers, halves of completions and words of status pages is another number: any, one near by, or one that is special. One in four interrupts is lost.";
    50 VersionOld "version-old" Registers "VERSION is 2.4, of a major version before.";
    51 ReportNumber "report-number" Admin "The outcome in the report page has a random number.";
}

impl Lie {
    /// Returns the lie with this number.
    pub fn numbered(number: u32) -> Option<Self> {
        let mut lies = Self::ALL.iter().copied();
        lies.find(|lie| *lie as u32 == number)
    }

    /// Returns whether it is about the shape of the function, which QEMU asks for when it connects.
    /// Such a lie begins with the next connection.
    pub const fn is_shape(self) -> bool {
        matches!(
            self,
            Self::RegistersShort | Self::MemoryShort | Self::MemoryAbsent
        )
    }

    /// Returns the lie with this name.
    pub fn named(name: &str) -> Option<Self> {
        let mut lies = Self::ALL.iter().copied();
        lies.find(|lie| lie.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lies_are_numbered_in_order_and_fit_a_set() {
        let numbers = Lie::ALL.iter().map(|lie| *lie as u32);

        assert!(numbers.eq(1..=Lie::ALL.len() as u32));
        assert!(Lie::ALL.len() < 64);
    }

    #[test]
    fn lies_have_names_of_their_own() {
        for lie in Lie::ALL {
            assert_eq!(Lie::named(lie.name()), Some(*lie));
        }
    }

    #[test]
    fn each_part_of_the_interface_has_at_least_four_lies() {
        for group in Group::ALL {
            let count = Lie::ALL.iter().filter(|lie| lie.group() == group).count();
            let single = [Group::Memory, Group::Everything].contains(&group);
            assert!(count >= 4 || single, "{group:?}: {count}");
        }
    }
}

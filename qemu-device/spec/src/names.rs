// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Names of the data sheet for offsets of BAR 0: of registers, and of fields of the shared pages.
//! The module needs none.

use crate::layout::{DOORBELL_PAGES, MAX_QUEUES, PAGE_STRIDE, REPORT_PAGE, STATUS_PAGES};
use crate::pages::{
    DoorbellPage, ReportPage, StatusPage, REPORTED_BOOT_NUMBER, REPORTED_FEATURES,
    REPORTED_LENGTH_LIMIT, REPORTED_QUEUE_LIMITS, REPORTED_WINDOW_LIMITS,
};
use crate::regs::Register;
use crate::RegisterInfo;
use core::fmt;
use core::mem::offset_of;

/// Registers that the report page repeats (data sheet 5), with the offset of the copy in BAR 0.
pub static REPORTED: [(Register, usize); 5] = [
    (Register::FEATURES, REPORTED_FEATURES),
    (Register::QUEUE_LIMITS, REPORTED_QUEUE_LIMITS),
    (Register::WINDOW_LIMITS, REPORTED_WINDOW_LIMITS),
    (Register::LENGTH_LIMIT, REPORTED_LENGTH_LIMIT),
    (Register::BOOT_NUMBER, REPORTED_BOOT_NUMBER),
];

/// Fields of [`ReportPage`], [`DoorbellPage`] and [`StatusPage`], by offset. Those of the last two are
/// there once per queue.
pub static PAGE_FIELDS: [RegisterInfo; 18] = {
    macro_rules! page_fields {
        ($($start:ident: $page:ident x $count:expr, { $($field:ident)* })*) => {
            [$($(RegisterInfo {
                name: stringify!($field),
                offset: $start + offset_of!($page, $field),
                width: width(|page: &$page| &page.$field),
                count: $count,
                stride: PAGE_STRIDE,
                fields: &[],
            },)*)*]
        };
    }
    page_fields! {
        REPORT_PAGE: ReportPage x 1, {
            outcome
            features
            queue_limits
            window_limits
            length_limit
            boot_number
        }
        DOORBELL_PAGES: DoorbellPage x MAX_QUEUES, {
            submission_tail
            submission_inline
            inline_descriptor
            completion_head
            interrupt_at
            driver_interrupt_at
        }
        STATUS_PAGES: StatusPage x MAX_QUEUES, {
            completion_tail
            inline_completion
            sleeping
            queue_state
            generation
            heartbeat
        }
    }
};

/// Returns the bytes of a field.
const fn width<P, T>(_field: fn(&P) -> &T) -> usize {
    size_of::<T>()
}

/// Returns everything in BAR 0 that has a name, by offset: the registers, then the fields of the
/// shared pages.
pub fn all() -> impl Iterator<Item = &'static RegisterInfo> {
    let registers = Register::ALL.iter().map(|register| register.info());
    registers.chain(&PAGE_FIELDS)
}

/// A byte of a register, or of a field of a shared page. Shown by name, with index and byte:
/// `KICK[3]+1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedByte {
    /// The register or field.
    pub info: &'static RegisterInfo,
    /// Index in its array; 0 if it is none.
    pub index: usize,
    /// Number of the byte in the register or field.
    pub byte: usize,
}

impl NamedByte {
    /// Returns the byte at an offset of BAR 0. `None` if it belongs to no register or field.
    pub fn at(offset: u64) -> Option<Self> {
        let offset = usize::try_from(offset).ok()?;
        all().find_map(|info| {
            let (index, byte) = info.locate(offset)?;
            Some(Self { info, index, byte })
        })
    }
}

impl fmt::Display for NamedByte {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.info.name)?;
        if self.info.count > 1 {
            write!(f, "[{}]", self.index)?;
        }
        if self.byte > 0 {
            write!(f, "+{}", self.byte)?;
        }
        Ok(())
    }
}

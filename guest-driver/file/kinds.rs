// SPDX-License-Identifier: GPL-2.0-only

//! The kinds of mappings that a file of ours has.

mod coherent;
mod device_memory;
mod kernel_memory;
mod registers;

use crate::{
    file::OpenFile,
    mapping::map::{
        on_fault,
        populated,
        Entry, //
    },
};

/// Every kind of mapping there is.
pub(super) const KINDS: &[Entry<OpenFile>] = &[
    populated::<registers::PublicRegisters>(),
    populated::<registers::Kick>(),
    populated::<registers::Doorbell>(),
    populated::<registers::Status>(),
    populated::<coherent::SubmissionRing>(),
    populated::<coherent::CompletionRing>(),
    populated::<coherent::DmaBuffer>(),
    populated::<device_memory::DeviceMemory>(),
    on_fault::<device_memory::LazyDeviceMemory>(),
    populated::<kernel_memory::ContiguousMemory>(),
    on_fault::<kernel_memory::VmallocMemory>(),
];

// SPDX-License-Identifier: GPL-2.0-only

//! The names that most drivers use: `use mapping::prelude::*`.

#![allow(unused_imports, reason = "a driver uses a part of the layer")]

pub(crate) use super::{
    access::Access,
    arguments,
    binding::Binding,
    cache::CachePolicy,
    driver::Driver,
    events::Events,
    file::{Files, OpenFile},
    gate::HasDevice,
    kind::{FaultKind, Kind, Target},
    map::{on_fault, populated, Entry},
    mappable::{CoherentMemory, IoMemory, IoOnFault},
    mapped_file::MappedFile,
    memory::{Contiguous, Scattered},
    node::Node,
    numbers::{Number, Numbers},
    offset,
    pci::{clear_master, IoRange},
    pci_data::{PciData, PciDriver},
    setup::Fork,
    turns::Turns,
};

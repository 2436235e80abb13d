// SPDX-License-Identifier: GPL-2.0-only

//! The names that most drivers use: `use mapping::prelude::*`.

#![allow(unused_imports, reason = "a driver uses a part of the layer")]

pub(crate) use super::{
    arguments::{self, Timed},
    binding::Binding,
    cache::CachePolicy,
    driver::{Driver, Opening},
    events::Events,
    file::{Files, OpenFile},
    gate::HasDevice,
    kind::Kind,
    map::{on_fault, populated, Entry},
    mappable::{IoMemory, IoOnFault},
    mapped_file::MappedFile,
    memory::{CoherentMemory, Contiguous, Scattered},
    node::Node,
    numbers::{Number, Numbers},
    offset,
    pci::{clear_master, IoRange},
    pci_data::{PciData, PciDriver},
    serial::Serial,
    series::{pci_device_table, IdInfo},
    setup::Fork,
    turns::Turns,
};

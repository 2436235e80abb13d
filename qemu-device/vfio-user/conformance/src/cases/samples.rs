// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A message of each kind, for cases about all kinds.

use crate::outcome::Outcome;
use crate::requests::{self, Write};
use crate::survey::Survey;
use crate::wire::{command, Request, PAGE};

/// Makes a message that suits the server's properties.
pub(super) type Make = fn(&Survey) -> Outcome<Request>;

/// Address that no other case has mapped on the same connection.
const ADDRESS: u64 = 0x40_0000_0000;

/// Each kind but VERSION, by name.
pub(super) const ALL: &[(&str, Make)] = &[
    ("dma-map", |_| Ok(requests::dma_map(ADDRESS, PAGE))),
    ("dma-unmap", |_| Ok(requests::dma_unmap(0, ADDRESS, PAGE))),
    ("get-info", |_| Ok(requests::get_info())),
    ("get-region-info", |_| {
        Ok(requests::get_region_info(0, 4096))
    }),
    ("get-region-io-fds", |_| Ok(requests::region_io_fds(0))),
    ("get-irq-info", |_| Ok(requests::get_irq_info(0))),
    ("set-irqs", |survey| {
        let irq = survey.irq(1)?;
        // The type is disabled, and none of its interrupts was enabled.
        Ok(requests::set_irqs(irq.index, 0x21, 0, 0))
    }),
    ("set-irqs-bool", |survey| {
        let irq = survey.irq(1)?;
        Ok(requests::set_irqs_bool(irq.index, 0x22, 0, 1, &[0]))
    }),
    ("region-read", |survey| {
        Ok(requests::read(survey.readable()?.index, 0, 4))
    }),
    ("region-write", |survey| {
        // The identity, which is read-only.
        Ok(requests::write(survey.config()?.index, 0, &[0; 4]))
    }),
    ("region-write-multi", |survey| {
        let write = Write {
            region: survey.config()?.index,
            offset: 0,
            count: 4,
            data: 0,
        };
        Ok(requests::write_multi(1, &[write]))
    }),
    ("dma-read", |_| {
        Ok(Request::new(command::DMA_READ).u64(ADDRESS).u64(8))
    }),
    ("dma-write", |_| {
        Ok(Request::new(command::DMA_WRITE).u64(ADDRESS).u64(8).u64(0))
    }),
    ("reset", |_| Ok(requests::reset())),
    ("feature", |_| Ok(requests::feature(0x5_0001))),
    ("unknown", |_| {
        Ok(Request::new(command::FIRST_UNKNOWN).length(32))
    }),
];

/// Makes the message of a kind.
pub(super) fn named(name: &str, survey: &Survey) -> Outcome<Request> {
    match ALL.iter().find(|(other, _)| *other == name) {
        Some((_, make)) => make(survey),
        None => crate::outcome::fail(format!("kit: no message {name}")),
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Properties that the server reports. Cases adapt to them.

use std::os::fd::OwnedFd;

use serde_json::Value;
use vfio_bindings::bindings::vfio::{
    VFIO_DEVICE_FLAGS_PCI, VFIO_DEVICE_FLAGS_RESET, VFIO_IRQ_INFO_EVENTFD,
    VFIO_PCI_CONFIG_REGION_INDEX, VFIO_REGION_INFO_FLAG_MMAP, VFIO_REGION_INFO_FLAG_READ,
    VFIO_REGION_INFO_FLAG_WRITE,
};

use crate::client::Client;
use crate::outcome::{ensure, Outcome, Stop};
use crate::requests::{self, REGION_INFO_SIZE};
use crate::wire::{Message, DEFAULT_TRANSFER};

/// Room for the capabilities of a region.
const ROOM: u32 = 65_536;
/// Most regions and interrupt types that QEMU accepts.
const MOST: u32 = 100;

/// Properties that the server reports.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// Reply to GET_INFO.
    pub(crate) info: Vec<u8>,
    /// `VFIO_DEVICE_FLAGS_…`
    pub(crate) flags: u32,
    /// Regions, by index.
    pub(crate) regions: Vec<Region>,
    /// Interrupt types, by index.
    pub(crate) irqs: Vec<Irq>,
    /// The server's capabilities in its version.
    pub(crate) capabilities: Value,
}

/// A region.
#[derive(Debug, Default)]
pub(crate) struct Region {
    /// Its number.
    pub(crate) index: u32,
    /// `VFIO_REGION_INFO_FLAG_…`
    pub(crate) flags: u32,
    /// Size in bytes.
    pub(crate) size: u64,
    /// Offset of its first byte in the file.
    pub(crate) offset: u64,
    /// Size of the whole information.
    pub(crate) argsz: u32,
    /// Reply, with capabilities.
    pub(crate) payload: Vec<u8>,
    /// Files that came with the reply.
    pub(crate) files: Vec<OwnedFd>,
}

/// An interrupt type.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Irq {
    /// Its number.
    pub(crate) index: u32,
    /// `VFIO_IRQ_INFO_…`
    pub(crate) flags: u32,
    /// Number of interrupts.
    pub(crate) count: u32,
}

impl Survey {
    /// Reads all properties.
    pub(crate) fn take(client: &mut Client) -> Outcome<Self> {
        let version = client.negotiate()?;
        let info = call(client, requests::get_info())?;
        let (regions, irqs) = (info.u32(8), info.u32(12));
        ensure(regions <= MOST && irqs <= MOST, || {
            format!("{regions} regions and {irqs} interrupt types; QEMU takes 100 and 50")
        })?;
        Ok(Self {
            flags: info.u32(4),
            info: info.payload,
            regions: (0..regions)
                .map(|index| region(client, index))
                .collect::<Outcome<_>>()?,
            irqs: (0..irqs)
                .map(|index| irq(client, index))
                .collect::<Outcome<_>>()?,
            capabilities: capabilities(&version).unwrap_or_default(),
        })
    }

    /// Returns a number of the server's capabilities.
    pub(crate) fn capability(&self, name: &str) -> Option<u64> {
        self.capabilities.get("capabilities")?.get(name)?.as_u64()
    }

    /// Returns the most bytes per read or write.
    pub(crate) fn transfer(&self) -> u32 {
        self.capability("max_data_xfer_size")
            .and_then(|value| u32::try_from(value).ok())
            .unwrap_or(DEFAULT_TRANSFER)
    }

    /// Returns the most descriptors per message.
    pub(crate) fn message_fds(&self) -> u32 {
        self.capability("max_msg_fds")
            .and_then(|value| u32::try_from(value).ok())
            .unwrap_or(1)
            .max(1)
    }

    /// Returns the most DMA mappings.
    pub(crate) fn dma_maps(&self) -> u64 {
        self.capability("max_dma_maps").unwrap_or(65_535)
    }

    /// Returns whether the server accepts several writes at once.
    pub(crate) fn write_multiple(&self) -> bool {
        let value = self.capabilities.get("capabilities");
        value.and_then(|value| value.get("write_multiple")) == Some(&Value::Bool(true))
    }

    /// Returns whether the device reports that it is a PCI device.
    pub(crate) fn is_pci(&self) -> bool {
        self.flags & VFIO_DEVICE_FLAGS_PCI != 0
    }

    /// Returns whether the device can be reset.
    pub(crate) fn resets(&self) -> bool {
        self.flags & VFIO_DEVICE_FLAGS_RESET != 0
    }

    /// Returns the number of regions.
    pub(crate) fn region_count(&self) -> u32 {
        u32::try_from(self.regions.len()).unwrap_or(u32::MAX)
    }

    /// Returns the number of interrupt types.
    pub(crate) fn irq_count(&self) -> u32 {
        u32::try_from(self.irqs.len()).unwrap_or(u32::MAX)
    }

    /// Returns the configuration space of PCI.
    pub(crate) fn config(&self) -> Outcome<&Region> {
        self.region("is the configuration space of a PCI device", |region| {
            self.is_pci() && region.index == VFIO_PCI_CONFIG_REGION_INDEX && region.size >= 64
        })
    }

    /// Returns a readable region: configuration space if it is one.
    pub(crate) fn readable(&self) -> Outcome<&Region> {
        self.config().or_else(|_| {
            self.region("can be read", |region| {
                region.size > 0 && region.flags & VFIO_REGION_INFO_FLAG_READ != 0
            })
        })
    }

    /// Returns a writable region: configuration space if it is one.
    pub(crate) fn writable(&self) -> Outcome<&Region> {
        self.config().or_else(|_| {
            self.region("can be written", |region| {
                region.size > 0 && region.flags & VFIO_REGION_INFO_FLAG_WRITE != 0
            })
        })
    }

    /// Returns a region that the client may map.
    pub(crate) fn mappable(&self) -> Outcome<&Region> {
        self.region("may be mapped", |region| {
            region.flags & VFIO_REGION_INFO_FLAG_MMAP != 0
        })
    }

    /// Returns the first region that fits.
    pub(crate) fn region(&self, what: &str, fits: impl Fn(&Region) -> bool) -> Outcome<&Region> {
        self.regions
            .iter()
            .find(|region| fits(region))
            .ok_or_else(|| Stop::Skipped(format!("no region {what}")))
    }

    /// Returns the interrupt type with the most interrupts that eventfds can be connected to, if it
    /// has at least `count`.
    pub(crate) fn irq(&self, count: u32) -> Outcome<Irq> {
        self.irqs
            .iter()
            .filter(|irq| irq.flags & VFIO_IRQ_INFO_EVENTFD != 0 && irq.count >= count)
            .max_by_key(|irq| irq.count)
            .copied()
            .ok_or_else(|| {
                Stop::Skipped(format!(
                    "no interrupt type with {count} interrupts and eventfds"
                ))
            })
    }

    /// Returns the first interrupt type that fits.
    pub(crate) fn irq_that(&self, what: &str, fits: impl Fn(&Irq) -> bool) -> Outcome<Irq> {
        self.irqs
            .iter()
            .copied()
            .find(|irq| fits(irq))
            .ok_or_else(|| Stop::Skipped(format!("no interrupt type {what}")))
    }
}

/// Returns the JSON of a VERSION reply.
pub(crate) fn capabilities(version: &Message) -> Option<Value> {
    let data = version.payload.get(4..)?;
    serde_json::from_slice(data.strip_suffix(&[0])?).ok()
}

fn call(client: &mut Client, request: crate::wire::Request) -> Outcome<Message> {
    let command = request.command;
    let sent = client.send(request)?;
    let reply = client.reply_to(sent)?;
    ensure(!reply.is_error(), || {
        format!("command {command}: error {}", reply.error)
    })?;
    Ok(reply)
}

fn region(client: &mut Client, index: u32) -> Outcome<Region> {
    let sent = client.send(requests::get_region_info(index, ROOM))?;
    let reply = client.reply_to(sent)?;
    if reply.is_error() || reply.payload.len() < REGION_INFO_SIZE as usize {
        return Ok(Region {
            index,
            ..Region::default()
        });
    }
    Ok(Region {
        index,
        flags: reply.u32(4),
        size: reply.u64(16),
        offset: reply.u64(24),
        argsz: reply.u32(0),
        payload: reply.payload,
        files: reply.fds,
    })
}

fn irq(client: &mut Client, index: u32) -> Outcome<Irq> {
    let sent = client.send(requests::get_irq_info(index))?;
    let reply = client.reply_to(sent)?;
    let answered = !reply.is_error();
    Ok(Irq {
        index,
        flags: if answered { reply.u32(4) } else { 0 },
        count: if answered { reply.u32(12) } else { 0 },
    })
}

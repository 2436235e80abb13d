// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Between the protocol and the device: what a client asks, handed to the state under its lock.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;

use ringbar_endpoint::Connection;
use ringbar_vfio_user::device::{
    self, Action, Data, Device, DmaMap, DmaRange, Interrupts, SetInterrupts,
};
use ringbar_vfio_user::Errno;
use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_INFO_EVENTFD, VFIO_IRQ_SET_ACTION_MASK, VFIO_IRQ_SET_ACTION_TRIGGER,
    VFIO_IRQ_SET_ACTION_UNMASK, VFIO_IRQ_SET_DATA_EVENTFD, VFIO_IRQ_SET_DATA_NONE,
    VFIO_PCI_NUM_IRQS,
};

use crate::dma::Rights;
use crate::error::Error;
use crate::regions::Region;
use crate::state::State;
use crate::worker::Worker;

/// Serves the device to the first client that connects, until it is gone.
pub fn serve(listener: UnixListener, state: State) -> Result<(), Error> {
    let mut backend = Backend::new(state)?;
    let (socket, _address) = listener.accept().map_err(Error::Accept)?;
    Ok(Connection::new(socket).serve(&mut backend)?)
}

struct Backend {
    worker: Worker,
    regions: Vec<device::Region<OwnedFd>>,
    interrupts: Vec<Interrupts>,
}

impl Backend {
    fn new(state: State) -> Result<Self, Error> {
        let regions = state
            .regions()
            .iter()
            .map(|region| describe(region, state.region_file(region.index)))
            .collect::<io::Result<_>>()
            .map_err(Error::RegionFile)?;
        let interrupts = (0..VFIO_PCI_NUM_IRQS)
            .map(|index| {
                let count = u32::try_from(state.vectors(index)).unwrap_or(0);
                Interrupts {
                    count,
                    flags: if count > 0 { VFIO_IRQ_INFO_EVENTFD } else { 0 },
                }
            })
            .collect();
        Ok(Self {
            worker: Worker::start(state)?,
            regions,
            interrupts,
        })
    }
}

impl Device for Backend {
    type Fd = OwnedFd;

    fn regions(&self) -> &[device::Region<OwnedFd>] {
        &self.regions
    }

    fn interrupts(&self) -> &[Interrupts] {
        &self.interrupts
    }

    fn read(&mut self, region: u32, offset: u64, data: &mut [u8]) -> Result<(), Errno> {
        Ok(self.worker.with(|state| state.read(region, offset, data))?)
    }

    fn write(&mut self, region: u32, offset: u64, data: &[u8]) -> Result<(), Errno> {
        Ok(self
            .worker
            .with(|state| state.write(region, offset, data))?)
    }

    fn dma_map(&mut self, map: DmaMap<OwnedFd>) -> Result<(), Errno> {
        let rights = Rights {
            read: map.read,
            write: map.write,
        };
        let (file, offset) = match map.file {
            Some((file, offset)) => (Some(File::from(file)), offset),
            None => (None, 0),
        };
        let (address, size) = (map.range.first, size_of_range(map.range)?);
        Ok(self
            .worker
            .with(|state| state.dma_map(address, size, rights, file, offset))?)
    }

    fn dma_unmap(&mut self, range: DmaRange) -> Result<(), Errno> {
        let (address, size, all) = match range {
            DmaRange::ALL => (0, 0, true),
            range => (range.first, size_of_range(range)?, false),
        };
        Ok(self
            .worker
            .with(|state| state.dma_unmap(address, size, all))?)
    }

    fn set_interrupts(&mut self, request: SetInterrupts<OwnedFd>) -> Result<(), Errno> {
        let SetInterrupts {
            index,
            start,
            count,
            action,
            data,
        } = request;
        let action = match action {
            Action::Mask => VFIO_IRQ_SET_ACTION_MASK,
            Action::Unmask => VFIO_IRQ_SET_ACTION_UNMASK,
            Action::Trigger => VFIO_IRQ_SET_ACTION_TRIGGER,
        };
        let none = action | VFIO_IRQ_SET_DATA_NONE;
        self.worker.with(|state| {
            match data {
                Data::DisableAll | Data::Each => {
                    state.set_interrupts(index, none, start, count, Vec::new())?;
                }
                Data::Chosen(chosen) => {
                    for (vector, _) in (start..).zip(chosen).filter(|(_, chosen)| *chosen) {
                        state.set_interrupts(index, none, vector, 1, Vec::new())?;
                    }
                }
                Data::Connect(eventfds) => {
                    let eventfds = eventfds.into_iter().map(File::from).collect();
                    let flags = action | VFIO_IRQ_SET_DATA_EVENTFD;
                    state.set_interrupts(index, flags, start, count, eventfds)?;
                }
                Data::Disconnect => {
                    let flags = action | VFIO_IRQ_SET_DATA_EVENTFD;
                    state.set_interrupts(index, flags, start, count, Vec::new())?;
                }
            }
            Ok(())
        })
    }

    fn reset(&mut self) -> Result<(), Errno> {
        self.worker.with(State::reset);
        Ok(())
    }
}

impl From<Error> for Errno {
    /// What the client is told. It has caused the error and may do so often: the text is for who
    /// asks for it.
    fn from(error: Error) -> Self {
        log::debug!("refused: {error}");
        match error {
            Error::DmaOverlap { .. } => Self::EXIST,
            Error::DmaMappings(_) => Self::NOSPC,
            Error::DmaMap(error) => Self::from_io_error(&error).unwrap_or(Self::IO),
            _ => Self::INVAL,
        }
    }
}

fn describe(region: &Region, file: Option<&File>) -> io::Result<device::Region<OwnedFd>> {
    let areas: Vec<device::Area> = region
        .shared
        .iter()
        .map(|area| device::Area {
            offset: area.offset,
            size: area.size,
        })
        .collect();
    Ok(match file {
        _ if region.size == 0 => device::Region::EMPTY,
        Some(file) => device::Region::shared(region.size, OwnedFd::from(file.try_clone()?), areas),
        None => device::Region::trapped(region.size),
    })
}

fn size_of_range(range: DmaRange) -> Result<u64, Errno> {
    range
        .last
        .checked_sub(range.first)
        .and_then(|steps| steps.checked_add(1))
        .ok_or(Errno::INVAL)
}

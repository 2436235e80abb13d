// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The side of the server that faces the protocol: hands each request of the client to the state
//! under its lock.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use ringbar_endpoint::Connection;
use ringbar_vfio_user::device::{self, Device, DmaMap, DmaRange, Interrupts, SetInterrupts};
use ringbar_vfio_user::{Errno, Refusal};

use crate::error::Error;
use crate::regions::Region;
use crate::state::State;
use crate::worker::Worker;

/// Serves the device to a client until it is gone. After its last work the device polls for
/// `poll_time` before it sleeps.
///
/// # Errors
///
/// Fails if the worker cannot be started, a region's file cannot be duplicated, or the client was
/// dropped.
pub fn serve(client: UnixStream, state: State, poll_time: Duration) -> Result<(), Error> {
    Ok(Connection::new(client).serve(&mut Backend::new(state, poll_time)?)?)
}

/// The device as the protocol sees it.
struct Backend {
    worker: Worker,
    regions: Vec<device::Region<OwnedFd>>,
    interrupts: Vec<Interrupts>,
}

impl Backend {
    /// Starts the worker. Describes regions and interrupts once, as they never change.
    fn new(state: State, poll_time: Duration) -> Result<Self, Error> {
        let regions = state
            .regions()
            .iter()
            .map(|region| describe(region, state.region_file(region.index)))
            .collect::<io::Result<_>>()
            .map_err(ringbar_endpoint::Error::Share)?;
        // The state moves into the worker. From then on it is reached under the lock only.
        let interrupts = state.interrupt_types();
        Ok(Self {
            worker: Worker::start(state, poll_time)?,
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

    fn dma_map(&mut self, map: DmaMap<OwnedFd>) -> Result<(), Refusal> {
        self.worker.with(|state| state.dma_map(map))
    }

    fn dma_unmap(&mut self, range: DmaRange) -> Result<(), Refusal> {
        self.worker.with(|state| state.dma_unmap(range))
    }

    fn set_interrupts(&mut self, request: SetInterrupts<OwnedFd>) -> Result<(), Errno> {
        self.worker.with(|state| state.set_interrupts(request))
    }

    fn reset(&mut self) -> Result<(), Errno> {
        self.worker.with(State::reset);
        Ok(())
    }
}

impl From<Error> for Errno {
    /// Returns the error for the client. The text goes to the log at level debug only: a client may
    /// cause errors as often as it wants, and would fill the log.
    fn from(error: Error) -> Self {
        log::debug!("refused: {error}");
        Self::INVAL
    }
}

/// Describes a region to the protocol, with a file of its own if the client may map a part.
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

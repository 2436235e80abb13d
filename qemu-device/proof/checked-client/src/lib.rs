// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The client of `vfio_user`, in QEMU's place, with an error for each request that the server
//! refuses.
//!
//! The crate's client returns Ok for a refused `dma_map`, `set_irqs`, `reset` or `region_write`
//! (`findings/vfio-user-client-ignores-refusals.sh`), and waits for ever for the rest of other
//! refused replies. So a test that uses it cannot fail on a refusal. Here a relay between client and
//! server looks at each reply.

#![forbid(unsafe_code)]

mod relay;

use std::io;
use std::os::fd::RawFd;
use std::path::Path;

use rustix::io::Errno;
use vfio_user::{IrqInfo, Region};

use relay::Relay;

pub use relay::READ_WRITE;

/// Reason for which a request was not carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server does not follow the protocol.
    #[error("vfio-user: {0}")]
    Protocol(#[from] vfio_user::Error),
    /// The client cannot be connected to the server.
    #[error("relay: {0}")]
    Relay(#[source] io::Error),
    /// The server refused the request.
    #[error("the server refuses: {0}")]
    Refused(Errno),
}

/// A connection to a server. All methods are those of [`vfio_user::Client`] with another error.
pub struct Client {
    client: vfio_user::Client,
    relay: Relay,
}

impl Client {
    /// Connects to a server that listens, and asks for its regions.
    ///
    /// # Errors
    ///
    /// Fails if the server does not listen or follow the protocol.
    pub fn new(server: &Path) -> Result<Self, Error> {
        let relay = Relay::start(server).map_err(Error::Relay)?;
        Ok(Self {
            client: vfio_user::Client::new(relay.socket())?,
            relay,
        })
    }

    /// Makes a call of the client of `vfio_user`.
    ///
    /// # Errors
    ///
    /// Fails if the server refuses it or does not follow the protocol. So do the methods below.
    pub fn ask<T>(
        &mut self,
        call: impl FnOnce(&mut vfio_user::Client) -> Result<T, vfio_user::Error>,
    ) -> Result<T, Error> {
        let answer = call(&mut self.client)?;
        match self.relay.refusal() {
            Some(errno) => Err(Error::Refused(errno)),
            None => Ok(answer),
        }
    }

    /// Maps memory with these flags of VFIO from now on, at first [`READ_WRITE`].
    pub fn map_with(&self, flags: u32) {
        self.relay.map_with(flags);
    }

    /// Returns a region of the device, if it is there.
    pub fn region(&self, index: u32) -> Option<&Region> {
        self.client.region(index)
    }

    /// Reads from a region.
    pub fn region_read(&mut self, region: u32, offset: u64, data: &mut [u8]) -> Result<(), Error> {
        self.ask(|client| client.region_read(region, offset, data))
    }

    /// Writes to a region.
    pub fn region_write(&mut self, region: u32, offset: u64, data: &[u8]) -> Result<(), Error> {
        self.ask(|client| client.region_write(region, offset, data))
    }

    /// Maps a part of a file at a DMA address.
    pub fn dma_map(
        &mut self,
        offset: u64,
        address: u64,
        size: u64,
        file: RawFd,
    ) -> Result<(), Error> {
        self.ask(|client| client.dma_map(offset, address, size, file))
    }

    /// Takes DMA addresses back.
    pub fn dma_unmap(&mut self, address: u64, size: u64) -> Result<(), Error> {
        self.ask(|client| client.dma_unmap(address, size))
    }

    /// Returns facts on the interrupts of a type.
    pub fn get_irq_info(&mut self, index: u32) -> Result<IrqInfo, Error> {
        self.ask(|client| client.get_irq_info(index))
    }

    /// Connects or raises interrupts.
    pub fn set_irqs(
        &mut self,
        index: u32,
        flags: u32,
        start: u32,
        count: u32,
        eventfds: &[RawFd],
    ) -> Result<(), Error> {
        self.ask(|client| client.set_irqs(index, flags, start, count, eventfds))
    }

    /// Resets the device.
    pub fn reset(&mut self) -> Result<(), Error> {
        self.ask(vfio_user::Client::reset)
    }

    /// Ends the connection.
    pub fn shutdown(&self) -> Result<(), Error> {
        Ok(self.client.shutdown()?)
    }
}

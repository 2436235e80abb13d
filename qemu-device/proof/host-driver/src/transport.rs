// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The transport: the client of `vfio_user`, guest memory that it maps for the server, an eventfd.

use crate::memory::{self, map};
use crate::Error;
use ringbar_checked_client::{Client, READ_WRITE};
use ringbar_driver_side::path::{Driver, Transport};
use ringbar_driver_side::{Function, Registers};
use ringbar_mapped::Mapped;
use ringbar_spec::layout::REGISTER_BAR_SIZE;
use ringbar_test_vectors::scene::Rights;
use rustix::event::{eventfd, poll, EventfdFlags, PollFd, PollFlags, Timespec};
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use vfio_bindings::bindings::vfio::{
    VFIO_DMA_MAP_FLAG_READ, VFIO_DMA_MAP_FLAG_WRITE, VFIO_IRQ_SET_ACTION_TRIGGER,
    VFIO_IRQ_SET_DATA_EVENTFD, VFIO_PCI_BAR0_REGION_INDEX, VFIO_PCI_BAR2_REGION_INDEX,
    VFIO_PCI_CONFIG_REGION_INDEX, VFIO_PCI_MSIX_IRQ_INDEX,
};
use vm_memory::{MmapRegion, VolatileMemory};

/// Bytes of the guest's memory.
const SIZE: usize = 4 << 20;
/// DMA address at which the device sees it.
const BASE: u64 = 0x1_0000_0000;
/// Size of the smallest pages of vfio-user, by which the server maps memory.
const PAGE: usize = 4096;
/// Vector of the queue.
const VECTOR: u32 = 1;

/// A driver of a device at the socket of its server.
pub type HostDriver = Driver<Socket>;

/// Connects to a server that listens at `socket`, and brings its device up.
///
/// # Errors
///
/// Fails if the server does not listen or follow the protocol, or the device refuses a command.
pub fn connect(socket: &Path) -> Result<HostDriver, ringbar_driver_side::Error<Error>> {
    Driver::new(Socket::connect(socket)?)
}

/// A connection to the server.
pub struct Socket {
    client: Client,
    /// File of the guest's memory.
    file: File,
    shared: Mapped,
    device_memory: MmapRegion,
    interrupt: File,
}

impl Socket {
    fn connect(socket: &Path) -> Result<Self, Error> {
        let client = Client::new(socket)?;
        let file = memory::file(SIZE)?;
        let registers = region(&client, VFIO_PCI_BAR0_REGION_INDEX)?;
        let mut this = Self {
            shared: Mapped {
                registers: Arc::new(registers),
                memory: Arc::new(map(&file, SIZE)?),
                base: BASE,
            },
            device_memory: region(&client, VFIO_PCI_BAR2_REGION_INDEX)?,
            interrupt: eventfd(0, EventfdFlags::NONBLOCK)
                .map_err(|errno| Error::Memory(errno.into()))?
                .into(),
            file,
            client,
        };
        let file = this.file.as_raw_fd();
        this.client.dma_map(0, BASE, SIZE as u64, file)?;
        Ok(this)
    }

    /// Makes a call of the client of `vfio_user`. Fails if the server refuses it.
    pub fn ask<T>(
        &mut self,
        call: impl FnOnce(&mut vfio_user::Client) -> Result<T, vfio_user::Error>,
    ) -> Result<T, Error> {
        Ok(self.client.ask(call)?)
    }

    /// Ends the connection.
    pub fn hang_up(self) -> Result<(), Error> {
        Ok(self.client.shutdown()?)
    }

    /// Sleeps until the queue's interrupt comes, but no longer than `limit`. Returns whether it
    /// came.
    fn sleep(&mut self, limit: Duration) -> io::Result<bool> {
        let limit = Timespec::try_from(limit).map_err(io::Error::other)?;
        let mut polled = [PollFd::new(&self.interrupt, PollFlags::IN)];
        let came = poll(&mut polled, Some(&limit))? == 1;
        if came {
            self.interrupt.read_exact(&mut [0; 8])?;
        }
        Ok(came)
    }
}

impl Registers for Socket {
    type Error = Error;

    fn read_register(&mut self, offset: usize, bytes: &mut [u8]) -> Result<(), Error> {
        let region = VFIO_PCI_BAR0_REGION_INDEX;
        Ok(self.client.region_read(region, offset as u64, bytes)?)
    }

    fn write_register(&mut self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        let region = VFIO_PCI_BAR0_REGION_INDEX;
        Ok(self.client.region_write(region, offset as u64, bytes)?)
    }
}

impl Function for Socket {
    fn read_config(&mut self, offset: usize, bytes: &mut [u8]) -> Result<(), Error> {
        let region = VFIO_PCI_CONFIG_REGION_INDEX;
        Ok(self.client.region_read(region, offset as u64, bytes)?)
    }

    fn write_config(&mut self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        let region = VFIO_PCI_CONFIG_REGION_INDEX;
        Ok(self.client.region_write(region, offset as u64, bytes)?)
    }
}

impl Transport for Socket {
    type Shared = Mapped;

    fn shared(&self) -> &Mapped {
        &self.shared
    }

    fn memory(&self) -> Range<u64> {
        BASE..BASE + SIZE as u64
    }

    fn device_memory_size(&self) -> usize {
        self.device_memory.size()
    }

    fn read_device_memory(&self, offset: usize, bytes: &mut [u8]) {
        let place = self.device_memory.get_slice(offset, bytes.len());
        place.expect("bytes of the device memory").copy_to(bytes);
    }

    fn write_device_memory(&self, offset: usize, bytes: &[u8]) {
        let place = self.device_memory.get_slice(offset, bytes.len());
        place.expect("bytes of the device memory").copy_from(bytes);
    }

    fn request_interrupts(&mut self) -> Result<(), Error> {
        let event = self.interrupt.as_raw_fd();
        let flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
        let index = VFIO_PCI_MSIX_IRQ_INDEX;
        Ok(self.client.set_irqs(index, flags, VECTOR, 1, &[event])?)
    }

    fn vector(&self) -> u32 {
        VECTOR
    }

    fn wait_interrupt(&mut self, limit: Duration) -> Result<bool, Error> {
        self.sleep(limit).map_err(Error::Memory)
    }

    fn page_size(&self) -> usize {
        PAGE
    }

    fn map(&mut self, address: u64, start: u64, size: usize, rights: Rights) -> Result<(), Error> {
        let file = self.file.as_raw_fd();
        self.client.map_with(flags_of(rights));
        let mapped = self
            .client
            .dma_map(start - BASE, address, size as u64, file);
        self.client.map_with(READ_WRITE);
        Ok(mapped?)
    }

    fn unmap(&mut self, address: u64, size: usize) -> Result<(), Error> {
        Ok(self.client.dma_unmap(address, size as u64)?)
    }
}

/// Returns the flags of a `DMA_MAP` with these rights.
fn flags_of(rights: Rights) -> u32 {
    match rights {
        Rights::Read => VFIO_DMA_MAP_FLAG_READ,
        Rights::Write => VFIO_DMA_MAP_FLAG_WRITE,
        Rights::ReadWrite => READ_WRITE,
    }
}

/// Maps a region of the device. Of BAR 0 only the shared pages have a meaning (data sheet 2).
fn region(client: &Client, index: u32) -> Result<MmapRegion, Error> {
    let region = client.region(index).ok_or(Error::NoFile(index))?;
    let file = region.file_offset.as_ref().ok_or(Error::NoFile(index))?;
    let size = match index {
        VFIO_PCI_BAR0_REGION_INDEX => REGISTER_BAR_SIZE,
        _ => region.size as usize,
    };
    map(file.file(), size)
}

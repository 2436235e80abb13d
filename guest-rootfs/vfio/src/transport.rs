// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The transport: registers, shared pages and device memory mapped by VFIO, memory of the process,
//! and an eventfd per vector.

use crate::space::{failed, fd, file, refused};
use crate::{Error, Space};
use ringbar_client::{page_size, Mapping};
use ringbar_driver_side::path::{Driver, Transport};
use ringbar_driver_side::{barrier, Function, Registers, Shared};
use ringbar_spec::layout::{DOORBELL_PAGES, PAGE_STRIDE, REGISTER_BAR_SIZE};
use ringbar_test_vectors::scene::Rights;
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::fs::{ftruncate, memfd_create, MemfdFlags};
use std::fs::File;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use vfio_bindings::bindings::vfio::{
    VFIO_PCI_BAR0_REGION_INDEX, VFIO_PCI_BAR2_REGION_INDEX, VFIO_PCI_CONFIG_REGION_INDEX,
    VFIO_PCI_MSIX_IRQ_INDEX, VFIO_PCI_MSI_IRQ_INDEX,
};
use vfio_ioctls::VfioDevice;
use vmm_sys_util::eventfd::{EventFd, EFD_NONBLOCK};

/// Size of the driver's memory in bytes.
const SIZE: usize = 4 << 20;
/// Address of that memory for the device.
const BASE: u64 = 0x1_0000_0000;
/// Bytes of registers that are mapped. The kick pages behind them are not.
const REGISTERS: usize = 2 * PAGE_STRIDE;

/// A driver of a device over `vfio-pci`.
pub type VfioDriver = Driver<Vfio>;

/// Opens the device with this folder in sysfs and brings it up. `vfio-pci` must be bound to it.
///
/// # Errors
///
/// Fails if VFIO refuses, the device is another one, or it refuses a command.
pub fn open(space: Space, folder: &Path) -> Result<VfioDriver, ringbar_driver_side::Error<Error>> {
    Driver::new(Vfio::open(space, folder)?)
}

/// An open device, with its regions and the driver's memory mapped.
pub struct Vfio {
    device: VfioDevice,
    registers: Mapping,
    device_memory: Mapping,
    /// Kind of interrupts, as VFIO numbers them.
    kind: u32,
    /// One per vector.
    interrupts: Vec<EventFd>,
    shared: Arc<Pages>,
    // Last: fields drop in order. While the device is open it can access the memory, so the address
    // space must outlive it.
    space: Space,
}

/// Doorbell and status pages, from the first doorbell page on, and memory of the process.
pub struct Pages {
    pages: Mapping,
    memory: Mapping,
}

impl Vfio {
    fn open(space: Space, folder: &Path) -> Result<Self, Error> {
        let device = space.open(folder)?;
        let map = |index, offset: usize, size| {
            let start = device.get_region_offset(index) + offset as u64;
            Mapping::new(file(&device)?, start, size, true).map_err(Error::from)
        };
        let bar2 = device.get_region_size(VFIO_PCI_BAR2_REGION_INDEX) as usize;
        let pages = REGISTER_BAR_SIZE - DOORBELL_PAGES;
        let shared = Pages {
            pages: map(VFIO_PCI_BAR0_REGION_INDEX, DOORBELL_PAGES, pages)?,
            memory: memory(SIZE)?,
        };
        space.map(BASE, &shared.memory, 0..SIZE, Rights::ReadWrite)?;
        // MSI-X if the device has it, otherwise MSI.
        let vectors = |index| device.get_irq_info(index).map_or(0, |it| it.count);
        let kind = match vectors(VFIO_PCI_MSIX_IRQ_INDEX) {
            0 => VFIO_PCI_MSI_IRQ_INDEX,
            _ => VFIO_PCI_MSIX_IRQ_INDEX,
        };
        let event = |_| EventFd::new(EFD_NONBLOCK).map_err(failed("eventfd"));
        Ok(Self {
            registers: map(VFIO_PCI_BAR0_REGION_INDEX, 0, REGISTERS)?,
            device_memory: map(VFIO_PCI_BAR2_REGION_INDEX, 0, bar2)?,
            interrupts: (0..vectors(kind)).map(event).collect::<Result<_, _>>()?,
            kind,
            shared: Arc::new(shared),
            device,
            space,
        })
    }

    /// Returns the device, for calls that this driver does not have.
    pub fn device(&self) -> &VfioDevice {
        &self.device
    }

    /// Returns the device's file, for mappings that this driver does not have.
    pub fn file(&self) -> Result<Arc<File>, Error> {
        file(&self.device)
    }

    /// Returns the eventfd of the queue's vector.
    pub fn interrupt_fd(&self) -> RawFd {
        self.interrupts[self.vector() as usize].as_raw_fd()
    }
}

impl Registers for Vfio {
    type Error = Error;

    fn read_register(&mut self, offset: usize, bytes: &mut [u8]) -> Result<(), Error> {
        match bytes.len() {
            8 => bytes.copy_from_slice(&self.registers.read::<u64>(offset).to_le_bytes()),
            _ => bytes.copy_from_slice(&self.registers.read::<u32>(offset).to_le_bytes()),
        }
        Ok(())
    }

    fn write_register(&mut self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        if offset >= REGISTERS {
            // By a system call.
            let index = VFIO_PCI_BAR0_REGION_INDEX;
            self.device.region_write(index, bytes, offset as u64);
        } else if let Ok(bytes) = bytes.try_into() {
            self.registers.write(offset, u64::from_le_bytes(bytes));
        } else if let Ok(bytes) = bytes.try_into() {
            self.registers.write(offset, u32::from_le_bytes(bytes));
        }
        Ok(())
    }
}

impl Function for Vfio {
    fn read_config(&mut self, offset: usize, bytes: &mut [u8]) -> Result<(), Error> {
        let index = VFIO_PCI_CONFIG_REGION_INDEX;
        self.device.region_read(index, bytes, offset as u64);
        Ok(())
    }

    fn write_config(&mut self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        let index = VFIO_PCI_CONFIG_REGION_INDEX;
        self.device.region_write(index, bytes, offset as u64);
        Ok(())
    }
}

impl Transport for Vfio {
    type Shared = Arc<Pages>;

    fn shared(&self) -> &Arc<Pages> {
        &self.shared
    }

    fn memory(&self) -> Range<u64> {
        BASE..BASE + SIZE as u64
    }

    fn device_memory_size(&self) -> usize {
        self.device_memory.len()
    }

    fn read_device_memory(&self, offset: usize, bytes: &mut [u8]) {
        self.device_memory.read_into(offset, bytes);
    }

    fn write_device_memory(&self, offset: usize, bytes: &[u8]) {
        self.device_memory.write_bytes(offset, bytes);
    }

    fn request_interrupts(&mut self) -> Result<(), Error> {
        let events = self.interrupts.iter().collect();
        Ok(self.device.enable_irq(self.kind, events)?)
    }

    /// Returns vector 1 if there are several, since vector 0 reports errors.
    fn vector(&self) -> u32 {
        u32::from(self.interrupts.len() > 1)
    }

    fn wait_interrupt(&mut self, limit: Duration) -> Result<bool, Error> {
        let event = &self.interrupts[self.vector() as usize];
        let limit = Timespec::try_from(limit).unwrap_or_default();
        let mut polled = [PollFd::from_borrowed_fd(fd(event), PollFlags::IN)];
        let came = poll(&mut polled, Some(&limit)).map_err(refused("poll"))? == 1;
        if came {
            event.read().map_err(failed("read"))?;
        }
        Ok(came)
    }

    fn page_size(&self) -> usize {
        page_size()
    }

    fn map(&mut self, address: u64, start: u64, size: usize, rights: Rights) -> Result<(), Error> {
        let start = offset(start);
        let memory = &self.shared.memory;
        self.space.map(address, memory, start..start + size, rights)
    }

    fn unmap(&mut self, address: u64, size: usize) -> Result<(), Error> {
        self.space.unmap(address, size)
    }
}

impl Shared for Pages {
    fn load(&self, offset: usize) -> u32 {
        let value = self.pages.read(offset - DOORBELL_PAGES);
        // Otherwise an entry could be read before the tail that announces it.
        barrier::acquire();
        value
    }

    fn store(&self, offset: usize, value: u32) {
        // Otherwise the device could see a tail before the entry that it announces.
        barrier::release();
        self.pages.write(offset - DOORBELL_PAGES, value);
    }

    fn read_page(&self, offset: usize, bytes: &mut [u8]) {
        self.pages.read_into(offset - DOORBELL_PAGES, bytes);
    }

    fn write_page(&self, offset: usize, bytes: &[u8]) {
        self.pages.write_bytes(offset - DOORBELL_PAGES, bytes);
    }

    fn read(&self, address: u64, bytes: &mut [u8]) {
        self.memory.read_into(offset(address), bytes);
    }

    fn write(&self, address: u64, bytes: &[u8]) {
        self.memory.write_bytes(offset(address), bytes);
    }
}

/// Returns the offset in the driver's memory of a DMA address.
fn offset(address: u64) -> usize {
    (address - BASE) as usize
}

/// Maps memory of the process. It belongs to a file, so that parts of it can be mapped for the
/// device one by one.
fn memory(size: usize) -> Result<Mapping, Error> {
    let file =
        memfd_create("ringbar-vfio", MemfdFlags::CLOEXEC).map_err(refused("memfd_create"))?;
    ftruncate(file.as_fd(), size as u64).map_err(refused("ftruncate"))?;
    Ok(Mapping::new(Arc::new(File::from(file)), 0, size, true)?)
}

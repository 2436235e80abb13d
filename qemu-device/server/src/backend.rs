// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The transport: vfio-user messages, through the crate `vfio_user`, which only this file knows.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::time::Duration;

use vfio_bindings::bindings::vfio::{
    vfio_region_info, vfio_region_sparse_mmap_area, VFIO_DMA_UNMAP_FLAG_ALL, VFIO_IRQ_INFO_EVENTFD,
    VFIO_PCI_NUM_IRQS, VFIO_REGION_INFO_FLAG_MMAP, VFIO_REGION_INFO_FLAG_READ,
    VFIO_REGION_INFO_FLAG_WRITE,
};
use vfio_user::{
    DmaMapFlags, DmaUnmapFlags, IrqInfo, Server, ServerBackend, ServerRegion, SparseArea,
};

use crate::dma::Rights;
use crate::error::Error;
use crate::regions::Region;
use crate::state::State;
use crate::worker::Worker;

/// Serves the device to the first client that connects, until it is gone. After its last work the
/// device polls for `poll_time` before it sleeps.
pub fn serve(listener: UnixListener, state: State, poll_time: Duration) -> Result<(), Error> {
    let interrupts = (0..VFIO_PCI_NUM_IRQS)
        .map(|index| interrupt_info(&state, index))
        .collect();
    let regions = state
        .regions()
        .iter()
        .map(|region| region_info(region, state.region_file(region.index)))
        .collect();
    let server = Server::from_owned_fd(OwnedFd::from(listener), true, interrupts, regions);
    let mut backend = Backend(Worker::start(state, poll_time)?);
    match server.run(&mut backend) {
        Err(error) if !is_hang_up(&error) => Err(Error::Transport(error.to_string())),
        _ => Ok(()),
    }
}

struct Backend(Worker);

impl ServerBackend for Backend {
    fn region_read(&mut self, region: u32, offset: u64, data: &mut [u8]) -> io::Result<()> {
        Ok(self.0.with(|state| state.read(region, offset, data))?)
    }

    fn region_write(&mut self, region: u32, offset: u64, data: &[u8]) -> io::Result<()> {
        Ok(self.0.with(|state| state.write(region, offset, data))?)
    }

    fn dma_map(
        &mut self,
        flags: DmaMapFlags,
        offset: u64,
        address: u64,
        size: u64,
        file: Option<File>,
    ) -> io::Result<()> {
        let rights = Rights {
            read: flags.contains(DmaMapFlags::READ),
            write: flags.contains(DmaMapFlags::WRITE),
        };
        Ok(self
            .0
            .with(|state| state.dma_map(address, size, rights, file, offset))?)
    }

    fn dma_unmap(&mut self, flags: DmaUnmapFlags, address: u64, size: u64) -> io::Result<()> {
        // The crate's own name for this flag stands for another bit than QEMU sends.
        let all = flags.bits() & VFIO_DMA_UNMAP_FLAG_ALL != 0;
        Ok(self.0.with(|state| state.dma_unmap(address, size, all))?)
    }

    fn reset(&mut self) -> io::Result<()> {
        self.0.with(State::reset);
        Ok(())
    }

    fn set_irqs(
        &mut self,
        index: u32,
        flags: u32,
        start: u32,
        count: u32,
        eventfds: Vec<File>,
    ) -> io::Result<()> {
        Ok(self
            .0
            .with(|state| state.set_interrupts(index, flags, start, count, eventfds))?)
    }
}

fn interrupt_info(state: &State, index: u32) -> IrqInfo {
    let count = state.vectors(index);
    IrqInfo {
        index,
        flags: if count > 0 { VFIO_IRQ_INFO_EVENTFD } else { 0 },
        count: u32::try_from(count).unwrap_or(0),
    }
}

fn region_info(region: &Region, file: Option<&File>) -> ServerRegion {
    let mut flags = 0;
    if region.size > 0 {
        flags |= VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
    }
    if !region.shared.is_empty() {
        flags |= VFIO_REGION_INFO_FLAG_MMAP;
    }
    ServerRegion {
        region_info: vfio_region_info {
            argsz: size_of::<vfio_region_info>() as u32,
            flags,
            index: region.index,
            size: region.size,
            ..Default::default()
        },
        sparse_areas: region
            .shared
            .iter()
            .map(|area| SparseArea {
                area: vfio_region_sparse_mmap_area {
                    offset: area.offset,
                    size: area.size,
                },
            })
            .collect(),
        // The file lives as long as the worker, which outlives the server's loop.
        mmap_fd: file.map(AsRawFd::as_raw_fd),
    }
}

/// Whether the client ended, with or without a message half sent.
fn is_hang_up(error: &vfio_user::Error) -> bool {
    let kind = match error {
        vfio_user::Error::StreamRead(error) | vfio_user::Error::StreamWrite(error) => error.kind(),
        vfio_user::Error::ReceiveWithFd(error) | vfio_user::Error::SendWithFd(error) => {
            io::Error::from_raw_os_error(error.errno()).kind()
        }
        _ => return false,
    };
    matches!(
        kind,
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof
    )
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A small device behind the server of the crate `vfio_user`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixListener;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::Path;
use std::thread;

use rustix::fs::{fcntl_add_seals, ftruncate, memfd_create, MemfdFlags, SealFlags};
use rustix::io::Errno;
use vfio_bindings::bindings::vfio::{
    vfio_region_info, vfio_region_sparse_mmap_area, VFIO_IRQ_INFO_EVENTFD,
    VFIO_PCI_CONFIG_REGION_INDEX, VFIO_PCI_MSIX_IRQ_INDEX, VFIO_PCI_NUM_IRQS, VFIO_PCI_NUM_REGIONS,
    VFIO_REGION_INFO_FLAG_MMAP, VFIO_REGION_INFO_FLAG_READ, VFIO_REGION_INFO_FLAG_WRITE,
};
use vfio_user::{
    DmaMapFlags, DmaUnmapFlags, IrqInfo, Server, ServerBackend, ServerRegion, SparseArea,
};

/// Size of configuration space.
const CONFIG_SIZE: u64 = 256;
/// Size of BAR 0, of which the second page may be mapped.
const BAR_SIZE: u64 = 8192;
/// Number of MSI-X vectors.
const VECTORS: u32 = 4;

/// Serves one client after the other, also after a panic, until the process ends.
pub(crate) fn start(path: &Path) {
    let listener = UnixListener::bind(path).unwrap();
    thread::spawn(move || {
        let file = memory();
        let server = Server::from_owned_fd(OwnedFd::from(listener), true, irqs(), regions(&file));
        loop {
            let mut device = Device::default();
            // The way in which it ends is one of the defects.
            let _ended = catch_unwind(AssertUnwindSafe(|| server.run(&mut device)));
        }
    });
}

/// Makes the memory of BAR 0, which cannot shrink.
fn memory() -> File {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let memory = memfd_create("bar", flags).unwrap();
    ftruncate(&memory, BAR_SIZE).unwrap();
    fcntl_add_seals(&memory, SealFlags::SHRINK).unwrap();
    File::from(memory)
}

fn irqs() -> Vec<IrqInfo> {
    (0..VFIO_PCI_NUM_IRQS)
        .map(|index| IrqInfo {
            index,
            flags: VFIO_IRQ_INFO_EVENTFD,
            count: if index == VFIO_PCI_MSIX_IRQ_INDEX {
                VECTORS
            } else {
                0
            },
        })
        .collect()
}

fn regions(file: &File) -> Vec<ServerRegion> {
    let both = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
    (0..VFIO_PCI_NUM_REGIONS)
        .map(|index| {
            let (flags, size) = match index {
                0 => (both | VFIO_REGION_INFO_FLAG_MMAP, BAR_SIZE),
                VFIO_PCI_CONFIG_REGION_INDEX => (both, CONFIG_SIZE),
                _ => (0, 0),
            };
            let area = vfio_region_sparse_mmap_area {
                offset: 4096,
                size: 4096,
            };
            ServerRegion {
                region_info: vfio_region_info {
                    argsz: 32,
                    flags,
                    index,
                    size,
                    ..Default::default()
                },
                sparse_areas: if index == 0 {
                    vec![SparseArea { area }]
                } else {
                    vec![]
                },
                mmap_fd: (index == 0).then(|| file.as_raw_fd()),
            }
        })
        .collect()
}

/// Has only the parts that its server needs.
#[derive(Default)]
struct Device {
    maps: BTreeMap<u64, u64>,
    eventfds: Vec<File>,
}

impl ServerBackend for Device {
    fn region_read(&mut self, region: u32, offset: u64, data: &mut [u8]) -> io::Result<()> {
        inside(region, offset, data.len())?;
        data.fill(0);
        Ok(())
    }

    fn region_write(&mut self, region: u32, offset: u64, data: &[u8]) -> io::Result<()> {
        inside(region, offset, data.len())
    }

    fn dma_map(
        &mut self,
        _flags: DmaMapFlags,
        _offset: u64,
        address: u64,
        size: u64,
        _file: Option<File>,
    ) -> io::Result<()> {
        let last = size
            .checked_sub(1)
            .and_then(|steps| address.checked_add(steps));
        let last = last.ok_or(Errno::INVAL)?;
        let before = self.maps.range(..=last).next_back();
        if before.is_some_and(|(_, &end)| end >= address) {
            return Err(Errno::EXIST.into());
        }
        self.maps.insert(address, last);
        Ok(())
    }

    fn dma_unmap(&mut self, flags: DmaUnmapFlags, address: u64, size: u64) -> io::Result<()> {
        let all = flags.bits() & 2 != 0;
        let end = address.saturating_add(size);
        self.maps
            .retain(|&first, &mut last| !all && (first < address || last >= end));
        Ok(())
    }

    fn reset(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn set_irqs(
        &mut self,
        _index: u32,
        _flags: u32,
        _start: u32,
        _count: u32,
        eventfds: Vec<File>,
    ) -> io::Result<()> {
        self.eventfds = eventfds;
        Ok(())
    }
}

fn inside(region: u32, offset: u64, length: usize) -> io::Result<()> {
    let size = match region {
        0 => BAR_SIZE,
        VFIO_PCI_CONFIG_REGION_INDEX => CONFIG_SIZE,
        _ => 0,
    };
    match offset.checked_add(length as u64) {
        Some(end) if end <= size => Ok(()),
        _ => Err(Errno::INVAL.into()),
    }
}

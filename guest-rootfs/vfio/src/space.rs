// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Address spaces of a device, by container and group or by iommufd.

#![expect(
    unsafe_code,
    reason = "gives memory to a device, and makes ioctls that vfio-ioctls has no call for"
)]

use crate::Error;
use iommufd_bindings::iommufd::{
    iommu_ioas_map, iommufd_ioas_map_flags_IOMMU_IOAS_MAP_FIXED_IOVA,
    iommufd_ioas_map_flags_IOMMU_IOAS_MAP_READABLE,
    iommufd_ioas_map_flags_IOMMU_IOAS_MAP_WRITEABLE,
};
use iommufd_ioctls::IommuFd;
use ringbar_client::Mapping;
use ringbar_test_vectors::scene::Rights;
use rustix::io::Errno;
use rustix::ioctl::{ioctl, opcode, Opcode, Setter};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;
use vfio_bindings::bindings::vfio::{
    vfio_iommu_type1_dma_map, VFIO_BASE, VFIO_DMA_MAP_FLAG_READ, VFIO_DMA_MAP_FLAG_WRITE, VFIO_TYPE,
};
use vfio_ioctls::{VfioContainer, VfioDevice, VfioIommufd, VfioOps};

/// `VFIO_IOMMU_MAP_DMA`.
const MAP_DMA: Opcode = opcode::none(VFIO_TYPE, VFIO_BASE as u8 + 13);

/// Way in which a process obtains a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `/dev/vfio/vfio` and the node of the device's group, with the IOMMU type 1, version 2.
    Group,
    /// The node of the device itself, and `/dev/iommu`.
    Iommufd,
}

/// An address space of the IOMMU, as the device sees it.
pub struct Space {
    backend: Backend,
}

/// The same address space as VFIO and iommufd know it.
enum Backend {
    Group(Arc<VfioContainer>),
    Iommufd(Arc<VfioIommufd>),
}

impl Space {
    /// Creates an empty address space.
    pub fn new(kind: Kind) -> Result<Self, Error> {
        let backend = match kind {
            Kind::Group => Backend::Group(Arc::new(VfioContainer::new(None)?)),
            Kind::Iommufd => {
                let iommufd = IommuFd::new().map_err(vfio_ioctls::VfioError::NewVfioIommufd)?;
                let iommufd = VfioIommufd::new(Arc::new(iommufd), None, None)?;
                Backend::Iommufd(Arc::new(iommufd))
            }
        };
        Ok(Self { backend })
    }

    /// Opens the device with this folder in sysfs in this address space. `vfio-pci` must be bound
    /// to it.
    pub(crate) fn open(&self, folder: &Path) -> Result<VfioDevice, Error> {
        Ok(VfioDevice::new(folder, self.operations(), true)?)
    }

    /// Lets the device access `range` of `memory` at `address`, in whole pages.
    ///
    /// The caller keeps the mapping of the memory until the address is unmapped. Otherwise the
    /// device accesses pages that the process no longer owns.
    pub(crate) fn map(
        &self,
        address: u64,
        memory: &Mapping,
        range: Range<usize>,
        rights: Rights,
    ) -> Result<(), Error> {
        assert!(
            range.start <= range.end && range.end <= memory.len(),
            "{range:?} leaves the memory"
        );
        let start = memory.as_ptr().wrapping_add(range.start);
        match (&self.backend, rights) {
            (_, Rights::ReadWrite) => {
                // SAFETY: The whole range is mapped, as asserted above. `Mapping` makes no
                // references to it, so the device may write it at any time.
                unsafe { self.operations().vfio_dma_map(address, range.len(), start) }?;
                Ok(())
            }
            (Backend::Group(container), _) => {
                // By hand: `vfio_dma_map` always maps for reading and writing.
                let map = vfio_iommu_type1_dma_map {
                    argsz: size_of::<vfio_iommu_type1_dma_map>() as u32,
                    flags: match rights {
                        Rights::Write => VFIO_DMA_MAP_FLAG_WRITE,
                        _ => VFIO_DMA_MAP_FLAG_READ,
                    },
                    vaddr: start.expose_provenance() as u64,
                    iova: address,
                    size: range.len() as u64,
                };
                // SAFETY: The number belongs to a call that reads such a structure.
                let map = unsafe { Setter::<MAP_DMA, _>::new(map) };
                // SAFETY: The setter holds the structure, which the kernel only reads. The range
                // that it names is mapped, as asserted above, and `Mapping` makes no references to
                // it.
                let done = unsafe { ioctl(fd(&**container), map) };
                done.map_err(refused("VFIO_IOMMU_MAP_DMA"))
            }
            (Backend::Iommufd(space), _) => {
                let right = match rights {
                    Rights::Write => iommufd_ioas_map_flags_IOMMU_IOAS_MAP_WRITEABLE,
                    _ => iommufd_ioas_map_flags_IOMMU_IOAS_MAP_READABLE,
                };
                let map = iommu_ioas_map {
                    size: size_of::<iommu_ioas_map>() as u32,
                    flags: right | iommufd_ioas_map_flags_IOMMU_IOAS_MAP_FIXED_IOVA,
                    ioas_id: space.ioas().id(),
                    __reserved: 0,
                    user_va: start.expose_provenance() as u64,
                    length: range.len() as u64,
                    iova: address,
                };
                let done = space.iommufd().map_iommu_ioas(&map);
                done.map_err(|error| vfio_ioctls::VfioError::IommufdIoctlError(error).into())
            }
        }
    }

    /// Unmaps a range of addresses, which must be mapped without a gap.
    pub(crate) fn unmap(&self, address: u64, size: usize) -> Result<(), Error> {
        Ok(self.operations().vfio_dma_unmap(address, size)?)
    }

    /// Returns the calls that both backends have.
    fn operations(&self) -> Arc<dyn VfioOps> {
        match &self.backend {
            Backend::Group(container) => container.clone(),
            Backend::Iommufd(space) => space.clone(),
        }
    }
}

/// Returns the descriptor of its owner, for calls that `vfio-ioctls` does not have.
pub(crate) fn fd<T: AsRawFd>(owner: &T) -> BorrowedFd<'_> {
    // SAFETY: The result borrows the owner, which therefore cannot close the descriptor.
    unsafe { BorrowedFd::borrow_raw(owner.as_raw_fd()) }
}

/// Returns the device as a file, for mappings.
pub(crate) fn file(device: &VfioDevice) -> Result<Arc<File>, Error> {
    let file = fd(device).try_clone_to_owned().map_err(failed("dup"))?;
    Ok(Arc::new(file.into()))
}

/// Returns a conversion from an error of a call to this crate's error.
pub(crate) fn refused(call: &'static str) -> impl Fn(Errno) -> Error {
    move |errno| Error::Refused { call, errno }
}

/// Returns a conversion from an error of the standard library to this crate's error.
pub(crate) fn failed(call: &'static str) -> impl Fn(io::Error) -> Error {
    move |error| Error::Refused {
        call,
        errno: Errno::from_io_error(&error).unwrap_or(Errno::IO),
    }
}

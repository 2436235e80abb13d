// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Start of each case: the function under test, bound to `vfio-pci`.

use ringbar_tests::{modules, on_debug_kernel, PciFunction, Skip};
use ringbar_vfio::{Kind, Space, Taken, VfioDriver};
use std::fs;
use std::path::Path;

/// Modules that the stock kernel needs for this, in the order of their dependencies. The debug
/// kernel has all of them built in.
const MODULES: [&str; 5] = [
    "irqbypass",
    "vfio",
    "vfio_iommu_type1",
    "vfio-pci-core",
    "vfio-pci",
];

/// Folder of the driver of virtio-iommu, if it is loaded.
const VIRTIO_IOMMU: &str = "/sys/bus/virtio/drivers/virtio_iommu";

/// The function, taken from the kernel's driver. Given back when dropped.
pub(crate) struct Ground {
    taken: Taken,
}

impl Ground {
    /// Takes the function, unless no process can drive a device on this machine.
    pub(crate) fn take() -> Result<Self, Skip> {
        let folder = PciFunction::under_test().folder().to_owned();
        if fs::read_link(folder.join("iommu_group")).is_err() {
            return Err(Skip("the machine has no IOMMU".into()));
        }
        if Path::new(VIRTIO_IOMMU).exists() {
            return Err(Skip(
                "Linux 7.3 refuses interrupts of a process's device behind virtio-iommu (`iommu_dma_prepare_msi`), and QEMU \
                 11.1 refuses this device behind an SMMUv3"
                    .into(),
            ));
        }
        for module in MODULES {
            modules::load(module);
        }
        let taken = Taken::take(&folder).expect("vfio-pci takes the device");
        Ok(Self { taken })
    }

    /// Returns the interface by which this kernel gives a device to a process.
    pub(crate) fn kind() -> Kind {
        if on_debug_kernel() {
            Kind::Iommufd
        } else {
            Kind::Group
        }
    }

    /// Brings the device up, and returns a driver of it.
    pub(crate) fn driver(&self) -> VfioDriver {
        let space = Space::new(Self::kind()).expect("an address space can be made");
        ringbar_vfio::open(space, self.taken.folder()).expect("the device can be driven")
    }

    /// Returns the function's folder in sysfs.
    pub(crate) fn folder(&self) -> &Path {
        self.taken.folder()
    }

    /// Gives the function back. Returns the name of the driver that took it.
    pub(crate) fn give_back(self) -> String {
        self.taken.give_back().expect("a driver takes the device")
    }
}

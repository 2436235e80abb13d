// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The kernel's VFIO selftests drive all devices of the machine behind an IOMMU, with their own driver of
//! the device (`guest-driver/selftests`). Afterwards the kernel's driver has the devices again.

use ringbar_tests::selftest::{machine, Selftest, FOLDER};
use ringbar_tests::{assert_device_works, node, open, run_all, Case, PciFunction, Skip};
use ringbar_vfio::Taken;
use rustix::io::Errno;
use rustix::system::finit_module;
use std::cell::RefCell;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;

/// The programs. Each takes the addresses of devices behind its options.
const PROGRAMS: [&str; 7] = [
    "vfio_dma_mapping_test",
    "vfio_dma_mapping_mmio_test",
    "vfio_iommufd_setup_test",
    "vfio_pci_device_test",
    "vfio_pci_device_init_perf_test",
    "vfio_pci_driver_test",
    "vfio_pci_sriov_uapi_test",
];
/// The only program that takes more than one device.
const FOR_ALL: &str = "vfio_pci_device_init_perf_test";

/// Modules that the stock kernel needs for this, in the order of their dependencies. The debug
/// kernel has all of them built in.
const MODULES: [&str; 6] = [
    "irqbypass",
    "iommufd",
    "vfio",
    "vfio_iommu_type1",
    "vfio-pci-core",
    "vfio-pci",
];
/// Folders with modules. Those of the first are built with iommufd, which Debian's kernel leaves out.
const MODULE_FOLDERS: [&str; 2] = ["/selftests/modules", "/lib/modules"];

/// Settings of the kernel, where it has them. Large pages keep the number of DMA mappings small: the
/// selftests map 1 GiB, and a vfio-user device has at most 65,535 mappings. Huge pages are more than the
/// movable zone has, as a page must leave that before it is pinned.
const SETTINGS: [(&str, &str); 2] = [
    (
        "/sys/kernel/mm/transparent_hugepage/shmem_enabled",
        "always",
    ),
    (
        "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages",
        "48",
    ),
];

/// The devices while `vfio-pci` has them.
type Devices = Rc<RefCell<Vec<Taken>>>;

fn main() -> ExitCode {
    let machine = machine();
    let devices = match take() {
        Ok(devices) => Rc::new(RefCell::new(devices)),
        Err(skip) => return run_all(vec![Case::new("devices_are_judged", || Err::<(), _>(skip))]),
    };
    let addresses: Vec<_> = devices.borrow().iter().map(address).collect();
    let mut cases = Vec::new();
    for program in PROGRAMS {
        let count = if program == FOR_ALL {
            addresses.len()
        } else {
            1
        };
        let test = Selftest::find(program, addresses[..count].to_vec());
        let test = test.expect("all selftests are built together");
        cases.extend(test.cases(program, &machine));
    }
    let taken = Rc::clone(&devices);
    cases.push(Case::new(
        "kernel_driver_works_again_when_the_devices_are_given_back",
        move || give_back(&taken),
    ));
    run_all(cases)
}

/// Takes all devices from the kernel's driver.
fn take() -> Result<Vec<Taken>, Skip> {
    if !Path::new(FOLDER).exists() {
        let reason = "this guest has no selftests: TESTS=vfio_selftests brings them";
        return Err(Skip(reason.into()));
    }
    let functions = (0..).take_while(|number| Path::new(&node(*number)).exists());
    let folders: Vec<PathBuf> = functions
        .map(|number| PciFunction::of(number).folder().to_owned())
        .collect();
    if !folders
        .iter()
        .all(|folder| folder.join("iommu_group").exists())
    {
        return Err(Skip("the machine has no IOMMU".into()));
    }
    for module in MODULES {
        load(module);
    }
    for (file, value) in SETTINGS.iter().filter(|(file, _)| Path::new(file).exists()) {
        fs::write(file, value).expect("the kernel takes the setting");
    }
    let taken = folders.iter().map(|folder| Taken::take(folder));
    Ok(taken
        .map(|taken| taken.expect("vfio-pci takes the device"))
        .collect())
}

/// Loads a module, if the guest has it.
fn load(module: &str) {
    let paths = MODULE_FOLDERS.map(|folder| format!("{folder}/{module}.ko"));
    let Some((file, path)) = paths
        .iter()
        .find_map(|path| Some((File::open(path).ok()?, path)))
    else {
        return;
    };
    match finit_module(&file, c"", 0) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => panic!("cannot load {path}: {errno}"),
    }
}

/// Returns the PCI address of a device.
fn address(device: &Taken) -> String {
    let name = device.folder().file_name().expect("a function has a name");
    name.to_string_lossy().into_owned()
}

fn give_back(devices: &Devices) {
    for device in devices.take() {
        let driver = device.give_back().expect("a driver takes the device");
        assert_eq!(driver, "ringbar");
    }
    assert_device_works(&open());
}

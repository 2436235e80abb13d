// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Handover of a PCI function from the kernel's driver to `vfio-pci` and back.

use crate::Error;
use std::fs;
use std::path::{Path, PathBuf};

const VFIO_DRIVER: &str = "vfio-pci";
const PROBE: &str = "/sys/bus/pci/drivers_probe";

/// A PCI function bound to `vfio-pci`. Dropping it returns the function to the kernel's driver.
#[derive(Debug)]
pub struct Taken {
    folder: PathBuf,
    given_back: bool,
}

impl Taken {
    /// Binds `vfio-pci` to the function with this folder in sysfs. The module `vfio-pci` must be
    /// loaded.
    pub fn take(folder: &Path) -> Result<Self, Error> {
        let taken = Self {
            folder: folder.to_owned(),
            given_back: false,
        };
        taken.bind(VFIO_DRIVER)?;
        match taken.driver() {
            Some(driver) if driver == VFIO_DRIVER => Ok(taken),
            other => Err(Error::WrongDriver(other)),
        }
    }

    /// Returns the function's folder in sysfs.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the function to the kernel's driver, and returns the name of the driver that is then
    /// bound.
    pub fn give_back(mut self) -> Result<String, Error> {
        self.given_back = true;
        // An empty line removes the override. Otherwise only `vfio-pci` could bind again.
        self.bind("\n")?;
        match self.driver() {
            Some(driver) if driver != VFIO_DRIVER => Ok(driver),
            other => Err(Error::WrongDriver(other)),
        }
    }

    /// Unbinds the present driver, then lets the kernel bind one. Only the driver `name` may bind,
    /// if `name` is not an empty line.
    fn bind(&self, name: &str) -> Result<(), Error> {
        let function = self.folder.file_name().unwrap_or_default();
        let function = function.as_encoded_bytes();
        write(&self.folder.join("driver_override"), name.as_bytes())?;
        if self.driver().is_some() {
            write(&self.folder.join("driver/unbind"), function)?;
        }
        write(Path::new(PROBE), function)
    }

    /// Returns the name of the driver that is bound.
    fn driver(&self) -> Option<String> {
        let link = fs::read_link(self.folder.join("driver")).ok()?;
        Some(link.file_name()?.to_string_lossy().into_owned())
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        // Otherwise an error on the way leaves the device without its driver for all later
        // programs.
        if !self.given_back {
            // A destructor cannot report an error. The next program fails when it opens the node.
            let _not_given_back = self.bind("\n");
        }
    }
}

/// Writes to a file of sysfs.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    fs::write(path, bytes).map_err(|source| Error::Handover {
        path: path.to_owned(),
        source,
    })
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! From the kernel's driver to `vfio-pci` and back.

use crate::Error;
use std::fs;
use std::path::{Path, PathBuf};

const VFIO_DRIVER: &str = "vfio-pci";
const PROBE: &str = "/sys/bus/pci/drivers_probe";

/// A PCI function that `vfio-pci` has. Given back to the kernel's driver when dropped.
#[derive(Debug)]
pub struct Taken {
    folder: PathBuf,
    given_back: bool,
}

impl Taken {
    /// Takes the function with this folder in sysfs. `vfio-pci` must be there.
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

    /// The function's folder in sysfs.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Gives the function back, and says which driver took it.
    pub fn give_back(mut self) -> Result<String, Error> {
        self.given_back = true;
        // A line without a name takes the override away.
        self.bind("\n")?;
        match self.driver() {
            Some(driver) if driver != VFIO_DRIVER => Ok(driver),
            other => Err(Error::WrongDriver(other)),
        }
    }

    /// Takes the driver off and has the kernel look for one, `name` alone if that is one.
    fn bind(&self, name: &str) -> Result<(), Error> {
        let function = self.folder.file_name().unwrap_or_default();
        let function = function.as_encoded_bytes();
        write(&self.folder.join("driver_override"), name.as_bytes())?;
        if self.driver().is_some() {
            write(&self.folder.join("driver/unbind"), function)?;
        }
        write(Path::new(PROBE), function)
    }

    fn driver(&self) -> Option<String> {
        let link = fs::read_link(self.folder.join("driver")).ok()?;
        Some(link.file_name()?.to_string_lossy().into_owned())
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if !self.given_back {
            // Nobody is left to tell.
            let _not_given_back = self.bind("\n");
        }
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    fs::write(path, bytes).map_err(|source| Error::Handover {
        path: path.to_owned(),
        source,
    })
}

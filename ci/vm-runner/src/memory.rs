// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Size and backend of the guest's memory.

use std::ffi::OsString;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use clap::ValueEnum;

use crate::machine::doubled_commas;

/// QEMU's backend of the guest's memory. Each is a file that QEMU shares with the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Backend {
    /// A file in memory that cannot shrink.
    Memfd,
    /// A file in memory that can shrink.
    Shm,
    /// A file in the folder of the logs.
    File,
}

impl Backend {
    /// Returns the value of QEMU's `-object` for it. `folder` is that of the logs.
    pub(crate) fn object(self, size: MemorySize, folder: &Path) -> OsString {
        let mut object = OsString::from(match self {
            Self::Memfd => "memory-backend-memfd",
            Self::Shm => "memory-backend-shm",
            Self::File => "memory-backend-file,mem-path=",
        });
        if self == Self::File {
            // Of a folder QEMU makes a file there and removes its name.
            object.push(doubled_commas(folder));
        }
        object.push(format!(",id=memory,size={size},share=on"));
        object
    }
}

/// An amount of memory in MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MemorySize(u32);

impl MemorySize {
    /// Returns the amount in MiB.
    pub(crate) fn mib(self) -> u32 {
        self.0
    }
}

impl FromStr for MemorySize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let size = match text.strip_suffix('G') {
            Some(number) => number.parse().ok().and_then(|n: u32| n.checked_mul(1024)),
            None => text.strip_suffix('M').and_then(|n| n.parse().ok()),
        };
        match size {
            Some(size) if size >= 128 => Ok(Self(size)),
            Some(_) => Err("the guest needs at least 128M".to_owned()),
            None => Err("write a number with M or G after it, as in 512M".to_owned()),
        }
    }
}

impl fmt::Display for MemorySize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}M", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_in_megabytes_and_gigabytes() {
        assert_eq!("512M".parse(), Ok(MemorySize(512)));
        assert_eq!("2G".parse(), Ok(MemorySize(2048)));
    }

    #[test]
    fn memory_without_a_unit_is_refused() {
        assert!("512".parse::<MemorySize>().is_err());
    }

    #[test]
    fn memory_that_overflows_is_refused() {
        assert!("4294967295G".parse::<MemorySize>().is_err());
    }

    #[test]
    fn each_backend_is_shared() {
        let size = "512M".parse().unwrap();

        let objects = [Backend::Memfd, Backend::Shm, Backend::File]
            .map(|backend| backend.object(size, Path::new("/a,b")));

        assert_eq!(
            objects,
            [
                "memory-backend-memfd,id=memory,size=512M,share=on",
                "memory-backend-shm,id=memory,size=512M,share=on",
                "memory-backend-file,mem-path=/a,,b,id=memory,size=512M,share=on",
            ]
        );
    }
}

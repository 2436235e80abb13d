#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# vfio_user 0.1.7 (crates.io, rust-vmm): `Client::resettable` returns false for a device that says in
# DEVICE_GET_INFO that it can be reset, and true for one that says that it cannot. The crate's own
# server sends the flag as it is told; its client compares the masked flag with `!=`. Expected: the
# value that the server was made with.
# shellcheck source=findings/lib.sh
source "$(dirname "$(realpath "$0")")/lib.sh"

found=$(rust_program 'vfio_user = "=0.1.7"' <<'END'
use std::fs::File;
use std::io::{Error, Result};
use std::path::Path;
use vfio_user::{Client, DmaMapFlags, DmaUnmapFlags, Server, ServerBackend};

/// A device that has nothing and answers nothing.
struct Empty;

impl ServerBackend for Empty {
    fn region_read(&mut self, _: u32, _: u64, _: &mut [u8]) -> Result<()> {
        Err(Error::from_raw_os_error(22))
    }
    fn region_write(&mut self, _: u32, _: u64, _: &[u8]) -> Result<()> {
        Err(Error::from_raw_os_error(22))
    }
    fn dma_map(&mut self, _: DmaMapFlags, _: u64, _: u64, _: u64, _: Option<File>) -> Result<()> {
        Ok(())
    }
    fn dma_unmap(&mut self, _: DmaUnmapFlags, _: u64, _: u64) -> Result<()> {
        Ok(())
    }
    fn reset(&mut self) -> Result<()> {
        Ok(())
    }
    fn set_irqs(&mut self, _: u32, _: u32, _: u32, _: u32, _: Vec<File>) -> Result<()> {
        Ok(())
    }
}

fn main() {
    for resettable in [true, false] {
        let name = format!("socket-{resettable}");
        let path = Path::new(&name);
        let server = Server::new(path, resettable, Vec::new(), Vec::new()).unwrap();
        std::thread::spawn(move || server.run(&mut Empty));
        println!("{resettable} {}", Client::new(path).unwrap().resettable());
    }
}
END
)
seen 'server made resettable, client says' 'true false' "$(sed -n 1p <<<"$found")"
seen 'server made not resettable, client says' 'false true' "$(sed -n 2p <<<"$found")"
finish

#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# vfio_user 0.1.7 (crates.io, rust-vmm): `Client::dma_map`, `set_irqs`, `reset` and `region_write`
# read the reply and do not look at its error flag. A request that the server refuses returns Ok.
# Here the crate's own server refuses the first three. Expected: an error.
#
# What it means for a test: one that drives a server by this client cannot fail on a refusal.
# shellcheck source=findings/lib.sh
source "$(dirname "$(realpath "$0")")/lib.sh"

found=$(rust_program 'vfio_user = "=0.1.7"' <<'END'
use std::fs::File;
use std::io::{Error, Result};
use std::path::Path;
use vfio_user::{Client, DmaMapFlags, DmaUnmapFlags, Server, ServerBackend};

/// A device that refuses all requests.
struct Refuses;

fn refusal<T>() -> Result<T> {
    Err(Error::from_raw_os_error(28))
}

impl ServerBackend for Refuses {
    fn region_read(&mut self, _: u32, _: u64, _: &mut [u8]) -> Result<()> {
        refusal()
    }
    fn region_write(&mut self, _: u32, _: u64, _: &[u8]) -> Result<()> {
        refusal()
    }
    fn dma_map(&mut self, _: DmaMapFlags, _: u64, _: u64, _: u64, _: Option<File>) -> Result<()> {
        refusal()
    }
    fn dma_unmap(&mut self, _: DmaUnmapFlags, _: u64, _: u64) -> Result<()> {
        refusal()
    }
    fn reset(&mut self) -> Result<()> {
        refusal()
    }
    fn set_irqs(&mut self, _: u32, _: u32, _: u32, _: u32, _: Vec<File>) -> Result<()> {
        refusal()
    }
}

fn main() {
    let path = Path::new("socket");
    let irqs = vec![vfio_user::IrqInfo { index: 0, flags: 1, count: 1 }];
    let server = Server::new(path, true, irqs, Vec::new()).unwrap();
    std::thread::spawn(move || server.run(&mut Refuses));
    let mut client = Client::new(path).unwrap();
    let memory = File::open("/dev/zero").unwrap();
    println!("dma_map {}", client.dma_map(0, 0x1000, 0x1000, std::os::fd::AsRawFd::as_raw_fd(&memory)).is_ok());
    println!("set_irqs {}", client.set_irqs(0, 1 | 1 << 5, 0, 0, &[]).is_ok());
    println!("reset {}", client.reset().is_ok());
}
END
)
seen 'refused requests that returned Ok' 'dma_map true set_irqs true reset true' "$(paste -sd ' ' <<<"$found")"
finish

#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# vfio_user 0.1.7 (crates.io, rust-vmm): where a device's backend refuses a request with an error
# number, the server's reply has the error flag and number 0. Only its own EINVAL has a number. The
# client cannot tell "no space" from "not permitted". A raw client sends DEVICE_RESET (a header of 16
# bytes) and reads the reply here. Expected: the backend's number, 28 (ENOSPC).
# shellcheck source=findings/lib.sh
source "$(dirname "$(realpath "$0")")/lib.sh"

found=$(rust_program 'vfio_user = "=0.1.7"' <<'END'
use std::fs::File;
use std::io::{Error, Read, Result, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use vfio_user::{DmaMapFlags, DmaUnmapFlags, Server, ServerBackend};

/// A device whose reset fails with ENOSPC.
struct Full;

impl ServerBackend for Full {
    fn region_read(&mut self, _: u32, _: u64, _: &mut [u8]) -> Result<()> {
        Ok(())
    }
    fn region_write(&mut self, _: u32, _: u64, _: &[u8]) -> Result<()> {
        Ok(())
    }
    fn dma_map(&mut self, _: DmaMapFlags, _: u64, _: u64, _: u64, _: Option<File>) -> Result<()> {
        Ok(())
    }
    fn dma_unmap(&mut self, _: DmaUnmapFlags, _: u64, _: u64) -> Result<()> {
        Ok(())
    }
    fn reset(&mut self) -> Result<()> {
        Err(Error::from_raw_os_error(28))
    }
    fn set_irqs(&mut self, _: u32, _: u32, _: u32, _: u32, _: Vec<File>) -> Result<()> {
        Ok(())
    }
}

/// Sends a message of the 16 bytes of header, and `body`, and returns the reply's flags and number.
fn exchange(stream: &mut UnixStream, command: u16, body: &[u8]) -> (u32, u32) {
    let mut message = Vec::from([1u16.to_le_bytes(), command.to_le_bytes()].concat());
    message.extend_from_slice(&(16 + body.len() as u32).to_le_bytes());
    message.extend_from_slice(&[0; 8]);
    message.extend_from_slice(body);
    stream.write_all(&message).unwrap();
    let mut header = [0; 16];
    stream.read_exact(&mut header).unwrap();
    let word = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().unwrap());
    let mut rest = vec![0; word(4) as usize - 16];
    stream.read_exact(&mut rest).unwrap();
    (word(8), word(12))
}

fn main() {
    let path = Path::new("socket");
    let server = Server::new(path, true, Vec::new(), Vec::new()).unwrap();
    std::thread::spawn(move || server.run(&mut Full));
    let mut stream = UnixStream::connect(path).unwrap();
    exchange(&mut stream, 1, b"\0\0\x01\0{\"capabilities\":{}}\0");
    let (flags, number) = exchange(&mut stream, 13, b"");
    println!("flags {flags:#x} number {number}");
}
END
)
seen 'reply to a refused reset' 'flags 0x21 number 0' "$found"
finish

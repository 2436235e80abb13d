// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Well-formed requests, for cases to send or to spoil.

use std::os::fd::OwnedFd;

use rustix::event::{eventfd, EventfdFlags};
use rustix::fs::{fcntl_add_seals, ftruncate, memfd_create, MemfdFlags, SealFlags};

use crate::outcome::{local, Outcome};
use crate::wire::{command, Request};

/// Version data of QEMU 11.1.
pub(crate) const QEMU_VERSION: &str = concat!(
    r#"{"capabilities":{"migration":{"pgsize":4096,"max_bitmap_size":268435456},"#,
    r#""max_msg_fds":16,"max_data_xfer_size":1048576,"pgsizes":4096,"max_dma_maps":65535,"#,
    r#""write_multiple":true}}"#
);

/// Size of a DMA_MAP payload.
pub(crate) const DMA_MAP_SIZE: u32 = 32;
/// Size of a DMA_UNMAP payload.
pub(crate) const DMA_UNMAP_SIZE: u32 = 24;
/// Size of a GET_INFO payload.
pub(crate) const INFO_SIZE: u32 = 16;
/// Size of a GET_REGION_INFO payload without capabilities.
pub(crate) const REGION_INFO_SIZE: u32 = 32;
/// Size of a GET_IRQ_INFO payload.
pub(crate) const IRQ_INFO_SIZE: u32 = 16;
/// Size of a SET_IRQS payload without data.
pub(crate) const SET_IRQS_SIZE: u32 = 20;

/// The device may read and write the memory.
pub(crate) const READ_WRITE: u32 = 3;

/// Makes VERSION 0.0 with `json` and its NUL.
pub(crate) fn version(json: &str) -> Request {
    version_bytes(0, 0, json.as_bytes()).bytes(&[0])
}

/// Makes VERSION with any numbers and any data.
pub(crate) fn version_bytes(major: u16, minor: u16, data: &[u8]) -> Request {
    Request::new(command::VERSION)
        .u16(major)
        .u16(minor)
        .bytes(data)
}

/// Makes DEVICE_GET_INFO.
pub(crate) fn get_info() -> Request {
    Request::new(command::GET_INFO)
        .u32(INFO_SIZE)
        .length(INFO_SIZE as usize)
}

/// Makes DEVICE_GET_REGION_INFO with room for `argsz` bytes in the reply.
pub(crate) fn get_region_info(index: u32, argsz: u32) -> Request {
    Request::new(command::GET_REGION_INFO)
        .u32(argsz)
        .u32(0)
        .u32(index)
        .length(REGION_INFO_SIZE as usize)
}

/// Makes DEVICE_GET_IRQ_INFO.
pub(crate) fn get_irq_info(index: u32) -> Request {
    Request::new(command::GET_IRQ_INFO)
        .u32(IRQ_INFO_SIZE)
        .u32(0)
        .u32(index)
        .u32(0)
}

/// Makes DEVICE_SET_IRQS without data. Its `argsz` is right until data is appended.
pub(crate) fn set_irqs(index: u32, flags: u32, start: u32, count: u32) -> Request {
    Request::new(command::SET_IRQS)
        .u32(SET_IRQS_SIZE)
        .u32(flags)
        .u32(index)
        .u32(start)
        .u32(count)
}

/// Makes DEVICE_SET_IRQS with an array of booleans.
pub(crate) fn set_irqs_bool(
    index: u32,
    flags: u32,
    start: u32,
    count: u32,
    chosen: &[u8],
) -> Request {
    let data = u32::try_from(chosen.len()).unwrap_or(0);
    set_irqs(index, flags, start, count)
        .bytes(chosen)
        .with_u32(0, SET_IRQS_SIZE.saturating_add(data))
}

/// Makes DMA_MAP of memory that the device may read and write, without a file.
pub(crate) fn dma_map(address: u64, size: u64) -> Request {
    dma_map_raw(READ_WRITE, 0, address, size)
}

/// Makes DMA_MAP with all fields.
pub(crate) fn dma_map_raw(flags: u32, offset: u64, address: u64, size: u64) -> Request {
    Request::new(command::DMA_MAP)
        .u32(DMA_MAP_SIZE)
        .u32(flags)
        .u64(offset)
        .u64(address)
        .u64(size)
}

/// Makes DMA_UNMAP.
pub(crate) fn dma_unmap(flags: u32, address: u64, size: u64) -> Request {
    Request::new(command::DMA_UNMAP)
        .u32(DMA_UNMAP_SIZE)
        .u32(flags)
        .u64(address)
        .u64(size)
}

/// Makes REGION_READ.
pub(crate) fn read(region: u32, offset: u64, count: u32) -> Request {
    Request::new(command::REGION_READ)
        .u64(offset)
        .u32(region)
        .u32(count)
}

/// Makes REGION_WRITE of `data`.
pub(crate) fn write(region: u32, offset: u64, data: &[u8]) -> Request {
    let count = u32::try_from(data.len()).unwrap_or(u32::MAX);
    write_counting(region, offset, count, data)
}

/// Makes REGION_WRITE that claims to carry `count` bytes.
pub(crate) fn write_counting(region: u32, offset: u64, count: u32, data: &[u8]) -> Request {
    Request::new(command::REGION_WRITE)
        .u64(offset)
        .u32(region)
        .u32(count)
        .bytes(data)
}

/// One write of a REGION_WRITE_MULTI.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Write {
    /// Region.
    pub(crate) region: u32,
    /// Offset in the region.
    pub(crate) offset: u64,
    /// Number of bytes.
    pub(crate) count: u32,
    /// The bytes, lowest first.
    pub(crate) data: u64,
}

/// Makes REGION_WRITE_MULTI that claims to carry `count` writes.
pub(crate) fn write_multi(count: u64, writes: &[Write]) -> Request {
    let start = Request::new(command::REGION_WRITE_MULTI).u64(count);
    writes.iter().fold(start, |request, write| {
        request
            .u64(write.offset)
            .u32(write.region)
            .u32(write.count)
            .u64(write.data)
    })
}

/// Makes DEVICE_RESET.
pub(crate) fn reset() -> Request {
    Request::new(command::RESET)
}

/// Makes DEVICE_FEATURE.
pub(crate) fn feature(flags: u32) -> Request {
    Request::new(command::FEATURE).u32(8).u32(flags)
}

/// Makes DEVICE_GET_REGION_IO_FDS.
pub(crate) fn region_io_fds(index: u32) -> Request {
    Request::new(command::GET_REGION_IO_FDS)
        .u32(4096)
        .u32(0)
        .u32(index)
        .u32(0)
}

/// Makes a file of `size` bytes in memory, sealed like QEMU's.
pub(crate) fn memory(size: u64) -> Outcome<OwnedFd> {
    let file = unsealed_memory(size)?;
    let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    local(fcntl_add_seals(&file, seals), "sealing a file")?;
    Ok(file)
}

/// Makes a file of `size` bytes in memory that the client can still truncate.
pub(crate) fn unsealed_memory(size: u64) -> Outcome<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = local(memfd_create("conformance", flags), "memfd_create")?;
    local(ftruncate(&file, size), "ftruncate")?;
    Ok(file)
}

/// Makes an eventfd.
pub(crate) fn event() -> Outcome<OwnedFd> {
    let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
    local(eventfd(0, flags), "eventfd")
}

/// Makes a second descriptor of the same file.
pub(crate) fn duplicate(fd: &OwnedFd) -> Outcome<OwnedFd> {
    local(fd.try_clone(), "dup")
}

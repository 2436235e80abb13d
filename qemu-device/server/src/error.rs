// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What can go wrong in the server.

use std::io;
use std::path::PathBuf;

/// Why the server does not start, ends, or refuses a request of the client.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Somebody holds the socket.
    #[error("{} is in use: stop the server that listens there or choose another --socket", .0.display())]
    SocketInUse(PathBuf),
    /// The socket's path is taken by something else.
    #[error("{} exists and is not a socket: remove it or choose another --socket", .0.display())]
    NotASocket(PathBuf),
    /// The socket cannot be made.
    #[error("cannot listen on {}: {source}; is the folder there and writable, and the path at most 107 bytes?", path.display())]
    Listen {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The device does not exist in this shape.
    #[error("device: {0}")]
    Device(#[from] ringbar_model::ConfigError),
    /// The system refuses memory.
    #[error("cannot make {size} bytes of memory for {name}: {source}")]
    Memory {
        /// What for.
        name: &'static str,
        /// How much.
        size: usize,
        /// Why.
        source: io::Error,
    },
    /// The system refuses a thread or a signal handler.
    #[error("cannot start {name}: {source}")]
    Start {
        /// What was to start.
        name: &'static str,
        /// Why.
        source: io::Error,
    },
    /// No client can connect any more.
    #[error("cannot accept a client: {0}")]
    Accept(io::Error),
    /// A file of a region cannot be shared.
    #[error("cannot share the memory of a region: {0}")]
    RegionFile(io::Error),
    /// The client was dropped.
    #[error("connection lost: {0}")]
    Lost(#[from] ringbar_endpoint::Lost),

    /// An access leaves its region.
    #[error("access of {length} bytes at {offset:#x} leaves region {region} of {size:#x} bytes")]
    OutsideRegion {
        /// Region index of VFIO.
        region: u32,
        /// First byte of the access.
        offset: u64,
        /// Length of the access.
        length: usize,
        /// Size of the region, 0 if there is none.
        size: u64,
    },
    /// A range of DMA addresses is empty or passes 2^64.
    #[error("{size:#x} bytes at DMA address {address:#x}: empty, or beyond the end of the address space")]
    DmaRange {
        /// First DMA address.
        address: u64,
        /// Length.
        size: u64,
    },
    /// A range of DMA addresses is mapped already, in part at least.
    #[error("{size:#x} bytes at DMA address {address:#x} overlap the mapping at {other:#x}: unmap it first")]
    DmaOverlap {
        /// First DMA address.
        address: u64,
        /// Length.
        size: u64,
        /// First DMA address of the mapping that is there.
        other: u64,
    },
    /// The file is shorter than the range to map.
    #[error("{size:#x} bytes at {offset:#x} of a memory file leave its {file_size:#x} bytes")]
    DmaFile {
        /// First byte in the file.
        offset: u64,
        /// Length.
        size: u64,
        /// Length of the file.
        file_size: u64,
    },
    /// The file cannot be mapped.
    #[error("cannot map a memory file: {0}")]
    DmaMap(io::Error),
    /// Too many mappings.
    #[error("{0} DMA mappings are the limit: unmap some first")]
    DmaMappings(usize),
    /// All mappings can only be removed with address and size 0.
    #[error("unmapping everything takes address and size 0, not {address:#x} and {size:#x}")]
    DmaUnmapAll {
        /// Address in the request.
        address: u64,
        /// Size in the request.
        size: u64,
    },
    /// No such interrupts.
    #[error("interrupts {start} to {start}+{count} of type {index}: the device has {limit}")]
    Interrupts {
        /// Interrupt index of VFIO.
        index: u32,
        /// First vector.
        start: u32,
        /// Number of vectors.
        count: u32,
        /// Vectors that there are.
        limit: usize,
    },
    /// An interrupt request that has no meaning here.
    #[error("interrupt request with flags {flags:#x}, {count} vectors and {fds} eventfds has no meaning for this device")]
    InterruptRequest {
        /// Flags of `VFIO_DEVICE_SET_IRQS`.
        flags: u32,
        /// Number of vectors.
        count: u32,
        /// Number of eventfds that came along.
        fds: usize,
    },
}

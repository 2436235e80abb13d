// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Errors that prevent a run. Failures that a run finds are `verdict::Failure`s.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Reason for which a run could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// An input file cannot be read.
    #[error("{what} {} cannot be read: {source}; check the path", path.display())]
    Input {
        what: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// A file of this host cannot be given to the guest.
    #[error("a file for the guest: {0}")]
    GuestFile(#[from] ringbar_initramfs::Error),
    /// A program cannot be started.
    #[error("{what} {} cannot be started: {source}; {hint}", program.display())]
    Start {
        what: &'static str,
        program: PathBuf,
        source: io::Error,
        hint: &'static str,
    },
    /// A file or folder of the run cannot be created, read or written.
    #[error("{} cannot be {action}: {source}; check rights and free space", path.display())]
    File {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// The path of a socket exceeds the kernel's limit.
    #[error(
        "the socket path {} has {length} bytes, the limit is {limit}; \
         set TMPDIR to a folder with a shorter name", path.display()
    )]
    SocketPath {
        path: PathBuf,
        length: usize,
        limit: usize,
    },
    /// The device server ended before it was ready.
    #[error(
        "the device server {} ended with {end} before it was ready; \
         its output is above, its command: {command}", program.display()
    )]
    ServerEnded {
        program: PathBuf,
        end: String,
        command: String,
    },
    /// The device server did not report that it is ready.
    #[error(
        "the device server {} did not print \"listening on\" within {} s; \
         a server prints it as soon as QEMU may connect; its command: {command}",
        program.display(), limit.as_secs()
    )]
    ServerSilent {
        program: PathBuf,
        limit: Duration,
        command: String,
    },
    /// KVM is required but runs no guest.
    #[error("KVM was asked for, but {reason}; use --accel tcg or --accel auto")]
    Kvm { reason: String },
    /// QEMU's monitor sent an unexpected line.
    #[error("{reason}; is this the QEMU that ci/versions.env names?")]
    Monitor { reason: String },
    /// Init reported addresses of the module that are none.
    #[error(
        "the guest reports {line:?} as the sections of the module; \
         is the initramfs as old as this runner?"
    )]
    Sections { line: String },
    /// QEMU wrote no device tree that can be changed.
    #[error(
        "QEMU wrote no device tree with `dma-coherent` to {}; qemu.log in the logs may say why; \
         only the machine of arm64 has one: leave out --non-coherent for others", path.display()
    )]
    DeviceTree { path: PathBuf },
    /// A timed boot did not end as it should.
    #[error("the boot failed: {reason}; console.log in the logs may say why")]
    Boot { reason: String },
    /// A signal ended the runner.
    #[error("interrupted by signal {signal}")]
    Interrupted { signal: i32 },
    /// The operating system refused an operation that normally works.
    #[error("{action} failed: {source}")]
    System {
        action: &'static str,
        source: io::Error,
    },
}

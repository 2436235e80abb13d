// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Time of a trapped read: this server against that of the crate `vfio_user`, which was in use
//! before, with the same device behind both. `ci/cargo.sh bench -p ringbar-server`.
//!
//! Both are measured by turns, so that other load of the machine meets both alike. The result is
//! the ratio of each pair.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use ringbar_endpoint::Endpoint;
use ringbar_server::events::Events;
use ringbar_server::ringbar::{self, Ringbar};
use ringbar_server::{Options, Server};
use ringbar_spec::ids::IDENT;
use ringbar_vfio_user::Device as _;
use vfio_bindings::bindings::vfio::{
    vfio_region_info, VFIO_PCI_NUM_IRQS, VFIO_REGION_INFO_FLAG_READ, VFIO_REGION_INFO_FLAG_WRITE,
};
use vfio_user::{Client, DmaMapFlags, DmaUnmapFlags, IrqInfo, ServerBackend, ServerRegion};

/// Number of pairs of measurements; odd, so that one is in the middle.
const PAIRS: usize = 31;
/// Number of reads per measurement.
const READS: u32 = 2000;

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut ours = client_of_ours(&folder.path().join("ours"));
    let mut theirs = client_of_the_crates(&folder.path().join("crate"));
    let mut pairs: Vec<(Duration, Duration)> = (0..PAIRS)
        .map(|number| match number % 2 {
            0 => (measure(&mut ours), measure(&mut theirs)),
            _ => {
                let theirs = measure(&mut theirs);
                (measure(&mut ours), theirs)
            }
        })
        .collect();
    let mut ratios: Vec<f64> = pairs
        .iter()
        .map(|(ours, theirs)| ours.as_secs_f64() / theirs.as_secs_f64())
        .collect();
    ratios.sort_by(f64::total_cmp);
    let middle = PAIRS / 2;
    let (low, high) = (ratios[PAIRS / 4], ratios[PAIRS - 1 - PAIRS / 4]);
    println!(
        "ratio ours / crate's: median {:.3}, half of {PAIRS} pairs from {low:.3} to {high:.3}",
        ratios[middle]
    );
    pairs.sort();
    let ours = pairs[middle].0;
    pairs.sort_by_key(|pair| pair.1);
    println!(
        "median of a read: ours {ours:.1?}, the crate's {:.1?}",
        pairs[middle].1
    );
}

/// Returns the mean time of a read.
fn measure(client: &mut Client) -> Duration {
    let start = Instant::now();
    for _ in 0..READS {
        let mut data = [0; 4];
        client.region_read(0, 0, &mut data).expect("an answer");
        assert_eq!(u32::from_le_bytes(data), IDENT);
    }
    start.elapsed() / READS
}

fn client_of_ours(socket: &Path) -> Client {
    let server = Server::bind(&Options::new(socket)).expect("a socket");
    thread::spawn(move || server.run());
    Client::new(socket).expect("a client")
}

fn client_of_the_crates(socket: &Path) -> Client {
    let listener = OwnedFd::from(UnixListener::bind(socket).expect("a socket"));
    let device = ringbar::endpoint(&Options::new(socket), Events::default());
    let device = device.expect("a device");
    let both = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
    let regions = (0..)
        .zip(device.regions())
        .map(|(index, region)| ServerRegion {
            region_info: vfio_region_info {
                argsz: 32,
                flags: both,
                index,
                size: region.size,
                ..Default::default()
            },
            sparse_areas: Vec::new(),
            mmap_fd: None,
        })
        .collect();
    let irqs = (0..VFIO_PCI_NUM_IRQS)
        .map(|index| IrqInfo {
            index,
            flags: 0,
            count: 0,
        })
        .collect();
    let server = vfio_user::Server::from_owned_fd(listener, true, irqs, regions);
    thread::spawn(move || server.run(&mut Before(Mutex::new(device))));
    Client::new(socket).expect("a client")
}

/// The device behind the crate's server, under a lock as behind this one.
struct Before(Mutex<Endpoint<Ringbar>>);

impl ServerBackend for Before {
    fn region_read(&mut self, region: u32, offset: u64, data: &mut [u8]) -> io::Result<()> {
        self.0
            .lock()
            .read(region, offset, data)
            .map_err(io::Error::from)
    }

    fn region_write(&mut self, region: u32, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0
            .lock()
            .write(region, offset, data)
            .map_err(io::Error::from)
    }

    fn dma_map(
        &mut self,
        _flags: DmaMapFlags,
        _offset: u64,
        _address: u64,
        _size: u64,
        _file: Option<File>,
    ) -> io::Result<()> {
        Ok(())
    }

    fn dma_unmap(&mut self, _flags: DmaUnmapFlags, _address: u64, _size: u64) -> io::Result<()> {
        Ok(())
    }

    fn reset(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn set_irqs(
        &mut self,
        _index: u32,
        _flags: u32,
        _start: u32,
        _count: u32,
        _eventfds: Vec<File>,
    ) -> io::Result<()> {
        Ok(())
    }
}

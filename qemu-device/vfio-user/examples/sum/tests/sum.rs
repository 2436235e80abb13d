// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The device over a real socket, with the client of the crate `vfio_user` in QEMU's place.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixListener;
use std::thread::{self, JoinHandle};

use ringbar_endpoint::config_space::{
    COMMAND, COMMAND_BUS_MASTER, COMMAND_MEMORY, DEVICE_CONTROL, FUNCTION_RESET,
};
use ringbar_endpoint::{Connection, Lost};
use ringbar_example_sum::Sum;
use rustix::event::{eventfd, EventfdFlags};
use rustix::fs::{fcntl_add_seals, ftruncate, memfd_create, MemfdFlags, SealFlags};
use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_DATA_EVENTFD, VFIO_PCI_CONFIG_REGION_INDEX,
    VFIO_PCI_MSI_IRQ_INDEX,
};
use vfio_user::Client;

const CONFIG: u32 = VFIO_PCI_CONFIG_REGION_INDEX;
const BASE: u64 = 0x1_0000_0000;
const SIZE: u64 = 4 << 20;

struct Guest {
    client: Client,
    memory: File,
    interrupt: File,
    server: JoinHandle<Result<(), Lost>>,
}

impl Guest {
    /// Memory is mapped, the interrupt connected, bus mastering on.
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let server = thread::spawn(move || {
            let (socket, _) = listener.accept().unwrap();
            Connection::new(socket).serve(&mut Sum::endpoint().unwrap())
        });
        let mut client = Client::new(&path).unwrap();
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let memory = File::from(memfd_create("guest", flags).unwrap());
        ftruncate(&memory, SIZE).unwrap();
        // The device reaches no memory that could vanish.
        fcntl_add_seals(&memory, SealFlags::SHRINK).unwrap();
        client.dma_map(0, BASE, SIZE, memory.as_raw_fd()).unwrap();
        let interrupt = File::from(eventfd(0, EventfdFlags::NONBLOCK).unwrap());
        let flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
        client
            .set_irqs(
                VFIO_PCI_MSI_IRQ_INDEX,
                flags,
                0,
                1,
                &[interrupt.as_raw_fd()],
            )
            .unwrap();
        let mut guest = Self {
            client,
            memory,
            interrupt,
            server,
        };
        guest.put_config(COMMAND, COMMAND_BUS_MASTER);
        guest
    }

    fn put_config(&mut self, offset: usize, value: u16) {
        self.client
            .region_write(CONFIG, offset as u64, &value.to_le_bytes())
            .unwrap();
    }

    fn get(&mut self, offset: u64) -> u32 {
        let mut bytes = [0; 4];
        self.client.region_read(0, offset, &mut bytes).unwrap();
        u32::from_le_bytes(bytes)
    }

    /// Adds up; answers status and sum.
    fn add_up(&mut self, address: u64, length: u32) -> (u32, u32) {
        for (offset, value) in [
            (0x00, address as u32),
            (0x04, (address >> 32) as u32),
            (0x08, length),
            (0x0c, 1),
        ] {
            self.client
                .region_write(0, offset, &value.to_le_bytes())
                .unwrap();
        }
        (self.get(0x14), self.get(0x10))
    }

    fn interrupts(&self) -> u64 {
        let mut count = [0; 8];
        match (&self.interrupt).read_exact(&mut count) {
            Ok(()) => u64::from_ne_bytes(count),
            Err(_) => 0,
        }
    }
}

#[test]
fn bytes_are_added_up_and_the_interrupt_comes() {
    let mut guest = Guest::start();
    guest.memory.write_all_at(&[1; 10_000], 0x1005).unwrap();

    assert_eq!(guest.add_up(BASE + 0x1000, 0x4000), (1, 10_000));
    assert_eq!(guest.interrupts(), 1);
}

#[test]
fn memory_never_mapped_is_not_reached() {
    let mut guest = Guest::start();

    assert_eq!(guest.add_up(BASE + SIZE - 8, 9), (2, 0));
    assert_eq!(guest.add_up(0, 1), (2, 0));
    assert_eq!(guest.add_up(u64::MAX, 4), (2, 0));
}

#[test]
fn unmapped_memory_is_no_longer_reached() {
    let mut guest = Guest::start();
    assert_eq!(guest.add_up(BASE, 1), (1, 0));

    guest.client.dma_unmap(BASE, SIZE).unwrap();

    assert_eq!(guest.add_up(BASE, 1), (2, 0));
}

#[test]
fn nothing_is_reached_or_raised_without_bus_mastering() {
    let mut guest = Guest::start();
    guest.put_config(COMMAND, 0);

    assert_eq!(guest.add_up(BASE, 1), (2, 0));
    assert_eq!(guest.interrupts(), 0);
}

#[test]
fn length_over_the_limit_is_refused() {
    let mut guest = Guest::start();

    assert_eq!(guest.add_up(BASE, 1 << 20), (1, 0));
    assert_eq!(guest.add_up(BASE, (1 << 20) + 1), (3, 0));
}

#[test]
fn function_reset_clears_the_registers_and_bus_mastering() {
    let mut guest = Guest::start();
    assert_eq!(guest.add_up(BASE, 8), (1, 0));

    guest.put_config(DEVICE_CONTROL, FUNCTION_RESET);
    guest.put_config(COMMAND, COMMAND_MEMORY);

    assert_eq!(
        [0x00, 0x04, 0x08, 0x10, 0x14].map(|at| guest.get(at)),
        [0; 5]
    );
    assert_eq!(guest.add_up(BASE, 8), (2, 0));
}

#[test]
fn system_reset_clears_the_registers() {
    let mut guest = Guest::start();
    assert_eq!(guest.add_up(BASE, 8), (1, 0));

    guest.client.reset().unwrap();

    assert_eq!(guest.get(0x14), 0);
}

#[test]
fn access_of_another_width_reads_0_and_changes_nothing() {
    let mut guest = Guest::start();
    guest.add_up(BASE, 8);

    let mut data = [0xff; 8];
    guest.client.region_read(0, 0x08, &mut data).unwrap();
    guest.client.region_write(0, 0x08, &[1, 2]).unwrap();

    assert_eq!((data, guest.get(0x08)), ([0; 8], 8));
}

#[test]
fn client_that_goes_ends_the_server() {
    let Guest { client, server, .. } = Guest::start();

    drop(client);

    assert!(server.join().unwrap().is_ok());
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Regions, interrupts and set-ups at the socket: they are those of the data sheet, and refused
//! requests do the device no harm.

mod common;

use common::with_client;
use ringbar_driver_side::path::Transport;
use ringbar_driver_side::Error as Failure;
use ringbar_host_driver::{Error, HostDriver};
use ringbar_spec::error::ErrorCode;
use ringbar_spec::ring::{Descriptor, Status};
use ringbar_test_vectors::scene::{Backing, Part, Rights};
use ringbar_test_vectors::{dma::DmaPath, Path, BATCH};
use rustix::io::Errno;
use std::fs::File;
use std::os::fd::{AsRawFd, RawFd};
use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_SET_ACTION_MASK, VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_DATA_EVENTFD,
    VFIO_IRQ_SET_DATA_NONE, VFIO_PCI_ERR_IRQ_INDEX, VFIO_PCI_INTX_IRQ_INDEX,
    VFIO_PCI_MSIX_IRQ_INDEX, VFIO_PCI_MSI_IRQ_INDEX, VFIO_PCI_NUM_IRQS, VFIO_PCI_NUM_REGIONS,
    VFIO_PCI_REQ_IRQ_INDEX, VFIO_REGION_INFO_FLAG_MMAP, VFIO_REGION_INFO_FLAG_READ,
    VFIO_REGION_INFO_FLAG_WRITE,
};

/// Vectors of the device: one per queue and one more (data sheet 1).
const VECTORS: u32 = 9;

/// Asserts that a batch is carried out, and that its interrupt comes.
#[track_caller]
fn assert_alive(client: &mut HostDriver) {
    let done = client.run(&[Descriptor::default(); BATCH]).unwrap();
    assert!(done.iter().all(|it| it.status == Status::OK.0), "{done:?}");
}

#[track_caller]
fn assert_refused<T>(answer: Result<T, Error>, errno: Errno, what: &str) {
    match answer {
        Err(Error::Client(ringbar_checked_client::Error::Refused(is))) => {
            assert_eq!(is, errno, "{what}")
        }
        Err(error) => panic!("{what}: {error}"),
        Ok(_) => panic!("{what} is not refused"),
    }
}

/// Returns the size of a region, and its parts that can be mapped.
fn region(client: &mut HostDriver, index: u32) -> (u64, Vec<(u64, u64)>) {
    let info = client.transport().ask(|client| {
        let region = client.region(index).unwrap();
        let mut flags = 0;
        if region.size != 0 {
            flags |= VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
        }
        if region.file_offset.is_some() {
            flags |= VFIO_REGION_INFO_FLAG_MMAP;
        }
        let basic = flags
            | VFIO_REGION_INFO_FLAG_READ
            | VFIO_REGION_INFO_FLAG_WRITE
            | VFIO_REGION_INFO_FLAG_MMAP;
        assert_eq!(region.flags & basic, flags, "region {index}");
        let areas = region.sparse_areas.iter();
        let areas = areas.map(|area| (area.offset, area.size)).collect();
        Ok((region.size, areas))
    });
    info.unwrap()
}

#[test]
fn regions_are_those_of_the_data_sheet() {
    const MIB: u64 = 1 << 20;
    const PAGE: u64 = 64 << 10;
    with_client(|client| {
        for index in 0..VFIO_PCI_NUM_REGIONS {
            let must = match index {
                // Report, doorbell and status pages.
                0 => (16 * MIB, vec![(8 * MIB - PAGE, 8 * MIB + PAGE)]),
                2 => (16 * MIB, vec![(0, 16 * MIB)]),
                4 => (64 << 10, vec![]),
                7 => (4096, vec![]),
                _ => (0, vec![]),
            };
            assert_eq!(region(client, index), must, "region {index}");
        }
    });
}

#[test]
fn accesses_outside_of_a_region_are_refused() {
    with_client(|client| {
        for (region, offset) in [
            (0, 0x100_0000),
            (0, 0xff_fffe),
            (0, u64::MAX - 1),
            (1, 0),
            (2, 0xff_fffe),
            (4, 64 << 10),
            (6, 0),
            (7, 4096),
            (7, 4094),
            (8, 0),
            (VFIO_PCI_NUM_REGIONS, 0),
            (u32::MAX, 0),
        ] {
            let what = format!("region {region}, {offset:#x}");
            let read = client
                .transport()
                .ask(|client| client.region_read(region, offset, &mut [0; 4]));
            assert_refused(read, Errno::INVAL, &what);
            let written = client
                .transport()
                .ask(|client| client.region_write(region, offset, &[0; 4]));
            assert_refused(written, Errno::INVAL, &what);
        }
        assert_alive(client);
    });
}

#[test]
fn interrupts_are_those_of_the_data_sheet() {
    with_client(|client| {
        let msix = client
            .transport()
            .ask(|client| client.get_irq_info(VFIO_PCI_MSIX_IRQ_INDEX));
        assert_eq!(msix.unwrap().count, VECTORS);
        for index in [
            VFIO_PCI_INTX_IRQ_INDEX,
            VFIO_PCI_MSI_IRQ_INDEX,
            VFIO_PCI_ERR_IRQ_INDEX,
            VFIO_PCI_REQ_IRQ_INDEX,
        ] {
            // A kind that the device does not have is refused, or has a count of 0.
            match client.transport().ask(|client| client.get_irq_info(index)) {
                Ok(info) => assert_eq!(info.count, 0, "kind {index}"),
                other => assert_refused(other, Errno::INVAL, &format!("kind {index}")),
            }
        }
        for index in [VFIO_PCI_NUM_IRQS, u32::MAX] {
            let info = client.transport().ask(|client| client.get_irq_info(index));
            assert_refused(info, Errno::INVAL, &format!("kind {index}"));
        }
    });
}

#[test]
fn bad_interrupt_requests_are_refused_and_leave_interrupts_alone() {
    const TRIGGER: u32 = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
    const NONE: u32 = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER;
    const MSIX: u32 = VFIO_PCI_MSIX_IRQ_INDEX;
    with_client(|client| {
        let event = rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC).unwrap();
        let null = File::open("/dev/null").unwrap();
        let (event, null) = (event.as_raw_fd(), null.as_raw_fd());
        let one: &[RawFd] = &[event];
        for (what, index, flags, start, count, fds) in [
            ("no such kind", VFIO_PCI_NUM_IRQS, TRIGGER, 0, 1, one),
            ("MSI", VFIO_PCI_MSI_IRQ_INDEX, TRIGGER, 0, 1, one),
            ("INTx", VFIO_PCI_INTX_IRQ_INDEX, TRIGGER, 0, 1, one),
            ("start behind the last", MSIX, TRIGGER, VECTORS, 1, one),
            ("one too many", MSIX, TRIGGER, VECTORS - 1, 2, &[event; 2]),
            ("wraps around", MSIX, TRIGGER, u32::MAX, 2, &[event; 2]),
            ("more than descriptors", MSIX, TRIGGER, 0, 3, one),
            ("fewer than descriptors", MSIX, TRIGGER, 0, 1, &[event; 2]),
            ("no eventfd", MSIX, TRIGGER, 1, 2, &[event, null]),
            (
                "two actions",
                MSIX,
                TRIGGER | VFIO_IRQ_SET_ACTION_MASK,
                0,
                1,
                one,
            ),
            ("no action", MSIX, VFIO_IRQ_SET_DATA_EVENTFD, 0, 1, one),
            ("none, not from the first", MSIX, NONE, VECTORS, 0, &[]),
        ] {
            let set = client
                .transport()
                .ask(|client| client.set_irqs(index, flags, start, count, fds));
            assert_refused(set, Errno::INVAL, what);
            assert_alive(client);
        }
    });
}

#[test]
fn interrupts_that_are_set_up_twice_still_come() {
    with_client(|client| {
        for _ in 0..3 {
            client.transport().request_interrupts().unwrap();
            assert_alive(client);
        }
    });
}

#[test]
fn active_parts_cannot_be_set_up_again() {
    with_client(|client| {
        client.memory(Backing::Guest, 4096).unwrap();
        let part = Part {
            memory: 0,
            range: 0..4096,
        };
        client.map(0, &part, Rights::ReadWrite).unwrap();

        let again = match client.map(0, &part, Rights::ReadWrite) {
            Err(Failure::Transport(error)) => Err(error),
            other => panic!("a second mapping is made: {other:?}"),
        };
        assert_refused::<()>(again, Errno::EXIST, "a second mapping");
        match client.start_queue() {
            Err(Failure::Refused { code, .. }) => assert_eq!(code, ErrorCode::QUEUE_RUNS),
            other => panic!("a queue that runs is started: {other:?}"),
        }

        assert_alive(client);
    });
}

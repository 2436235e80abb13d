// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Connecting vectors to eventfds, and raising them.

use std::fs::File;
use std::io::{ErrorKind, Read};

use ringbar_server::interrupts::Interrupts;
use ringbar_server::options::InterruptKind;
use ringbar_server::Error;
use rustix::event::{eventfd, EventfdFlags};
use rustix::fs::{fcntl_getfl, OFlags};
use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_SET_ACTION_MASK, VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_DATA_EVENTFD,
    VFIO_IRQ_SET_DATA_NONE, VFIO_PCI_INTX_IRQ_INDEX, VFIO_PCI_MSIX_IRQ_INDEX,
    VFIO_PCI_MSI_IRQ_INDEX,
};

const MSIX: u32 = VFIO_PCI_MSIX_IRQ_INDEX;
const CONNECT: u32 = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
const TRIGGER: u32 = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER;

fn new_eventfd() -> File {
    File::from(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC).unwrap())
}

/// How often the eventfd was signalled since the last look.
fn taken(eventfd: &File) -> u64 {
    let mut count = [0; 8];
    let mut reader = eventfd;
    match reader.read_exact(&mut count) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
        result => {
            result.unwrap();
            u64::from_ne_bytes(count)
        }
    }
}

/// Four MSI-X vectors, all connected.
fn connected() -> (Interrupts, Vec<File>) {
    let mut interrupts = Interrupts::new(InterruptKind::Msix, 4);
    let eventfds: Vec<File> = (0..4).map(|_| new_eventfd()).collect();
    let theirs = eventfds
        .iter()
        .map(|eventfd| eventfd.try_clone().unwrap())
        .collect();
    interrupts.set(MSIX, CONNECT, 0, 4, theirs).unwrap();
    (interrupts, eventfds)
}

fn raised_counts(interrupts: &mut Interrupts, eventfds: &[File]) -> Vec<u64> {
    (0..4).for_each(|vector| interrupts.raise(vector));
    eventfds.iter().map(taken).collect()
}

#[test]
fn raised_vector_signals_its_eventfd_only() {
    let (mut interrupts, eventfds) = connected();

    interrupts.raise(2);

    let counts: Vec<u64> = eventfds.iter().map(taken).collect();
    assert_eq!(counts, [0, 0, 1, 0]);
}

#[test]
fn vector_without_eventfd_or_beyond_the_last_is_dropped() {
    let mut interrupts = Interrupts::new(InterruptKind::Msix, 1);

    interrupts.raise(0);
    interrupts.raise(1);
    interrupts.raise(usize::MAX);
}

#[test]
fn eventfds_are_connected_from_start_on() {
    let mut interrupts = Interrupts::new(InterruptKind::Msix, 4);
    let eventfd = new_eventfd();
    let theirs = vec![eventfd.try_clone().unwrap()];

    interrupts.set(MSIX, CONNECT, 3, 1, theirs).unwrap();
    interrupts.raise(3);

    assert_eq!(taken(&eventfd), 1);
}

#[test]
fn request_without_eventfds_disconnects_its_vectors() {
    let (mut interrupts, eventfds) = connected();

    interrupts.set(MSIX, CONNECT, 1, 2, vec![]).unwrap();

    assert_eq!(raised_counts(&mut interrupts, &eventfds), [1, 0, 0, 1]);
}

#[test]
fn request_for_no_vectors_disconnects_all() {
    let (mut interrupts, eventfds) = connected();

    interrupts.set(MSIX, TRIGGER, 0, 0, vec![]).unwrap();

    assert_eq!(raised_counts(&mut interrupts, &eventfds), [0; 4]);
}

#[test]
fn disconnecting_another_type_changes_nothing() {
    let (mut interrupts, eventfds) = connected();

    interrupts
        .set(VFIO_PCI_INTX_IRQ_INDEX, TRIGGER, 0, 0, vec![])
        .unwrap();

    assert_eq!(raised_counts(&mut interrupts, &eventfds), [1; 4]);
}

#[test]
fn client_raises_vectors_itself() {
    let (mut interrupts, eventfds) = connected();

    interrupts.set(MSIX, TRIGGER, 1, 1, vec![]).unwrap();

    assert_eq!(taken(&eventfds[1]), 1);
}

#[test]
fn vectors_beyond_the_last_are_refused() {
    let (mut interrupts, eventfds) = connected();

    let results = [(4, 1), (0, 5), (u32::MAX, u32::MAX)]
        .map(|(start, count)| interrupts.set(MSIX, CONNECT, start, count, vec![]));

    assert!(results
        .iter()
        .all(|result| matches!(result, Err(Error::Interrupts { limit: 4, .. }))));
    assert_eq!(raised_counts(&mut interrupts, &eventfds), [1; 4]);
}

#[test]
fn type_that_the_device_does_not_have_is_refused() {
    let (mut interrupts, _eventfds) = connected();

    let result = interrupts.set(VFIO_PCI_MSI_IRQ_INDEX, CONNECT, 0, 1, vec![new_eventfd()]);

    assert!(matches!(result, Err(Error::Interrupts { limit: 0, .. })));
}

#[test]
fn number_of_eventfds_must_fit() {
    let (mut interrupts, _eventfds) = connected();

    let result = interrupts.set(MSIX, CONNECT, 0, 2, vec![new_eventfd()]);

    assert!(matches!(
        result,
        Err(Error::InterruptRequest { fds: 1, .. })
    ));
}

#[test]
fn masking_is_refused() {
    let (mut interrupts, _eventfds) = connected();
    let flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_MASK;

    let result = interrupts.set(MSIX, flags, 0, 1, vec![]);

    assert!(matches!(result, Err(Error::InterruptRequest { .. })));
}

#[test]
fn connected_eventfd_cannot_block_the_device() {
    let mut interrupts = Interrupts::new(InterruptKind::Msix, 1);
    let blocking = File::from(eventfd(0, EventfdFlags::CLOEXEC).unwrap());
    let theirs = vec![blocking.try_clone().unwrap()];

    interrupts.set(MSIX, CONNECT, 0, 1, theirs).unwrap();

    assert!(fcntl_getfl(&blocking).unwrap().contains(OFlags::NONBLOCK));
}

#[test]
fn each_kind_counts_its_vectors_under_its_index() {
    let msix = Interrupts::new(InterruptKind::Msix, 5);
    let msi = Interrupts::new(InterruptKind::Msi, 8);

    assert_eq!(
        (msix.count(MSIX), msix.count(VFIO_PCI_MSI_IRQ_INDEX)),
        (5, 0)
    );
    assert_eq!((msi.count(MSIX), msi.count(VFIO_PCI_MSI_IRQ_INDEX)), (0, 8));
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Connecting vectors to eventfds, and raising them.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use ringbar_endpoint::interrupts::Vectors;
use ringbar_vfio_user::device::{Action, Data, SetInterrupts};
use ringbar_vfio_user::Errno;
use rustix::event::{eventfd, EventfdFlags};
use rustix::fs::{fcntl_getfl, fcntl_setfl, OFlags};
use vfio_bindings::bindings::vfio::{
    VFIO_PCI_INTX_IRQ_INDEX, VFIO_PCI_MSIX_IRQ_INDEX, VFIO_PCI_MSI_IRQ_INDEX,
};

const MSIX: u32 = VFIO_PCI_MSIX_IRQ_INDEX;

/// Makes a request to trigger.
fn trigger(index: u32, start: u32, count: u32, data: Data<OwnedFd>) -> SetInterrupts<OwnedFd> {
    SetInterrupts {
        index,
        start,
        count,
        action: Action::Trigger,
        data,
    }
}

fn new_eventfd() -> File {
    File::from(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC).unwrap())
}

/// Returns how often the eventfd was signalled since the last call.
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

/// Makes four MSI-X vectors, all connected.
fn connected() -> (Vectors, Vec<File>) {
    let mut interrupts = Vectors::new(MSIX, 4);
    let eventfds: Vec<File> = (0..4).map(|_| new_eventfd()).collect();
    let theirs = eventfds
        .iter()
        .map(|eventfd| eventfd.try_clone().unwrap().into())
        .collect();
    interrupts
        .set(trigger(MSIX, 0, 4, Data::Connect(theirs)))
        .unwrap();
    (interrupts, eventfds)
}

fn raised_counts(interrupts: &mut Vectors, eventfds: &[File]) -> Vec<u64> {
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
    let mut interrupts = Vectors::new(MSIX, 1);

    interrupts.raise(0);
    interrupts.raise(1);
    interrupts.raise(usize::MAX);
}

/// Returns the eventfd that is connected to a vector.
fn connect(interrupts: &mut Vectors, index: u32, vector: u32) -> File {
    let eventfd = new_eventfd();
    let theirs = vec![eventfd.try_clone().unwrap().into()];
    let request = trigger(index, vector, 1, Data::Connect(theirs));
    interrupts.set(request).unwrap();
    eventfd
}

fn pending(interrupts: &Vectors, offset: usize) -> [u8; 2] {
    let mut bytes = [0xee; 2];
    interrupts.read_pending(offset, &mut bytes);
    bytes
}

#[test]
fn vector_that_was_raised_before_its_eventfd_came_is_raised_then_once() {
    let mut interrupts = Vectors::new(MSIX, 20);
    interrupts.set_msix(true);
    for vector in [9, 9, 19] {
        interrupts.raise(vector);
    }
    assert_eq!(
        (pending(&interrupts, 0), pending(&interrupts, 2)),
        ([0, 2], [8, 0])
    );
    // QEMU disconnects all vectors before it connects more of them.
    let disable = trigger(MSIX, 0, 0, Data::DisableAll);
    interrupts.set(disable).unwrap();

    let eventfd = connect(&mut interrupts, MSIX, 9);

    assert_eq!(taken(&eventfd), 1);
    assert_eq!(
        (pending(&interrupts, 0), pending(&interrupts, 2)),
        ([0, 0], [8, 0])
    );
}

#[test]
fn nothing_is_pending_while_msix_is_off() {
    let mut interrupts = Vectors::new(MSIX, 2);

    interrupts.raise(0);
    interrupts.set_msix(true);
    interrupts.raise(1);
    assert_eq!(pending(&interrupts, 0), [2, 0]);
    interrupts.set_msix(false);

    assert_eq!(pending(&interrupts, 0), [0, 0]);
    let counts = [0, 1].map(|vector| taken(&connect(&mut interrupts, MSIX, vector)));
    assert_eq!(counts, [0, 0]);
}

#[test]
fn vector_of_msi_is_never_pending() {
    let mut interrupts = Vectors::new(VFIO_PCI_MSI_IRQ_INDEX, 1);
    interrupts.set_msix(true);

    interrupts.raise(0);

    let eventfd = connect(&mut interrupts, VFIO_PCI_MSI_IRQ_INDEX, 0);
    assert_eq!((pending(&interrupts, 0), taken(&eventfd)), ([0, 0], 0));
}

#[test]
fn eventfds_are_connected_from_start_on() {
    let mut interrupts = Vectors::new(MSIX, 4);
    let eventfd = new_eventfd();
    let theirs = vec![eventfd.try_clone().unwrap().into()];

    interrupts
        .set(trigger(MSIX, 3, 1, Data::Connect(theirs)))
        .unwrap();
    interrupts.raise(3);

    assert_eq!(taken(&eventfd), 1);
}

#[test]
fn request_without_eventfds_disconnects_its_vectors() {
    let (mut interrupts, eventfds) = connected();

    interrupts
        .set(trigger(MSIX, 1, 2, Data::Disconnect))
        .unwrap();

    assert_eq!(raised_counts(&mut interrupts, &eventfds), [1, 0, 0, 1]);
}

#[test]
fn request_for_no_vectors_disconnects_all() {
    let (mut interrupts, eventfds) = connected();

    interrupts
        .set(trigger(MSIX, 0, 0, Data::DisableAll))
        .unwrap();

    assert_eq!(raised_counts(&mut interrupts, &eventfds), [0; 4]);
}

#[test]
fn disconnecting_another_type_changes_nothing() {
    let (mut interrupts, eventfds) = connected();

    interrupts
        .set(trigger(VFIO_PCI_INTX_IRQ_INDEX, 0, 0, Data::DisableAll))
        .unwrap();

    assert_eq!(raised_counts(&mut interrupts, &eventfds), [1; 4]);
}

#[test]
fn client_raises_vectors_itself() {
    let (mut interrupts, eventfds) = connected();

    interrupts.set(trigger(MSIX, 1, 1, Data::Each)).unwrap();
    let chosen = Data::Chosen(vec![true, false, true]);
    interrupts.set(trigger(MSIX, 1, 3, chosen)).unwrap();

    let counts: Vec<u64> = eventfds.iter().map(taken).collect();
    assert_eq!(counts, [0, 2, 0, 1]);
}

#[test]
fn vectors_beyond_the_last_are_refused() {
    let (mut interrupts, eventfds) = connected();

    for (start, count) in [(4, 1), (0, 5), (u32::MAX, u32::MAX)] {
        let result = interrupts.set(trigger(MSIX, start, count, Data::Disconnect));
        assert_eq!(result, Err(Errno::INVAL));
    }
    assert_eq!(raised_counts(&mut interrupts, &eventfds), [1; 4]);
}

#[test]
fn missing_type_is_refused() {
    let (mut interrupts, _eventfds) = connected();
    let connect = Data::Connect(vec![new_eventfd().into()]);

    let result = interrupts.set(trigger(VFIO_PCI_MSI_IRQ_INDEX, 0, 1, connect));

    assert_eq!(result, Err(Errno::INVAL));
}

#[test]
fn masking_is_refused() {
    let (mut interrupts, _eventfds) = connected();
    let mask = SetInterrupts {
        action: Action::Mask,
        ..trigger(MSIX, 0, 1, Data::Each)
    };

    assert_eq!(interrupts.set(mask), Err(Errno::INVAL));
}

#[test]
fn connected_eventfd_cannot_block_the_device() {
    let mut interrupts = Vectors::new(MSIX, 1);
    let blocking = File::from(eventfd(0, EventfdFlags::CLOEXEC).unwrap());
    let theirs = vec![blocking.try_clone().unwrap().into()];

    interrupts
        .set(trigger(MSIX, 0, 1, Data::Connect(theirs)))
        .unwrap();

    assert!(fcntl_getfl(&blocking).unwrap().contains(OFlags::NONBLOCK));
}

#[test]
fn eventfd_made_blocking_and_full_after_it_was_connected_does_not_stop_the_device() {
    let (mut interrupts, eventfds) = connected();
    let mut full = &eventfds[0];
    full.write_all(&(u64::MAX - 1).to_ne_bytes()).unwrap();
    let flags = fcntl_getfl(full).unwrap();
    fcntl_setfl(full, flags - OFlags::NONBLOCK).unwrap();
    let (sender, raised) = channel();

    // The thread sleeps for ever if the device can be stopped.
    thread::spawn(move || {
        (0..4).for_each(|vector| interrupts.raise(vector));
        sender.send(()).unwrap();
    });

    raised.recv_timeout(Duration::from_secs(60)).unwrap();
    let counts: Vec<u64> = eventfds.iter().map(taken).collect();
    assert_eq!(counts, [u64::MAX - 1, 1, 1, 1]);
}

#[test]
fn descriptors_other_than_eventfds_are_refused_and_connect_nothing() {
    let (mut interrupts, eventfds) = connected();
    let (_reader, writer) = std::io::pipe().unwrap();
    let file = File::open("/proc/self/exe").unwrap();
    let (socket, _other) = std::os::unix::net::UnixStream::pair().unwrap();

    for other in [writer.into(), file.into(), socket.into()] {
        let connect = Data::Connect(vec![new_eventfd().into(), other]);
        let result = interrupts.set(trigger(MSIX, 0, 2, connect));
        assert_eq!(result, Err(Errno::INVAL));
    }

    assert_eq!(raised_counts(&mut interrupts, &eventfds), [1; 4]);
}

#[test]
fn vectors_are_the_only_interrupts() {
    let counts = |index| {
        let types = Vectors::new(index, 5).types();
        types
            .iter()
            .map(|interrupts| interrupts.count)
            .collect::<Vec<_>>()
    };

    assert_eq!(counts(MSIX), [0, 0, 5, 0, 0]);
    assert_eq!(counts(VFIO_PCI_MSI_IRQ_INDEX), [0, 5, 0, 0, 0]);
}

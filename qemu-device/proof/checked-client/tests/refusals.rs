// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Requests that a server refuses.

use std::os::fd::AsRawFd;
use std::thread;

use ringbar_checked_client::{Client, Error};
use ringbar_server::{Options, Server};
use rustix::io::Errno;
use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_DATA_NONE, VFIO_PCI_BAR0_REGION_INDEX,
    VFIO_PCI_MSIX_IRQ_INDEX,
};

const PAGE: u64 = 4096;

#[test]
fn each_refused_request_is_an_error_and_the_next_one_is_carried_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = Options::new(folder.path().join("socket"));
    options.once = true;
    let server = Server::bind(&options).unwrap();
    let server = thread::spawn(|| server.run());
    let mut client = Client::new(&options.socket).unwrap();
    let memory = tempfile::tempfile().unwrap();
    memory.set_len(PAGE).unwrap();
    let memory = memory.as_raw_fd();
    let raise = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER;
    let (bar, msix) = (VFIO_PCI_BAR0_REGION_INDEX, VFIO_PCI_MSIX_IRQ_INDEX);
    client.dma_map(0, 0, PAGE, memory).unwrap();

    let results = [
        client.dma_map(0, 0, PAGE, memory),
        client.dma_unmap(1, PAGE),
        client.set_irqs(msix, raise, 5000, 1, &[]),
        client.region_read(bar, u64::MAX - 3, &mut [0; 4]),
        client.region_write(bar, u64::MAX - 3, &[0; 4]),
    ];

    let refused = results.map(|result| match result {
        Err(Error::Refused(errno)) => Some(errno),
        _ => None,
    });
    let wrong = Some(Errno::INVAL);
    assert_eq!(refused, [Some(Errno::EXIST), wrong, wrong, wrong, wrong]);
    client.reset().unwrap();
    client.dma_unmap(0, PAGE).unwrap();
    client.shutdown().unwrap();
    server.join().unwrap().unwrap();
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! As many mappings as a server takes, as a guest behind an IOMMU makes them: page by page.

use std::fs;
use std::os::fd::AsRawFd;

use ringbar_checked_client::Error;
use ringbar_driver_side::descriptors::pattern;
use ringbar_endpoint::protocol::wire::MAX_DMA_MAPS;
use ringbar_endpoint::protocol::Errno;
use ringbar_server::options::InterruptKind;
use ringbar_spec::ring::Status;

use crate::guest::{Guest, BUFFER_WINDOW, SIZE};
use crate::process::Running;

const PAGE: u64 = 4096;
/// DMA addresses of single pages, far from the guest's memory.
const FAR: u64 = 1 << 40;

/// Maps a page of guest memory at an address of its own. No two such addresses are neighbours.
fn map(guest: &mut Guest, page: u64) -> Result<(), Error> {
    let file = guest.file().as_raw_fd();
    let offset = page * PAGE % SIZE;
    guest
        .client
        .dma_map(offset, FAR + 2 * page * PAGE, PAGE, file)
}

/// Has the device write to memory that was mapped before.
fn assert_works(guest: &mut Guest) {
    let done = guest.carry_out(&pattern(1, 2, (BUFFER_WINDOW, 0), 4096));
    assert_eq!(Status(done.status), Status::OK);
}

#[test]
fn page_beyond_the_limit_is_refused_by_name_and_all_else_goes_on() {
    let mut server = Running::start(&["--once"]);
    let mut guest = Guest::attach(&server.socket, InterruptKind::Msix);
    // The guest's memory is the first mapping.
    guest.set_up();
    let most = MAX_DMA_MAPS as u64 - 1;
    for page in 0..most {
        map(&mut guest, page).unwrap();
    }

    let refused = map(&mut guest, most);

    assert!(
        matches!(refused, Err(Error::Refused(Errno::NOSPC))),
        "{refused:?}"
    );
    assert_works(&mut guest);
    // Far below the kernel's limit of 65,530 mappings of a process.
    let maps = fs::read_to_string(format!("/proc/{}/maps", server.child.id())).unwrap();
    assert!(maps.lines().count() < 1000, "{}", maps.lines().count());
    guest.client.dma_unmap(FAR, PAGE).unwrap();
    map(&mut guest, most).unwrap();
    assert_works(&mut guest);
    drop(guest);
    let (status, log) = server.finish();
    assert_eq!(status, Some(0));
    let named = format!("DMA addresses {:#x} to ", FAR + 2 * most * PAGE);
    assert!(
        log.contains(&named) && log.contains("65535 mappings are the limit"),
        "{log}"
    );
}

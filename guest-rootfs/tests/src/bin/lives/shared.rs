// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Processes that share an address space, as threads do, and have the file open once each.

use crate::all_is_freed;
use crate::estate::{fill, MAPPINGS};
use crate::link::Link;
use ringbar_client::Rights;
use ringbar_tests::debugfs::{RINGBAR, UNUSED};
use ringbar_tests::{case, fork, open, page_size, sharing};
use rustix::process::{set_child_subreaper, wait, Pid, WaitOptions};

#[case]
fn mappings_outlive_a_process_that_shares_them() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    let buffer = device
        .create_buffer(page_size(), Rights::ReadWrite)
        .unwrap();

    let status = sharing::run(|| {
        fill(&mut queue, buffer.window());
        RINGBAR.count() == MAPPINGS
    });

    assert!(status.success(), "{status}");
    assert_eq!(RINGBAR.count(), MAPPINGS);
    assert_eq!(
        buffer.mapping().read_bytes(0, page_size()),
        vec![0xff; page_size()]
    );
    fill(&mut queue, buffer.window());
    drop((queue, buffer, device));
    all_is_freed();
}

#[case]
fn mappings_outlive_the_process_that_made_them() {
    // The child that is left behind becomes one of this process.
    set_child_subreaper(Some(Pid::INIT)).expect("any process may");
    let (us, left) = Link::pair();
    let maker = fork::run(|| {
        let device = open();
        let mut queue = device.create_queue(4).unwrap();
        let buffer = device
            .create_buffer(page_size(), Rights::ReadWrite)
            .unwrap();
        sharing::leave(move || {
            left.hear();
            fill(&mut queue, buffer.window());
            let filled = buffer.mapping().read_bytes(0, page_size()) == vec![0xff; page_size()];
            left.tell();
            // The file is closed by the end of this process alone.
            drop(device);
            filled
        });
        true
    });
    assert!(maker.success(), "{maker}");
    assert_eq!(RINGBAR.count(), MAPPINGS);
    assert_ne!(RINGBAR.usage(), UNUSED);

    us.tell();
    us.hear();
    let (_, status) = wait(WaitOptions::empty())
        .unwrap()
        .expect("a child is left");

    set_child_subreaper(None).expect("any process may");
    assert_eq!(status.exit_status(), Some(0), "{status:?}");
    all_is_freed();
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Files of the device in the hands of another process: passed by a socket, or taken.

use crate::estate::Estate;
use crate::link::Link;
use crate::{all_is_freed, refused};
use ringbar_client::{Device, Mapping, Rights};
use ringbar_tests::debugfs::RINGBAR;
use ringbar_tests::{
    case, child, fork, open, page_size, pinned_by_us, refuses_user_windows, Skip, NODE,
};
use rustix::io::Errno;
use rustix::process::{pidfd_getfd, pidfd_open, PidfdFlags, PidfdGetfdFlags};
use rustix::process::{setrlimit, Pid, Resource, Rlimit};
use std::fs::{self, File, Permissions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;

/// Runs `body` in a process of an ordinary user, with the file of a process of root that has ended.
/// Then calls `look`, while the file is still open, and lets it go.
fn in_other_hands(body: impl FnOnce(&Device, &Estate), look: impl FnOnce()) {
    let (sender, receiver) = Link::pair();
    let (us, user) = Link::pair();
    let ordinary = fork::start(|| {
        child::become_ordinary_user();
        let device = Device::from_file(receiver.take_over()).unwrap();
        let estate = Estate::from_words(receiver.hear_words());
        user.hear();
        body(&device, &estate);
        user.tell();
        user.hear();
        true
    });
    let root = child::run(|| {
        let device = open();
        sender.hand_over(device.file());
        sender.tell_words(Estate::make(&device).words());
    });
    assert!(root.success(), "{root}");
    us.tell();
    us.hear();
    look();
    us.tell();
    let status = ordinary.end();
    assert!(status.success(), "{status}");
    all_is_freed();
}

/// Returns the counts of debugfs if root has these, and no other user has any.
fn only_root(amount: &str) -> String {
    format!("device {amount}\nuser 0 {amount}\n")
}

#[case]
fn ordinary_user_works_with_a_file_that_outlives_its_sender() {
    in_other_hands(|device, estate| estate.work(device), || {});
}

#[case]
fn objects_of_a_passed_file_count_for_the_user_that_opened_it() {
    in_other_hands(
        |device, _| drop(device.create_buffer(page_size(), Rights::Read).unwrap()),
        || {
            let bytes = 4 * page_size();
            let amount = format!("queues 1 windows 2 buffers 2 bytes {bytes}");
            assert_eq!(RINGBAR.usage(), only_root(&amount));
        },
    );
}

#[case]
fn passed_file_brings_no_rights_to_open_or_to_map_registers() {
    let only_root = Permissions::from_mode(0o600);
    fs::set_permissions(NODE, only_root).expect("root may");
    in_other_hands(
        |device, _| {
            refused(device.map_public_registers(), Errno::PERM);
            let opened = File::open(NODE).expect_err("the node is root's");
            assert_eq!(Errno::from_io_error(&opened), Some(Errno::ACCESS));
        },
        || {},
    );
}

#[case]
fn pinned_memory_counts_for_the_receiver_of_a_file() -> Result<(), Skip> {
    if let Some(reason) = refuses_user_windows() {
        return Err(Skip(reason.into()));
    }
    in_other_hands(
        |device, _| {
            let memory = Mapping::anonymous(2 * page_size()).unwrap();
            let one_page = Rlimit {
                current: Some(page_size() as u64),
                maximum: Some(page_size() as u64),
            };
            setrlimit(Resource::Memlock, one_page).unwrap();
            let open = |page| device.open_user_window(&memory, page, Rights::Read);
            open(0..page_size()).unwrap();
            assert_eq!(pinned_by_us(), 1);
            refused(open(page_size()..2 * page_size()), Errno::NOMEM);
        },
        || {
            let bytes = 4 * page_size();
            let amount = format!("queues 1 windows 2 buffers 1 bytes {bytes}");
            assert_eq!(RINGBAR.usage(), only_root(&amount));
        },
    );
    Ok(())
}

/// Takes a file out of a process by number.
fn take(process: u64, file: u64) -> Result<File, Errno> {
    let process = Pid::from_raw(process.try_into().expect("a process number"));
    let process = pidfd_open(process.expect("not 0"), PidfdFlags::empty())?;
    let file = file.try_into().expect("a file's number");
    pidfd_getfd(process, file, PidfdGetfdFlags::empty()).map(File::from)
}

/// Returns the numbers of this process and of a file.
fn place(device: &Device) -> [u64; 2] {
    [std::process::id().into(), device.file().as_raw_fd() as u64]
}

#[case]
fn taken_file_outlives_its_process() {
    let (us, owner) = Link::pair();
    let process = fork::start(|| {
        let device = open();
        owner.tell_words(place(&device));
        owner.tell_words(Estate::make(&device).words());
        // Until it is killed.
        owner.hear();
        false
    });
    let [number, file] = us.hear_words();
    let estate = Estate::from_words(us.hear_words());
    let device = Device::from_file(take(number, file).unwrap()).unwrap();
    process.kill();
    process.end();

    assert_eq!(RINGBAR.usage(), only_root(&crate::estate::counts()));
    estate.work(&device);

    drop(device);
    all_is_freed();
}

#[case]
fn ordinary_user_cannot_take_a_file_of_root() {
    let device = open();
    let [process, file] = place(&device);
    let status = child::run(|| {
        child::become_ordinary_user();
        assert_eq!(take(process, file).err(), Some(Errno::PERM));
    });
    assert!(status.success(), "{status}");
}

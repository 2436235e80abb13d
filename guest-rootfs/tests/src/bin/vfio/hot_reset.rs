// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Hot resets: the process that owns all functions of a bus has VFIO reset the bus. The stock kernel
//! wants the groups of these functions, the debug kernel an empty list, as the process has opened
//! the node of the device.

use crate::ground::Ground;
use crate::on_ground;
use crate::regions::assert_alive;
use ringbar_driver_side::{bring_up, descriptors, Registers};
use ringbar_spec::regs::Register;
use ringbar_test_vectors::dma::DmaPath;
use ringbar_test_vectors::scene::{Backing, Part, Rights};
use ringbar_test_vectors::Path;
use ringbar_tests::{case, expect_bytes, Slot, SHORT};
use ringbar_vfio::{calls, Kind, VfioDriver};
use rustix::io::Errno;
use std::os::fd::RawFd;
use std::{fs, thread};

/// Bytes of a copy that is in flight when the reset comes.
const SIZE: usize = 1 << 20;
/// Copies in flight.
const COPIES: u32 = 8;

/// Returns the groups that the call wants of a process that opened the device this way.
fn groups() -> Vec<RawFd> {
    match Ground::kind() {
        Kind::Iommufd => Vec::new(),
        Kind::Group => vec![group()],
    }
}

/// Returns the descriptor of the open group. The node cannot be opened a second time.
fn group() -> RawFd {
    let files = fs::read_dir("/proc/self/fd").expect("procfs is mounted");
    let group = files.filter_map(|file| {
        let file = file.ok()?;
        let target = fs::read_link(file.path()).ok()?;
        let number = target.to_str()?.strip_prefix("/dev/vfio/")?.to_owned();
        number.parse::<u32>().ok()?;
        file.file_name().to_str()?.parse().ok()
    });
    group.last().expect("the group is open")
}

/// Returns the reset generation.
fn generation(driver: &mut VfioDriver) -> u64 {
    let read = driver.transport().get(Register::RESET_GENERATION);
    read.expect("it is mapped")
}

/// Makes a memory with a window of all of it. Returns the number of the window.
fn window(driver: &mut VfioDriver, memory: usize, rights: Rights) -> u16 {
    let made = driver.memory(Backing::Guest, SIZE);
    made.expect("there is room");
    let all = Part {
        memory,
        range: 0..SIZE,
    };
    driver.window(&[all], rights).expect("a window is free")
}

/// Behind QEMU's root port the kernel reports an error for every bus reset, although it makes it,
/// unless the slot has a native controller.
#[case(on_ground)]
fn hot_reset_ends_copies_and_the_device_can_be_brought_up(ground: Ground) {
    let mut driver = ground.driver();
    let from = window(&mut driver, 0, Rights::Read);
    let to = window(&mut driver, 1, Rights::Write);
    let before = generation(&mut driver);
    let copy = |tag| descriptors::copy(tag, (from, 0), (to, 0), SIZE as u32);
    let copies: Vec<_> = (0..COPIES).map(copy).collect();
    driver.submit(&copies).expect("the ring has room");

    let report = calls::hot_reset(driver.transport().device(), &groups());

    println!("# the kernel reports {report:?}");
    let expected = match Slot::is_native() {
        true => Ok(()),
        false => Err(Errno::NOTTY),
    };
    assert_eq!(report, expected);
    bring_up::enable(driver.transport()).expect("configuration space is there");
    assert_ne!(generation(&mut driver), before);
    let canary = vec![0xa5; SIZE];
    driver.write(1, 0, &canary);
    thread::sleep(SHORT);
    let mut seen = vec![0; SIZE];
    driver.read(1, 0, &mut seen);
    expect_bytes("memory of a copy before the reset", &seen, &canary);
    driver.begin_again().expect("the device can be brought up");
    assert_alive(&mut driver);
}

/// A process that opened a group names it, and one that opened the device's node names none.
#[case(on_ground)]
fn hot_reset_of_another_kind_is_refused(ground: Ground) {
    let mut driver = ground.driver();
    let before = generation(&mut driver);
    let wrong = match Ground::kind() {
        Kind::Group => vec![],
        Kind::Iommufd => vec![0],
    };
    let refused = calls::hot_reset(driver.transport().device(), &wrong);
    assert_eq!(refused, Err(Errno::INVAL));
    assert_eq!(generation(&mut driver), before);
    assert_alive(&mut driver);
}

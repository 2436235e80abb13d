// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Common parts of the test programs.
//!
//! Each program in `src/bin` proves one behaviour of device and driver in the guest. It prints its
//! cases as KTAP, and ends with 0 only if all of them passed. A case is a function with the
//! attribute [`case`]. It panics when something is wrong.

pub mod arguments;
mod asleep;
mod bytes;
pub mod canaries;
mod cases;
pub mod child;
pub mod core_file;
pub mod debugfs;
pub mod debugger;
mod epoll;
pub mod fork;
mod freezer;
mod hammer;
mod kept;
pub mod kernel_log;
pub mod modules;
pub mod page_table;
pub mod pages;
pub mod parameter;
mod pci;
pub mod raw;
pub mod regions;
mod register;
pub mod restart;
pub mod rules;
mod runner;
pub mod selftest;
pub mod sharing;
pub mod signals;
mod slot;
pub mod smaps;
pub mod status;
mod story;
mod suite;
pub mod usage;
mod withheld;
pub mod witness;
pub mod workers;

pub use asleep::{poller, sleeper};
pub use bytes::expect_bytes;
pub use cases::{Case, Listed, Outcome, Skip, CASES};
pub use epoll::{Epoll, Trigger};
pub use freezer::Freezer;
pub use hammer::{hammer, Hammer, LongCopies};
pub use kept::KeptOnPurpose;
#[doc(hidden)]
pub use linkme;
pub use parameter::seed;
pub use pci::{PciFunction, Removed, Reset, Unbound, Without};
pub use register::{expect_field, expect_register};
pub use ringbar_case::case;
pub use ringbar_client::descriptors::nop;
pub use ringbar_client::page_size;
pub use ringbar_test_vectors::pattern_bytes;
pub use runner::Runner;
pub use slot::Slot;
pub use story::{hex, Chapter};
pub use suite::{run, run_all};
pub use withheld::Withheld;

use ringbar_client::{descriptors, Buffer, Device, Mapping, Queue, Rights};
use ringbar_spec::ring::{Completion, Descriptor, Status};
use ringbar_spec::wake::Word;
use rustix::event::{eventfd, poll, EventfdFlags, PollFd, PollFlags, Timespec};
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// Node of the device under test.
pub const NODE: &str = "/dev/ringbar0";

/// Property of the device tree's root: devices see the processor's caches.
const COHERENT: &str = "/sys/firmware/devicetree/base/dma-coherent";

/// Returns the node of a device. Device 0 is the one under test.
pub fn node(device: u32) -> String {
    format!("/dev/ringbar{device}")
}

/// Longest time until kernel and processes notice that a device has lost its server. QEMU may take
/// 5 s to give an access up, and the whole machine stands still in that time.
pub const LOSS: Duration = Duration::from_secs(180);

/// Longest time that one operation of a test may take. No busy machine reaches it. The runner, too,
/// notices an event that never comes.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A time in which no event is expected.
pub const SHORT: Duration = Duration::from_millis(200);

/// Opens the device under test.
pub fn open() -> Device {
    Device::open(NODE).expect("the device under test can be opened")
}

/// Carries out one descriptor and returns its completion.
pub fn carry_out(queue: &mut Queue, descriptor: Descriptor) -> Completion {
    queue.push(descriptor).expect("the ring has room");
    queue.run(PATIENCE).expect("the descriptor completes")
}

/// Carries out one descriptor. Fails unless it succeeds.
#[track_caller]
pub fn succeed(queue: &mut Queue, descriptor: Descriptor) {
    let completion = carry_out(queue, descriptor);
    assert_eq!(Status(completion.status), Status::OK, "{descriptor:?}");
    assert_eq!(completion.tag, descriptor.tag);
}

/// Fails unless a new queue of the device can fill a new buffer.
#[track_caller]
pub fn assert_device_works(device: &Device) {
    let mut queue = device.create_queue(4).expect("a queue is free");
    let buffer = device.create_buffer(page_size(), Rights::Write);
    let buffer = buffer.expect("there is memory");
    let fill = descriptors::fill(0, u64::MAX, (buffer.window(), 0), page_size() as u32);
    succeed(&mut queue, fill);
    assert_eq!(
        buffer.mapping().read_bytes(0, page_size()),
        vec![0xff; page_size()]
    );
}

/// Returns a descriptor that copies the first `length` bytes of a buffer to another.
pub fn copy(source: &Buffer, destination: &Buffer, length: usize) -> Descriptor {
    descriptors::copy(
        0,
        (source.window(), 0),
        (destination.window(), 0),
        length as u32,
    )
}

/// Makes the device stop a queue with `BAD_TAIL`: announces more descriptors than the ring has.
/// Maps the pages again for that, as any process may.
pub fn break_ring(queue: &Queue) {
    let map = |offset| {
        let file = queue.device().file().clone();
        Mapping::new(file, offset, page_size(), true).expect("the page can be mapped again")
    };
    let tail = queue.word(Word::SubmissionTail) + queue.entries() + 1;
    let doorbell = map(queue.offsets().doorbell);
    doorbell.write(Word::SubmissionTail.in_page(), tail);
    map(queue.offsets().kick).write(0, 1u32);
}

/// Waits until a condition holds, at most for [`PATIENCE`].
#[track_caller]
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    within(what, PATIENCE, || holds().then_some(()));
}

/// Waits until `look` returns a value, at most for `limit`.
#[track_caller]
pub fn within<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not within {limit:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Returns whether this is the debug kernel.
pub fn on_debug_kernel() -> bool {
    let name = rustix::system::uname();
    name.release().to_bytes().ends_with(b"-ringbar-debug")
}

/// Returns whether this kernel is of a series before `major.minor`.
pub fn kernel_is_before(major: u32, minor: u32) -> bool {
    let name = rustix::system::uname();
    series(&name.release().to_string_lossy()).is_some_and(|series| series < (major, minor))
}

/// Returns the first two numbers in the name of a kernel's release.
fn series(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|at: char| !at.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Returns whether devices are behind an IOMMU.
pub fn has_iommu() -> bool {
    fs::read_dir("/sys/class/iommu").is_ok_and(|mut all| all.next().is_some())
}

/// Returns whether the kernel was told to bounce all memory that a device without an IOMMU reaches.
pub fn bounces() -> bool {
    parameter::word("swiotlb").is_some_and(|word| word == "force") && !has_iommu()
}

/// Returns whether devices see the processor's caches, as they always do on x86. Elsewhere the device
/// tree says so.
pub fn sees_caches() -> bool {
    cfg!(target_arch = "x86_64") || Path::new(COHERENT).exists()
}

/// Returns why the driver refuses windows on memory of a process, if it does.
pub fn refuses_user_windows() -> Option<&'static str> {
    if bounces() {
        Some("the kernel bounces all memory here (swiotlb=force)")
    } else if !sees_caches() {
        Some("devices do not see the processor's caches here (COHERENT=0)")
    } else {
        None
    }
}

/// Returns the number of interrupts that the kernel has counted for the device under test, on all
/// processors. Other devices may raise some meanwhile, one that lies too.
pub fn interrupts() -> u64 {
    let table = fs::read_to_string("/proc/interrupts").expect("procfs is mounted");
    let function = PciFunction::under_test();
    // The name of the interrupt controller has it: PCI-MSIX-0000:01:00.0.
    let address = function
        .folder()
        .file_name()
        .expect("a function has a name");
    let of_function = format!("-{}", address.to_string_lossy());
    table
        .lines()
        .filter(|line| line.ends_with("ringbar") && line.contains(&of_function))
        .flat_map(|line| {
            line.split_whitespace()
                .skip(1)
                .map_while(|word| word.parse::<u64>().ok())
        })
        .sum()
}

/// Returns the number of pages that all processes have pinned at the moment.
pub fn pinned_pages() -> i64 {
    // Each processor keeps a count of its own, which this adds to the total.
    fs::write("/proc/sys/vm/stat_refresh", "1").expect("counts can be added up");
    let counts = fs::read_to_string("/proc/vmstat").expect("procfs is mounted");
    let count = |name: &str| -> i64 {
        let mut lines = counts.lines().filter_map(|line| line.split_once(' '));
        let (_, count) = lines.find(|(key, _)| *key == name).expect("it is counted");
        count.parse().expect("a number")
    };
    count("nr_foll_pin_acquired") - count("nr_foll_pin_released")
}

/// Returns the number of pages that the kernel counts as pinned by this process.
pub fn pinned_by_us() -> u64 {
    let pinned = status::field(std::process::id(), "VmPin:");
    let kib = pinned.strip_suffix(" kB").expect("a size in KiB");
    let kib: u64 = kib.parse().expect("a number");
    kib * 1024 / page_size() as u64
}

/// The result of `poll` for a file with completions to take.
pub const READABLE: PollFlags = PollFlags::IN.union(PollFlags::RDNORM);

/// Polls a device's file. Returns its events, none if `timeout` has passed.
pub fn ready_for(device: &Device, timeout: Duration) -> PollFlags {
    let timeout = Timespec::try_from(timeout).expect("a short time");
    let mut files = [PollFd::new(&**device.file(), READABLE)];
    poll(&mut files, Some(&timeout)).expect("the file can be polled");
    files[0].revents()
}

/// Makes a queue with an eventfd.
pub fn with_event(device: &Device) -> (Queue, OwnedFd) {
    let queue = device.create_queue(8).expect("a queue is free");
    let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
    let event = event.expect("there are eventfds");
    let set = queue.set_event_fd(Some(event.as_fd()));
    set.expect("the queue takes an eventfd");
    (queue, event)
}

/// Waits for a signal of a non-blocking eventfd, and takes the signals. Returns false if none came.
pub fn signalled(event: &OwnedFd, timeout: Duration) -> bool {
    let timeout = Timespec::try_from(timeout).expect("a short time");
    let mut files = [PollFd::new(event, PollFlags::IN)];
    poll(&mut files, Some(&timeout)).expect("an eventfd can be polled");
    rustix::io::read(event, &mut [0; 8]).is_ok()
}

#[cfg(test)]
mod tests {
    use super::series;

    #[test]
    fn series_is_the_first_two_numbers_of_a_release() {
        assert_eq!(series("7.2.12+deb13-amd64"), Some((7, 2)));
        assert_eq!(series("7.10-rc1"), Some((7, 10)));
        assert_eq!(series("next-20261130"), None);
    }
}
